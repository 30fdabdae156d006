/*
 * Taking entries away.
 *
 * Entries are emptied a table at a time; their pages are gathered, the range is flushed, and only then references are
 * put: until the flush another CPU may still write to the page. What was gathered holds its reference, so nobody takes
 * the page for unused meanwhile; its map count has fallen already. A flush costs more than a huge entry, so it waits
 * for several of them; the space's lock is held until it is done.
 */
#include "mm/vm/zap.h"

#include "kernel/panic.h"
#include "mm/lru.h"
#include "mm/vm/page.h"

/* What may be left over from tables before, and one table's worth. */
#define LEFT_OVER  64u
#define GATHER_MAX (LEFT_OVER + PTE_ENTRIES)

struct zap {
	struct table_walk walk;
	uint64_t flush_start, flush_end;
	size_t count;
	struct page **pages; /* GATHER_MAX */
};

/* The page of an entry that was taken out, counted out, its reference still there; NULL: nobody counts it. */
static struct page *count_out(struct mm *mm, struct area *area, uint64_t address, uint64_t old)
{
	bool huge = old & PTE_HUGE && !(old & PTE_PART);
	struct page *page;

	if (huge && (pte_maps(old) || pte_parked(old)))
		mm->counters[MM_HUGE]--;
	if (pte_parked(old) == PTE_PARKED_MIGRATION)
		return NULL;
	page = pte_maps(old) ? vm_normal_any_page(area, address, old) : pfn_to_page(pte_pfn(old));
	if (!page)
		return NULL;
	if (old & PTE_DIRTY) /* a file's is since its entry became writable */
		page_mark(page, PAGE_DIRTY);
	if (unlikely(area->flags & AREA_LOCKED) && page_is(page, PAGE_MLOCKED))
		lru_change(page, 0, PAGE_MLOCKED);
	mm_count(mm, page, -1, huge);
	page_unmapped(page);
	return page;
}

void zap_old_entry(struct mm *mm, struct area *area, uint64_t address, uint64_t old)
{
	struct page *page = old ? count_out(mm, area, address, old) : NULL;

	if (page)
		page_put(page);
}

static int zap_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct zap *zap = container_of(walk, struct zap, walk);
	uint64_t old = entry_exchange(entry, 0);
	struct page *page;

	page = count_out(walk->mm, walk->area, address, old);
	if (page) {
		DEBUG_ASSERT(zap->count < GATHER_MAX, "no room at 0x%lx", address);
		zap->pages[zap->count++] = page;
	}
	if (pte_maps(old)) {
		if (!zap->flush_end)
			zap->flush_start = address;
		zap->flush_end = address + (old & PTE_HUGE ? HUGE_BYTES : PAGE_SIZE);
	}
	return 0;
}

static int zap_huge(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t *spare = table_take_spare(walk->mm);

	table_free(walk->mm, spare);
	return zap_entry(walk, address, entry);
}

static void put_gathered(struct zap *zap)
{
	if (zap->flush_end)
		address_space_flush(&zap->walk.mm->space, zap->flush_start, zap->flush_end - zap->flush_start);
	page_put_all(zap->pages, zap->count);
	zap->count = 0;
	zap->flush_end = 0;
}

/* Is there room for another table's? */
static void make_room(struct table_walk *walk)
{
	struct zap *zap = container_of(walk, struct zap, walk);

	if (zap->count > LEFT_OVER)
		put_gathered(zap);
}

void zap_range(struct mm *mm, struct area *area, uint64_t start, uint64_t end)
{
	struct page *pages[GATHER_MAX];
	struct zap zap = {
		.walk = {.mm = mm, .area = area, .page = zap_entry, .huge = zap_huge, .between = make_room},
		.pages = pages,
	};

	(void)table_walk(&zap.walk, start, end);
	put_gathered(&zap);
}
