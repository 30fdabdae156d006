/*
 * The reserve for atomic requests: how large it gets, who may use it, how it dissolves.
 */
#include "mm/highatomic.h"

#include "mm/buddy.h"
#include "mm/pcp.h"
#include "mm/watermark.h"
#include "tests/unit/mm_fixture.h"

static uint32_t take(struct zone *zone, unsigned int order, uint32_t flags)
{
	struct alloc_request request = *fixture_request(order, MIGRATE_UNMOVABLE, PAGE_OWNER_TEST);

	request.flags = flags;
	return pcp_bypass_take(zone, &request);
}

KTEST(highatomic, a_pageblock_is_reserved_and_others_do_not_get_it)
{
	struct zone *zone = fixture_zone(t, 16 * PAGEBLOCK_PAGES);
	uint32_t first = take(zone, 2, ALLOC_HIGHATOMIC | ALLOC_MAY_RESERVE);
	uint32_t number = first / PAGEBLOCK_PAGES;

	EXPECT_EQ(t, zone->pageblocks[number].migratetype, MIGRATE_HIGHATOMIC);
	EXPECT_EQ(t, zone->nr_highatomic_pageblocks, 1u);
	EXPECT(t, take(zone, 2, 0) / PAGEBLOCK_PAGES != number);
	EXPECT_EQ(t, take(zone, 2, ALLOC_HIGHATOMIC) / PAGEBLOCK_PAGES, number);
	/* 1 % of 16 pageblocks is one. */
	take(zone, 2, ALLOC_MAY_RESERVE);
	EXPECT_EQ(t, zone->nr_highatomic_pageblocks, 1u);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(highatomic, its_free_pages_count_for_atomic_requests_only)
{
	struct zone *zone = fixture_zone(t, 16 * PAGEBLOCK_PAGES);
	uint64_t reserved;

	take(zone, 0, ALLOC_MAY_RESERVE);
	reserved = PAGEBLOCK_PAGES - 1;
	EXPECT(t, watermark_ok_atomic(zone, 0, zone->free_pages - 1, ZONE_DMA));
	EXPECT(t, !watermark_ok(zone, 0, zone->free_pages - 1, ZONE_DMA));
	EXPECT(t, watermark_ok(zone, 0, zone->free_pages - 1 - reserved, ZONE_DMA));
}

KTEST(highatomic, it_dissolves_when_asked_to)
{
	struct zone *zone = fixture_zone(t, 16 * PAGEBLOCK_PAGES);
	uint32_t number = take(zone, 0, ALLOC_MAY_RESERVE) / PAGEBLOCK_PAGES;

	EXPECT(t, highatomic_unreserve(zone, MIGRATE_MOVABLE));
	EXPECT_EQ(t, zone->pageblocks[number].migratetype, MIGRATE_MOVABLE);
	EXPECT_EQ(t, zone->nr_highatomic_pageblocks, 0u);
	EXPECT(t, !highatomic_unreserve(zone, MIGRATE_MOVABLE));
	EXPECT_OK(t, buddy_check(zone));
}
