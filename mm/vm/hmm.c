/*
 * Snapshots for devices. Every change that takes something away from an entry is followed by a flush, and flushes are
 * counted: a device is one more CPU, whose TLB is flushed by telling it that the count moved on.
 */
#include "mm/vm/hmm.h"

#include "mm/vm/page.h"
#include "mm/vm/tables.h"

/* Special frames are not for devices: nobody counts their use. */
static uint64_t word_of(const struct area *area, uint64_t address, uint64_t value)
{
	const struct page *page;

	if (!(value & PTE_PRESENT))
		return 0;
	page = vm_normal_any_page(area, address, value);
	if (!page)
		return pte_pfn(value) == zero_page_pfn ? HMM_PFN_VALID | zero_page_pfn : HMM_PFN_ERROR;
	if (value & PTE_HUGE)
		value += address & (HUGE_BYTES - 1);
	return HMM_PFN_VALID | (value & PTE_WRITE ? HMM_PFN_WRITE : 0) | pte_pfn(value);
}

static uint64_t look(struct mm *mm, uint64_t address)
{
	const struct area *area;
	uint64_t *entry, word;
	unsigned int level;

	mutex_lock(&mm->lock);
	area = area_find(mm, address);
	entry = area ? table_leaf(mm, address, &level) : NULL;
	spin_lock(&mm->table_lock);
	word = !area ? HMM_PFN_ERROR : entry ? word_of(area, address, entry_get(entry)) : 0;
	spin_unlock(&mm->table_lock);
	mutex_unlock(&mm->lock);
	return word;
}

static int look_or_fault(const struct hmm_range *range, uint64_t address, uint64_t *word)
{
	uint64_t need = range->write ? HMM_PFN_WRITE : HMM_PFN_VALID;

	for (;;) {
		int error;

		*word = look(range->mm, address);
		if (!range->fault || (*word & (need | HMM_PFN_ERROR)))
			return range->fault && (*word & HMM_PFN_ERROR) ? -EFAULT : 0;
		error = mm_fault(range->mm, address, range->write);
		if (error)
			return error;
	}
}

int hmm_range_fault(struct hmm_range *range)
{
	range->seen = load_acquire(&range->mm->space.changes);
	for (uint64_t i = 0; i < range->pages; i++) {
		int error = look_or_fault(range, range->start + i * PAGE_SIZE, &range->words[i]);

		if (error)
			return error;
	}
	return 0;
}

bool hmm_still_true(const struct hmm_range *range)
{
	return load_acquire(&range->mm->space.changes) == range->seen;
}
