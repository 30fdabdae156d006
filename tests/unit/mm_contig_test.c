/*
 * Contiguous ranges and CMA areas: what moves out of the way, what does not, who may use an area.
 */
#include "mm/contig.h"

#include "kernel/kasan.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/cma.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"
#include "tests/unit/mm_fixture.h"
#include "tests/unit/movable_owner.h"

#define RANGE	   (1u << MAX_ORDER) /* pages */
#define GFP_DRIVER (GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DRIVER))

/* A largest block of the machine's memory as blocks of @order, slot n the n-th of them. */
struct range {
	struct movable_owner *owner;
	uint64_t first_pfn;
};

static struct range make_range(struct ktest *t, unsigned int order)
{
	struct page *page = alloc_pages(GFP_USER | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), MAX_ORDER);
	struct range range = {0};

	if (!page)
		return range;
	range.first_pfn = page_to_pfn(page);
	range.owner = movable_owner_new(t, zone_of_pfn(range.first_pfn), RANGE);
	if (order < MAX_ORDER)
		split_page(page, order);
	for (uint32_t slot = 0; range.owner && slot < RANGE >> order; slot++)
		mo_adopt(range.owner, slot, pfn_to_page(range.first_pfn + (slot << order)), order);
	return range;
}

static void expect_whole_again(struct ktest *t, const struct range *range)
{
	EXPECT(t, mo_check(range->owner));
	EXPECT_EQ(t, range->owner->zone->nr_isolated_pageblocks, 0u);
	EXPECT_OK(t, memory_check());
}

static void expect_taken(struct ktest *t, uint64_t first_pfn, uint64_t end_pfn)
{
	for (uint64_t pfn = first_pfn; pfn < end_pfn; pfn++) {
		const struct page *page = pfn_to_page(pfn);

		if (page_owner(page) != PAGE_OWNER_DRIVER || page_order(page) || page->refcount != 1) {
			ktest_fail(t, __FILE__, __LINE__, "pfn 0x%lx was not taken", pfn);
			return;
		}
	}
}

/* Somebody else's page, at this very place. */
static bool take_page_at(struct zone *zone, uint64_t pfn, enum page_owner owner)
{
	uint32_t index = (uint32_t)(pfn - zone->start_pfn);
	bool taken;

	pcp_drain_all(zone);
	spin_lock(&zone->lock);
	taken = buddy_take_range_locked(zone, index, 1);
	spin_unlock(&zone->lock);
	if (taken) {
		pcp_adopt(zone, index, 0, owner);
		kasan_unpoison(page_address(zone_page(zone, index)), PAGE_SIZE);
	}
	return taken;
}

KTEST(contig, what_is_in_the_way_moves)
{
	struct range range = make_range(t, 0);

	REQUIRE(t, range.owner);
	mo_thin_out(range.owner, 0, RANGE, 2);
	REQUIRE_OK(t, alloc_contig_range(range.first_pfn, range.first_pfn + RANGE, GFP_DRIVER | GFP_ZERO));
	EXPECT_EQ(t, range.owner->moves, RANGE / 2);
	expect_taken(t, range.first_pfn, range.first_pfn + RANGE);
	EXPECT_EQ(t, *(uint64_t *)page_address(pfn_to_page(range.first_pfn)), 0u);
	expect_whole_again(t, &range);
	free_contig_range(range.first_pfn, RANGE);
	expect_whole_again(t, &range);
}

KTEST(contig, a_whole_pageblock_moves_as_one)
{
	struct range range = make_range(t, PAGEBLOCK_ORDER);

	REQUIRE(t, range.owner);
	mo_give(range.owner, 0);
	REQUIRE_OK(t, alloc_contig_range(range.first_pfn, range.first_pfn + RANGE, GFP_DRIVER));
	EXPECT_EQ(t, range.owner->moves, 1u);
	expect_taken(t, range.first_pfn, range.first_pfn + RANGE);
	free_contig_range(range.first_pfn, RANGE);
	expect_whole_again(t, &range);
}

