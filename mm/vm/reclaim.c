/*
 * Reclaim, as far as address spaces can help: anonymous pages go nowhere without swap, except those whose content is
 * nothing anybody would miss.
 *
 * Their owner gave it up (MADV_FREE): whether somebody wrote since is in the entries' dirty bits. So such a page lies
 * with the files' ones, and returns to the anonymous lists once it is seen to be in use after all.
 *
 * It is all zeros: then the entries can map the zero page. Whoever looks first and takes the entries away then loses
 * what is written in between; so a look without any care only tells whether it is worth it, and what counts is the one
 * after all entries are parked, CPUs flushed, and no reference but ours is left.
 */
#include "mm/vm/reclaim.h"

#include "mm/lru.h"
#include "mm/reclaim.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vmstat.h"

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

/* ---- zeros ---- */

NO_THREAD_SANITIZER static bool is_zero(const struct page *page)
{
	const uint64_t *word = page_bytes(page), *end = word + (PAGE_SIZE << page_map_order(page)) / sizeof(*word);

	while (word < end && !*word)
		word++;
	return word == end;
}

static bool may_be_zero(const struct page *page)
{
	return reclaim_zero_pages() && !page_is(page, PAGE_MLOCKED | PAGE_KSM | PAGE_SHARED) &&
	       load_relaxed(&page->refcount) == load_relaxed(&page->mapcount) + 1 && is_zero(page);
}

static bool drop_zeros(struct page *page)
{
	struct parking parking = page_park_entries(page);
	uint32_t mine = 1;
	bool zero = false;

	if (atomic_cas(&page->refcount, &mine, 0)) {
		zero = is_zero(page);
		store_release(&page->refcount, 1u);
	}
	if (zero)
		page_unpark_as_zeros(&parking);
	else
		page_unpark_entries(&parking, page);
	if (zero)
		vm_events(swpout_zero, 1u << page_map_order(page));
	return zero;
}

static bool try_free(struct page *page, bool gently UNUSED)
{
	bool given_up = page_is(page, PAGE_LAZY_FREE), dropped;

	if ((!given_up && !may_be_zero(page)) || !page_trylock(page))
		return false;
	dropped = given_up ? drop_clean(page) : drop_zeros(page);
	page_unlock(page);
	return dropped;
}

static const struct lru_owner_ops lru_ops = {.try_free = try_free};

void vm_reclaim_init(void)
{
	lru_register_owner(PAGE_OWNER_ANON, &lru_ops);
}
