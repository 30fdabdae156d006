/*
 * Whom memory is charged to follows the task that uses it: what a memory controller would move along when a task moves
 * to another group. There is no such controller yet; this is the walk it needs: every page with a structure that this
 * space alone maps, device memory too. Pages that others map as well stay where they were charged.
 */
#include "mm/vm/charge.h"

#include "mm/vm/page.h"
#include "mm/vm/tables.h"

static int charge_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct mm_charges *charges = walk->context;
	uint64_t value = entry_get(entry), pages = value & PTE_HUGE ? PTE_ENTRIES : 1;
	struct page *page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : NULL;

	if (!page)
		return 0;
	if (load_relaxed(&page->mapcount) > (value & PTE_PART ? PTE_ENTRIES : 1))
		charges->shared += pages;
	else if (page_is(page, PAGE_DEVICE))
		charges->device += pages;
	else
		*(page_owner_is_anon(page) ? &charges->anon : &charges->file) += pages;
	return 0;
}

void mm_charges(struct mm *mm, struct mm_charges *charges)
{
	struct area *area;

	*charges = (struct mm_charges){0};
	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		struct table_walk walk = {
			.mm = mm, .area = area, .page = charge_entry, .huge = charge_entry, .context = charges};

		(void)table_walk(&walk, area->start, area->end);
	}
	mutex_unlock(&mm->lock);
}
