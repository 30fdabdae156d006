/*
 * Reclaim, as far as address spaces can help: anonymous pages go nowhere without swap, except those whose content their
 * owner gave up (MADV_FREE). Whether somebody wrote since is in the entries' dirty bits.
 */
#include "mm/vm/reclaim.h"

#include "mm/vm/page.h"
#include "mm/vm/rmap.h"

void page_deactivate(struct page *page)
{
	page_unmark(page, PAGE_REFERENCED);
}

static int drop(struct page_walk *walk, const struct mapped_at *at)
{
	uint64_t value = entry_get(at->entry);

	do {
		if (value & PTE_DIRTY)
			return 1;
	} while (!atomic_cas(at->entry, &value, 0));
	address_space_flush(&at->mm->space, at->address, at->huge ? HUGE_BYTES : PAGE_SIZE);
	if (at->huge) {
		table_free(at->mm, table_take_spare(at->mm));
		at->mm->counters[MM_HUGE]--;
	}
	mm_count(at->mm, walk->page, -1, at->huge);
	page_unmapped(walk->page);
	atomic_dec(&walk->page->refcount);
	return 0;
}

bool page_drop_clean(struct page *page)
{
	struct page_walk walk = {.page = page, .order = page_map_order(page), .entry = drop};

	/* Pinned or shared: whoever else has it may still read. */
	if (!page_is(page, PAGE_LAZY_FREE) || load_relaxed(&page->refcount) != load_relaxed(&page->mapcount) + 1)
		return false;
	if (page_walk(&walk) == 0 && load_relaxed(&page->mapcount) == 0)
		return true;
	page_unmark(page, PAGE_LAZY_FREE);
	return false;
}
