/*
 * Locking areas in memory: their pages are brought in and marked, which takes them off the lists that reclaim scans.
 *
 * The mark is the page's, the lock the area's: a page that a fork shares loses its mark with the first munlock. Device
 * memory is never reclaimed and is not marked: LRU pages only.
 */
#include "mm/lru.h"
#include "mm/vm/consumers.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

static struct page *lru_page(const struct area *area, uint64_t address, uint64_t value)
{
	return pte_maps(value) ? vm_normal_lru_page(area, address, value) : NULL;
}

void mlock_page(const struct area *area, uint64_t address, uint64_t entry)
{
	struct page *page = lru_page(area, address, entry);

	if (page)
		lru_change(page, PAGE_MLOCKED, 0);
}

static int mark(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	mlock_page(walk->area, address, entry_get(entry));
	return 0;
}

static int unmark(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct page *page = lru_page(walk->area, address, entry_get(entry));

	if (page)
		lru_change(page, 0, PAGE_MLOCKED);
	return 0;
}

static void lock_area(struct mm *mm, struct area *area, bool lock)
{
	struct table_walk walk = {.mm = mm, .area = area, .page = lock ? mark : unmark, .huge = lock ? mark : unmark};
	uint64_t pages = (area->end - area->start) >> PAGE_SHIFT;

	if (!!(area->flags & AREA_LOCKED) == lock)
		return;
	area->flags ^= AREA_LOCKED;
	mm->locked_pages += lock ? pages : -pages;
	(void)table_walk(&walk, area->start, area->end);
}

static int change(struct mm *mm, uint64_t start, uint64_t bytes, bool lock)
{
	uint64_t at = start, end = start + bytes;
	int error;

	if (!IS_ALIGNED(start | bytes, PAGE_SIZE) || end < start)
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = area_isolate(mm, start, end);
	if (!error)
		for_each_area(area, mm, start, end) {
			if (area->start > at)
				break;
			lock_area(mm, area, lock);
			at = area->end;
		}
	area_merge(mm, start, end);
	mutex_unlock(&mm->lock);
	return error ? error : at < end ? -ENOMEM : 0;
}

int mm_mlock_on_fault(struct mm *mm, uint64_t start, uint64_t bytes)
{
	return change(mm, start, bytes, true);
}

int mm_mlock(struct mm *mm, uint64_t start, uint64_t bytes)
{
	int error = change(mm, start, bytes, true);

	return error ? error : mm_populate(mm, start, bytes);
}

int mm_munlock(struct mm *mm, uint64_t start, uint64_t bytes)
{
	return change(mm, start, bytes, false);
}