KTEST(contig, the_largest_block_moves_when_its_second_half_is_wanted)
{
	struct range range = make_range(t, MAX_ORDER);
	uint64_t middle = range.first_pfn + PAGEBLOCK_PAGES;

	REQUIRE(t, range.owner);
	REQUIRE_OK(t, alloc_contig_range(middle + 10, middle + 20, GFP_DRIVER));
	EXPECT_EQ(t, range.owner->moves, 1u);
	expect_taken(t, middle + 10, middle + 20);
	free_contig_range(middle + 10, 10);
	expect_whole_again(t, &range);
}

KTEST(contig, a_range_may_begin_and_end_within_blocks)
{
	struct range range = make_range(t, 3);
	uint64_t first = range.first_pfn + 100, end = range.first_pfn + 700;

	REQUIRE(t, range.owner);
	REQUIRE_OK(t, alloc_contig_range(first, end, GFP_DRIVER));
	/* Blocks 12 (pages 96 to 103) to 87 (696 to 703). */
	EXPECT_EQ(t, range.owner->moves, 76u);
	EXPECT(t, range.owner->slots[11].page == pfn_to_page(range.first_pfn + 88));
	EXPECT(t, range.owner->slots[88].page == pfn_to_page(range.first_pfn + 704));
	expect_taken(t, first, end);
	EXPECT(t, page_owner(pfn_to_page(first - 1)) != PAGE_OWNER_DRIVER);
	EXPECT(t, page_owner(pfn_to_page(end)) != PAGE_OWNER_DRIVER);
	expect_whole_again(t, &range);
	free_contig_range(first, end - first);
	expect_whole_again(t, &range);
}

KTEST(contig, what_does_not_move_makes_it_fail_and_nothing_else)
{
	struct range range = make_range(t, 0);

	REQUIRE(t, range.owner);
	range.owner->busy_slot = RANGE - 1;
	EXPECT_EQ(t, alloc_contig_range(range.first_pfn, range.first_pfn + RANGE, GFP_DRIVER), -EBUSY);
	expect_whole_again(t, &range);
	EXPECT_EQ(t, mo_slot_at(range.owner, zone_index(range.owner->zone, pfn_to_page(range.first_pfn + RANGE - 1))),
		  RANGE - 1);
	/* Without that one page it works. */
	EXPECT_OK(t, alloc_contig_range(range.first_pfn, range.first_pfn + RANGE - 1, GFP_DRIVER));
	free_contig_range(range.first_pfn, RANGE - 1);
	expect_whole_again(t, &range);
}

KTEST(contig, pages_that_cannot_move_are_seen_before_anything_moves)
{
	struct range range = make_range(t, 0);

	REQUIRE(t, range.owner);
	mo_give(range.owner, RANGE - 1);
	REQUIRE(t, take_page_at(range.owner->zone, range.first_pfn + RANGE - 1, PAGE_OWNER_KERNEL));
	EXPECT_EQ(t, alloc_contig_range(range.first_pfn, range.first_pfn + RANGE, GFP_DRIVER), -EBUSY);
	EXPECT_EQ(t, range.owner->moves, 0u);
	free_pages(pfn_to_page(range.first_pfn + RANGE - 1), 0);
	expect_whole_again(t, &range);
}

KTEST(contig, what_is_no_memory_of_one_zone_is_refused)
{
	const struct zone *zone = memory.nodes[0].zonelist[0];
	uint64_t end = zone->start_pfn + zone->spanned_pages;

	EXPECT_EQ(t, alloc_contig_range(zone->start_pfn + 8, zone->start_pfn + 8, GFP_DRIVER), -EINVAL);
	EXPECT_EQ(t, alloc_contig_range(end - 8, end + 8, GFP_DRIVER), -EINVAL);
	EXPECT_EQ(t, alloc_contig_range(1ull << 45, (1ull << 45) + 8, GFP_DRIVER), -EINVAL);
	/* The legacy hole from 640 KiB to 1 MiB. */
	EXPECT_EQ(t, alloc_contig_range(150, 170, GFP_DRIVER), -EINVAL);
}

