/*
 * Advice about ranges.
 *
 * DONTNEED drops pages at once. FREE lets them be dropped later, unless written to first: their entries are made clean,
 * and who reclaims looks whether they still are. COLD says that they will not be used soon; PAGEOUT wants them gone
 * now, which without swap means those that may be dropped. The last three ask for LRU pages: device memory is not
 * reclaimed.
 */
#include "mm/lru.h"
#include "mm/reclaim.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "mm/vm/reclaim.h"
#include "mm/vm/zap.h"
#include "mm/vmstat.h"

static struct page *lru_page(const struct table_walk *walk, uint64_t address, uint64_t value)
{
	return pte_maps(value) ? vm_normal_lru_page(walk->area, address, value) : NULL;
}

static int make_cold(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct page *page = lru_page(walk, address, entry_get(entry));

	if (!page || load_relaxed(&page->mapcount) != 1)
		return 0;
	entry_clear_bits(entry, PTE_ACCESSED);
	page_deactivate(page);
	return 0;
}

static int make_free(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct page *page = lru_page(walk, address, entry_get(entry));

	if (!page || load_relaxed(&page->mapcount) != 1 || !page_owner_is_anon(page) || page_is(page, PAGE_KSM))
		return 0;
	entry_clear_bits(entry, PTE_ACCESSED | PTE_DIRTY);
	lru_change(page, PAGE_LAZY_FREE, PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE);
	vm_events(pglazyfree, entry_get(entry) & PTE_HUGE ? PTE_ENTRIES : 1);
	return 0;
}

/* What is shared would be shared no more once it was dropped. */
static bool is_private_anon(const struct area *area)
{
	return area_is_anon(area) && !(area->flags & AREA_SHARED);
}

static void walk_area(struct mm *mm, struct area *area, uint64_t start, uint64_t end, enum madvise advice)
{
	struct table_walk walk = {.mm = mm, .area = area, .page = advice == MADV_FREE ? make_free : make_cold};

	if (advice != MADV_FREE)
		walk.huge = make_cold;
	else if (start == ALIGN_DOWN(start, HUGE_BYTES))
		walk.huge = make_free;
	(void)table_walk(&walk, start, end);
	address_space_flush(&mm->space, start, end - start);
}

/* Pages that may be dropped are; the others are cold. */
static void page_out(struct mm *mm, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		struct page *page = follow_page(mm, at, FOLL_LRU);

		bool isolated = page && lru_isolate(page);

		if (page)
			page_put(page);
		if (isolated)
			(void)reclaim_isolated(page, false);
	}
}

static int set_flags(struct mm *mm, uint64_t start, uint64_t end, uint32_t set, uint32_t clear)
{
	int error = area_isolate(mm, start, end);

	if (!error)
		for_each_area(area, mm, start, end)
			area->flags = (area->flags | set) & ~clear;
	area_merge(mm, start, end);
	return error;
}

static int advise_areas(struct mm *mm, uint64_t start, uint64_t end, enum madvise advice)
{
	uint64_t at = start;
	int error = 0;

	for_each_area(area, mm, start, end) {
		uint64_t first = MAX(start, area->start), last = MIN(end, area->end);

		if (area->start > at)
			error = -ENOMEM;
		at = area->end;
		if (advice == MADV_DONTNEED && !(area->flags & AREA_LOCKED))
			zap_range(mm, area, first, last);
		else if (advice == MADV_DONTNEED || (advice == MADV_FREE && !is_private_anon(area)))
			return -EINVAL;
		else
			walk_area(mm, area, first, last, advice);
	}
	return at < end ? -ENOMEM : error;
}

static int advise_locked(struct mm *mm, uint64_t start, uint64_t end, enum madvise advice)
{
	switch (advice) {
	case MADV_MERGEABLE:
		return set_flags(mm, start, end, AREA_MERGEABLE, 0);
	case MADV_UNMERGEABLE:
		return set_flags(mm, start, end, 0, AREA_MERGEABLE);
	case MADV_HUGEPAGE:
		return set_flags(mm, start, end, AREA_HUGE, AREA_NOHUGE);
	case MADV_NOHUGEPAGE:
		return set_flags(mm, start, end, AREA_NOHUGE, AREA_HUGE);
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_COLD:
	case MADV_PAGEOUT:
		return advise_areas(mm, start, end, advice);
	case MADV_COLLAPSE:
		return 0;
	}
	return -EINVAL;
}

static int collapse_range(struct mm *mm, uint64_t start, uint64_t end)
{
	int error = 0;

	for (start = ALIGN_UP(start, HUGE_BYTES); start + HUGE_BYTES <= end; start += HUGE_BYTES) {
		int one = huge_collapse(mm, start);

		error = error ? error : one;
	}
	return error;
}

int mm_madvise(struct mm *mm, uint64_t start, uint64_t bytes, enum madvise advice)
{
	uint64_t end = start + bytes;
	int error;

	if (!IS_ALIGNED(start | bytes, PAGE_SIZE) || end < start)
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = advise_locked(mm, start, end, advice);
	mutex_unlock(&mm->lock);
	if (error && error != -ENOMEM)
		return error;
	if (advice == MADV_UNMERGEABLE)
		return ksm_unmerge(mm, start, bytes);
	if (advice == MADV_COLLAPSE)
		return collapse_range(mm, start, end);
	if (advice == MADV_PAGEOUT)
		page_out(mm, start, end);
	return error;
}
