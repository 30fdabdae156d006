/*
 * Reclaim, as far as address spaces can help: anonymous pages go nowhere without swap, except those whose content their
 * owner gave up (MADV_FREE). Whether somebody wrote since is in the entries' dirty bits. So such a page lies with the
 * files' ones, and returns to the anonymous lists once it is seen to be in use after all.
 */
#include "mm/vm/reclaim.h"

#include "mm/lru.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"

void page_deactivate(struct page *page)
{
	lru_change(page, 0, PAGE_REFERENCED | PAGE_ACTIVE);
}

static int drop(struct page_walk *walk, const struct mapped_at *at)
{
	uint64_t value = entry_get(at->entry);

	do {
		if (value & PTE_DIRTY)
			return 1;
	} while (!atomic_cas(at->entry, &value, 0));
	walk->changed = true;
	if (at->huge) {
		table_free(at->mm, table_take_spare(at->mm));
		at->mm->counters[MM_HUGE]--;
	}
	mm_count(at->mm, walk->page, -1, at->huge);
	page_unmapped(walk->page);
	atomic_dec(&walk->page->refcount);
	return 0;
}

static bool drop_clean(struct page *page)
{
	struct page_walk walk = {.page = page, .order = page_map_order(page), .entry = drop};

	/* Pinned or shared: whoever else has it may still read. */
	if (page_is(page, PAGE_MLOCKED) || load_relaxed(&page->refcount) != load_relaxed(&page->mapcount) + 1)
		return false;
	if (page_walk(&walk) == 0 && load_relaxed(&page->mapcount) == 0)
		return true;
	page_unmark(page, PAGE_LAZY_FREE);
	return false;
}

static bool try_free(struct page *page, bool gently UNUSED)
{
	bool dropped;

	if (!page_is(page, PAGE_LAZY_FREE) || !page_trylock(page))
		return false;
	dropped = drop_clean(page);
	page_unlock(page);
	return dropped;
}

static const struct lru_owner_ops lru_ops = {.try_free = try_free};

void vm_reclaim_init(void)
{
	lru_register_owner(PAGE_OWNER_ANON, &lru_ops);
}