/* ---- areas --------------------------------------------------------------------------------------------------------
 */

static void undeclare(void *cma)
{
	cma_undeclare(cma);
}

static struct cma *make_area(struct ktest *t, uint64_t bytes)
{
	static struct cma cma;

	cma = (struct cma){0};
	if (cma_declare(&cma, "test", bytes, 0) != 0)
		return NULL;
	ktest_defer(t, undeclare, &cma);
	return &cma;
}

/* A movable page at this very place. */
static void put_page_at(struct movable_owner *owner, uint32_t slot, uint64_t pfn)
{
	if (take_page_at(owner->zone, pfn, PAGE_OWNER_TEST))
		mo_adopt(owner, slot, pfn_to_page(pfn), 0);
}

KTEST(cma, an_allocation_moves_movable_pages_out)
{
	struct cma *cma = make_area(t, MIB(7));
	struct movable_owner *owner;
	struct page *page;

	REQUIRE(t, cma);
	EXPECT_EQ(t, cma->pages, MIB(8) / PAGE_SIZE);
	EXPECT_EQ(t, zone_free_of_type(cma->zone, MIGRATE_CMA), cma->pages);
	owner = movable_owner_new(t, cma->zone, 64);
	REQUIRE(t, owner);
	for (uint32_t slot = 0; slot < 64; slot++)
		put_page_at(owner, slot, cma->first_pfn + 31 * slot);
	page = cma_alloc(cma, 1000, 0, GFP_DRIVER);
	REQUIRE(t, page);
	EXPECT_EQ(t, page_to_pfn(page), cma->first_pfn);
	EXPECT_EQ(t, owner->moves, 33u);
	expect_taken(t, cma->first_pfn, cma->first_pfn + 1000);
	EXPECT(t, cma_release(cma, page, 1000));
	EXPECT(t, mo_check(owner));
	for (uint32_t slot = 0; slot < 64; slot++)
		mo_give(owner, slot);
	EXPECT_EQ(t, zone_free_of_type(cma->zone, MIGRATE_CMA), cma->pages);
	EXPECT_OK(t, memory_check());
}

KTEST(cma, a_busy_place_is_passed_over)
{
	struct cma *cma = make_area(t, MIB(4));
	struct movable_owner *owner;
	struct page *page;

	REQUIRE(t, cma);
	owner = movable_owner_new(t, cma->zone, 1);
	REQUIRE(t, owner);
	owner->busy_slot = 0;
	put_page_at(owner, 0, cma->first_pfn + 3);
	page = cma_alloc(cma, 16, 4, GFP_DRIVER);
	REQUIRE(t, page);
	EXPECT_EQ(t, page_to_pfn(page), cma->first_pfn + 16);
	EXPECT(t, cma_release(cma, page, 16));
	EXPECT(t, mo_check(owner));
	mo_give(owner, 0);
}

KTEST(cma, places_are_used_up_and_come_back)
{
	struct cma *cma = make_area(t, MIB(4));
	struct page *first, *second, *third;
	uint64_t failed = vm_event_read(VM_EVENT_cma_alloc_fail);

	REQUIRE(t, cma);
	first = cma_alloc(cma, 3, 0, GFP_DRIVER);
	second = cma_alloc(cma, 512, PAGEBLOCK_ORDER, GFP_DRIVER);
	REQUIRE(t, first && second);
	EXPECT_EQ(t, page_to_pfn(second), cma->first_pfn + 512);
	EXPECT(t, !cma_alloc(cma, 510, 0, GFP_DRIVER));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_cma_alloc_fail) - failed, 1u);
	third = cma_alloc(cma, 509, 0, GFP_DRIVER);
	REQUIRE(t, third);
	EXPECT_EQ(t, page_to_pfn(third), cma->first_pfn + 3);
	EXPECT(t, !cma_alloc(cma, 1, 0, GFP_DRIVER) && !cma_alloc(cma, 0, 0, GFP_DRIVER));
	EXPECT(t, !cma_release(cma, second, 513));
	EXPECT(t, !cma_release(cma, pfn_to_page(cma->first_pfn - 1), 1));
	EXPECT(t, cma_release(cma, first, 3) && cma_release(cma, second, 512) && cma_release(cma, third, 509));
	EXPECT_OK(t, memory_check());
}

