/*
 * Reading and writing any address space from outside, a page at a time, through the kernel's own view of the page.
 *
 * The copy is made under table_lock: so the page stays where it is, and nobody frees it. What is not there, or not
 * writable, is faulted in first, as if a thread of the space had come by; the table is then looked at again.
 */
#include "lib/string.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

struct access {
	struct mm *mm;
	char *buffer;
	bool write;
};

/* True if the entry allowed it. */
static bool copy_piece(const struct access *access, uint64_t address, size_t offset, size_t bytes)
{
	unsigned int level;
	uint64_t *entry = table_leaf(access->mm, address, &level), value = entry ? entry_get(entry) : 0, within;
	char *memory;

	if (!(value & PTE_PRESENT) || (access->write && !(value & PTE_WRITE)))
		return false;
	if (level)
		value += address & (HUGE_BYTES - 1) & ~(PAGE_SIZE - 1);
	memory = entry_bytes(NULL, address, value);
	if (!memory)
		return false;
	within = address & (PAGE_SIZE - 1);
	if (access->write)
		memcpy(memory + within, access->buffer + offset, bytes);
	else
		memcpy(access->buffer + offset, memory + within, bytes);
	(void)atomic_fetch_or(entry, PTE_ACCESSED | (access->write ? PTE_DIRTY : 0));
	return true;
}

static int access_range(const struct access *access, uint64_t address, size_t bytes)
{
	size_t done = 0;

	if (address >= USER_END || bytes > USER_END - address)
		return -EFAULT;
	/* An entry that stays out of reach however often it is faulted in maps no memory. */
	for (unsigned int tries = 0; done < bytes && tries < 1000; tries++) {
		uint64_t at = address + done;
		size_t piece = MIN(bytes - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		bool copied;

		mutex_lock(&access->mm->lock);
		spin_lock(&access->mm->table_lock);
		copied = copy_piece(access, at, done, piece);
		spin_unlock(&access->mm->table_lock);
		mutex_unlock(&access->mm->lock);
		if (copied) {
			done += piece;
			tries = 0;
		} else if (mm_fault(access->mm, at, access->write)) {
			return -EFAULT;
		}
	}
	return done == bytes ? 0 : -EFAULT;
}

int mm_read(struct mm *mm, uint64_t address, void *to, size_t bytes)
{
	return access_range(&(struct access){mm, to, false}, address, bytes);
}

int mm_write(struct mm *mm, uint64_t address, const void *from, size_t bytes)
{
	return access_range(&(struct access){mm, (char *)(uintptr_t)from, true}, address, bytes);
}
