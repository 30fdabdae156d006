/*
 * kernel/address_space.h without a CPU that helps: a thread of the host is a CPU whose memory accesses go through
 * user_read() and user_write() only. Each has a TLB of its own, which keeps translations until it is flushed, as real
 * ones do; so a forgotten flush shows as a write to a page that is another's by now, or before it comes to that: who
 * frees a page, or relies on its content, asserts that no TLB leads there (tlb_reaches()).
 *
 * The lock of a TLB is held from the look into it until the access is made: a flush waits for accesses under way, as
 * the interrupt between CPUs does.
 */
#include <pthread.h>
#include <string.h>

#include "arch/x86_64/pte.h"
#include "kernel/address_space.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#include <arch/page.h>

#define TLB_ENTRIES 64u

struct translation {
	const struct address_space *space;
	uint64_t page; /* address / PAGE_SIZE */
	uint64_t pfn;
	bool write;
};

static struct tlb {
	pthread_mutex_t mutex;
	struct translation entries[TLB_ENTRIES];
} tlbs[MAX_CPUS] = {[0 ... MAX_CPUS - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER}};

static size_t tlbs_used; /* the first so many */

static int (*fault_handler)(struct address_space *space, uint64_t address, bool write);

void address_space_init_top(uint64_t *top)
{
	memset(top, 0, PAGE_SIZE);
}

void address_space_enter(struct address_space *space UNUSED)
{
}

void address_space_use(struct address_space *space)
{
	*thread_slot(thread_current(), THREAD_SLOT_MM) = space;
}

static void drop(const struct address_space *space, uint64_t first, uint64_t end)
{
	for (size_t cpu = 0; cpu < load_relaxed(&tlbs_used); cpu++) {
		pthread_mutex_lock(&tlbs[cpu].mutex);
		for (size_t i = 0; i < TLB_ENTRIES; i++) {
			struct translation *at = &tlbs[cpu].entries[i];

			if (at->space == space && at->page >= first && at->page < end)
				at->space = NULL;
		}
		pthread_mutex_unlock(&tlbs[cpu].mutex);
	}
}

void address_space_retire(struct address_space *space)
{
	drop(space, 0, UINT64_MAX);
}

void address_space_flush(struct address_space *space, uint64_t start, uint64_t bytes)
{
	atomic_inc(&space->changes);
	drop(space, start >> PAGE_SHIFT, (start + bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

bool tlb_reaches(uint64_t pfn, uint64_t pages, bool to_write)
{
	bool found = false;

	for (size_t cpu = 0; cpu < load_relaxed(&tlbs_used) && !found; cpu++) {
		pthread_mutex_lock(&tlbs[cpu].mutex);
		for (size_t i = 0; i < TLB_ENTRIES; i++) {
			const struct translation *at = &tlbs[cpu].entries[i];

			found |= at->space && at->pfn - pfn < pages && (at->write || !to_write);
		}
		pthread_mutex_unlock(&tlbs[cpu].mutex);
	}
	return found;
}

void user_on_fault(int (*handler)(struct address_space *space, uint64_t address, bool write))
{
	fault_handler = handler;
}

/* As the CPU walks: present entries only; it notes accesses in the leaf, unless that changed meanwhile. */
static bool walk(struct address_space *space, uint64_t address, bool write, struct translation *found)
{
	uint64_t *table = phys_to_virt(space->root);

	for (unsigned int level = 3;; level--) {
		uint64_t *entry = &table[pte_index(address, level)], value = load_acquire(entry);

		if (!(value & PTE_PRESENT) || (write && !(value & PTE_WRITE)))
			return false;
		if (level && !(value & PTE_HUGE)) {
			table = phys_to_virt(value & PTE_ADDRESS);
			continue;
		}
		if (!atomic_cas(entry, &value, value | PTE_ACCESSED | (write ? PTE_DIRTY : 0)))
			return walk(space, address, write, found);
		*found = (struct translation){space, address >> PAGE_SHIFT, pte_pfn(value), write};
		found->pfn += (address & (pte_bytes(level) - 1)) >> PAGE_SHIFT;
		return true;
	}
}

/* One access within a page. */
static bool access_page(struct address_space *space, uint64_t address, void *buffer, size_t bytes, bool write)
{
	struct tlb *tlb = &tlbs[cpu_id()];
	struct translation *at = &tlb->entries[address >> PAGE_SHIFT & (TLB_ENTRIES - 1)];
	bool hit;

	for (size_t used = load_relaxed(&tlbs_used); used <= cpu_id();)
		if (atomic_cas(&tlbs_used, &used, (size_t)cpu_id() + 1))
			break;
	pthread_mutex_lock(&tlb->mutex);
	hit = at->space == space && at->page == address >> PAGE_SHIFT && (at->write || !write);
	if (hit || walk(space, address, write, at)) {
		char *memory = (char *)phys_to_virt(at->pfn << PAGE_SHIFT) + (address & (PAGE_SIZE - 1));

		memcpy(write ? memory : buffer, write ? buffer : memory, bytes);
		hit = true;
	}
	pthread_mutex_unlock(&tlb->mutex);
	return hit;
}

static int access_range(uint64_t address, char *buffer, size_t bytes, bool write)
{
	struct address_space *space = *thread_slot(thread_current(), THREAD_SLOT_MM);

	if (!space || address >= USER_END || bytes > USER_END - address)
		return -EFAULT;
	while (bytes) {
		size_t piece = PAGE_SIZE - (address & (PAGE_SIZE - 1));

		piece = piece < bytes ? piece : bytes;
		while (!access_page(space, address, buffer, piece, write))
			if (!preemptible() || fault_handler(space, address, write))
				return -EFAULT;
		address += piece;
		buffer += piece;
		bytes -= piece;
	}
	return 0;
}

int user_read(void *to, uint64_t from, size_t bytes)
{
	return access_range(from, to, bytes, false);
}

int user_write(uint64_t to, const void *from, size_t bytes)
{
	return access_range(to, (char *)(uintptr_t)from, bytes, true);
}

void memory_clear_pages(void *to, size_t bytes)
{
	memset(to, 0, bytes);
}