KTEST(cma, only_movable_requests_use_an_area)
{
	struct zone *zone = fixture_zone(t, 8 * PAGEBLOCK_PAGES);
	struct alloc_request *unmovable = fixture_request(PAGEBLOCK_ORDER, MIGRATE_UNMOVABLE, PAGE_OWNER_KERNEL);
	struct alloc_request *movable = fixture_request(PAGEBLOCK_ORDER, MIGRATE_MOVABLE, PAGE_OWNER_TEST);
	static const bool from_area[] = {true, true, false, true, false, true, false, false};

	spin_lock(&zone->lock);
	for (uint32_t number = 3; number < 8; number++)
		buddy_set_migratetype_locked(zone, number, MIGRATE_CMA);
	zone->cma_pages = 5 * PAGEBLOCK_PAGES;
	spin_unlock(&zone->lock);
	/* 5 of 8 free pageblocks are in the area: it comes first until it has no more than half. */
	EXPECT(t, watermark_ok_movable(zone, 0, 8 * PAGEBLOCK_PAGES - 1, ZONE_DMA));
	EXPECT(t, watermark_ok(zone, 0, 3 * PAGEBLOCK_PAGES - 1, ZONE_DMA));
	EXPECT(t, !watermark_ok(zone, 0, 3 * PAGEBLOCK_PAGES, ZONE_DMA));
	for (size_t at = 0; at < 5; at++)
		EXPECT_EQ(t, pcp_bypass_take(zone, movable) >= 3 * PAGEBLOCK_PAGES, from_area[at]);
	/* One ordinary pageblock is left, and two of the area. */
	EXPECT(t, pcp_bypass_take(zone, unmovable) < 3 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pcp_bypass_take(zone, unmovable), ZONE_INDEX_NONE);
	EXPECT(t, !watermark_ok(zone, PAGEBLOCK_ORDER, 0, ZONE_DMA));
	EXPECT(t, watermark_ok_movable(zone, PAGEBLOCK_ORDER, 0, ZONE_DMA));
	EXPECT(t, pcp_bypass_take(zone, movable) != ZONE_INDEX_NONE);
	EXPECT(t, pcp_bypass_take(zone, movable) != ZONE_INDEX_NONE);
	EXPECT_EQ(t, pcp_bypass_take(zone, movable), ZONE_INDEX_NONE);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(cma, an_area_is_used_up_before_anything_is_stolen)
{
	struct zone *zone = fixture_zone(t, 8 * PAGEBLOCK_PAGES);
	struct alloc_request *movable = fixture_request(PAGEBLOCK_ORDER, MIGRATE_MOVABLE, PAGE_OWNER_TEST);

	spin_lock(&zone->lock);
	for (uint32_t number = 0; number < 8; number++)
		buddy_set_migratetype_locked(zone, number, number < 6 ? MIGRATE_UNMOVABLE : MIGRATE_CMA);
	zone->cma_pages = 2 * PAGEBLOCK_PAGES;
	spin_unlock(&zone->lock);
	EXPECT_EQ(t, pcp_bypass_take(zone, movable), 6 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pcp_bypass_take(zone, movable), 7 * PAGEBLOCK_PAGES);
	EXPECT(t, pcp_bypass_take(zone, movable) < 6 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, zone_check(zone));
}
