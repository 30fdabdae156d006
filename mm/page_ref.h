/*
 * References, flags and the page lock of pages that several know of: page cache, anonymous and device pages.
 *
 * Whoever drops the last reference frees the page, taking it off its LRU list first. Flags are changed atomically, so
 * that different ones may have different owners. The first page of a block stands for it.
 */
#pragma once

#include "lib/atomic.h"
#include "mm/page.h"

static inline void page_get_many(struct page *page, uint32_t count)
{
	atomic_fetch_add(&page->refcount, count);
}
static inline void page_get(struct page *page)
{
	page_get_many(page, 1);
}
/* One more, unless there is none: then somebody is freeing it. */
bool page_get_unless_zero(struct page *page) MUST_CHECK;
/* Drops one; the last one frees it. Never sleeps; takes the LRU lists' lock. */
void page_put(struct page *page);
void page_put_many(struct page *page, uint32_t count);
/* One reference to each of @pages, whose order is changed. */
void page_put_all(struct page **pages, size_t count);
/* Told of last references to merged and device pages, before anything is done about them; true: it took the page over.
 * Once, at boot. */
void page_on_last_put(bool (*hook)(struct page *page));

static inline bool page_is(const struct page *page, uint32_t flag)
{
	return load_relaxed(&page->flags) & flag;
}
static inline void page_mark(struct page *page, uint32_t flag)
{
	if (!page_is(page, flag))
		(void)atomic_fetch_or(&page->flags, flag);
}
/* True if it had been set. */
static inline bool page_unmark(struct page *page, uint32_t flag)
{
	return page_is(page, flag) && (atomic_fetch_and(&page->flags, ~flag) & flag);
}

/* PAGE_LOCKED: one at a time fills, moves, merges, splits, unmaps or drops a page. True: it is the caller's. */
static inline bool page_trylock(struct page *page)
{
	return !(atomic_fetch_or(&page->flags, PAGE_LOCKED) & PAGE_LOCKED);
}
/* May sleep. The caller has a reference. */
void page_lock(struct page *page);
void page_unlock(struct page *page);
