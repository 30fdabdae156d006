/*
 * Memory until mm/ is there: taken off the largest usable range, never given back.
 */
#include "init/early_memory.h"

#include "kernel/memory.h"
#include "kernel/spinlock.h"
#include "lib/string.h"

#include <arch/page.h>

static struct spinlock lock = SPINLOCK_INIT("early_memory");
static uint64_t next, end;

void early_memory_init(const struct boot_info *info)
{
	for (size_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *range = &info->ranges[i];
		uint64_t start = MAX(range->start, ALIGN_UP(info->image_end, LARGE_PAGE_SIZE));
		uint64_t limit = MIN(range->end, GIB(4));

		if (range->type != BOOT_MEMORY_USABLE || limit <= start || limit - start < end - next)
			continue;
		next = start;
		end = limit;
	}
}

uint64_t early_memory_take(uint64_t bytes, uint64_t align)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	uint64_t at = ALIGN_UP(next, align);
	bool fits = at + bytes <= end;

	if (fits)
		next = at + bytes;
	spin_unlock_irqrestore(&lock, flags);
	return fits ? at : 0;
}

void *kmalloc(size_t bytes)
{
	uint64_t phys = early_memory_take(bytes, 16);

	return phys ? phys_to_virt(phys) : NULL;
}

void *kmalloc_atomic(size_t bytes)
{
	return kmalloc(bytes);
}

void *kzalloc(size_t bytes)
{
	void *memory = kmalloc(bytes);

	return memory ? memset(memory, 0, bytes) : NULL;
}

void kfree(void *memory UNUSED)
{
}

char *kstrdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = kmalloc(bytes);

	return copy ? memcpy(copy, s, bytes) : NULL;
}
