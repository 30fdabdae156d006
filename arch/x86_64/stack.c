/*
 * Kernel stacks. The stack area is cut into slots of twice a stack's size; the stack is the upper half, the lower
 * half is never mapped: running over ends in a fault (on an interrupt stack of its own), not in a neighbour's data.
 *
 * Threads come and go; taking a stack's mapping away means interrupting all CPUs. So a few stacks stay mapped for the
 * next thread.
 */
#include "arch/x86_64/paging.h"
#include "arch/x86_64/paging_internal.h"

#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "kernel/spinlock.h"
#include "lib/bitmap.h"

#include <arch/page.h>

#define SLOT_BYTES  (2 * STACK_BYTES)
#define NR_SLOTS    8192u
#define STACK_PAGES (STACK_BYTES / PAGE_SIZE)
#define KEPT_MAX    32u

static struct spinlock stack_lock = SPINLOCK_INIT("stack");
static uint64_t taken[BITMAP_WORDS(NR_SLOTS)]; /* kept ones too */
static size_t kept[KEPT_MAX], nr_kept;

static uint64_t slot_base(size_t slot)
{
	return STACK_AREA_BASE + slot * SLOT_BYTES + STACK_BYTES;
}

/* A slot, or NR_SLOTS; @mapped says that it is one of those kept. */
static size_t take_slot(bool *mapped)
{
	unsigned long flags = spin_lock_irqsave(&stack_lock);
	size_t slot;

	*mapped = nr_kept > 0;
	if (*mapped) {
		slot = kept[--nr_kept];
	} else {
		slot = bitmap_next_clear(taken, NR_SLOTS, 0);
		if (slot < NR_SLOTS)
			bitmap_set(taken, slot);
	}
	spin_unlock_irqrestore(&stack_lock, flags);
	return slot;
}

static void give_slot(size_t slot)
{
	unsigned long flags = spin_lock_irqsave(&stack_lock);

	bitmap_clear(taken, slot);
	spin_unlock_irqrestore(&stack_lock, flags);
}

/* True if it stays mapped for the next one. */
static bool keep_slot(size_t slot)
{
	unsigned long flags = spin_lock_irqsave(&stack_lock);
	bool keep = nr_kept < KEPT_MAX;

	if (keep)
		kept[nr_kept++] = slot;
	spin_unlock_irqrestore(&stack_lock, flags);
	return keep;
}

/* Unmaps the first @count pages of a stack and gives them back. */
static void unmap_stack(uint64_t base, size_t count)
{
	uint64_t pages[STACK_PAGES];

	for (size_t i = 0; i < count; i++)
		ASSERT(paging_lookup(base + i * PAGE_SIZE, &pages[i], NULL), "no stack at 0x%lx", base);
	if (count)
		paging_unmap(base, count * PAGE_SIZE);
	for (size_t i = 0; i < count; i++)
		paging_page_release(pages[i]);
}

static bool map_stack(uint64_t base)
{
	for (size_t i = 0; i < STACK_PAGES; i++) {
		uint64_t phys = paging_page_alloc(PAGING_FOR_STACK);

		if (phys && paging_map(base + i * PAGE_SIZE, phys, PAGE_SIZE, PAGING_WRITE) == 0)
			continue;
		if (phys)
			paging_page_release(phys);
		unmap_stack(base, i);
		return false;
	}
	return true;
}

uint64_t arch_stack_alloc(void)
{
	bool mapped;
	size_t slot = take_slot(&mapped);

	if (slot == NR_SLOTS)
		return 0;
	if (!mapped && !map_stack(slot_base(slot))) {
		give_slot(slot);
		return 0;
	}
	return slot_base(slot) + STACK_BYTES;
}

void arch_stack_free(uint64_t stack_top)
{
	size_t slot = (stack_top - STACK_BYTES - STACK_AREA_BASE) / SLOT_BYTES;

	ASSERT(slot < NR_SLOTS && slot_base(slot) + STACK_BYTES == stack_top, "0x%lx is no stack's top", stack_top);
	ASSERT(bitmap_test(taken, slot), "the stack at 0x%lx is free", stack_top);
	if (keep_slot(slot))
		return;
	unmap_stack(slot_base(slot), STACK_PAGES);
	give_slot(slot);
}
