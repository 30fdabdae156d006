/*
 * Zones: what is present, reserved and free, page by page; and whether zone_check() sees what is wrong.
 */
#include "mm/zone.h"

#include "mm/buddy.h"
#include "mm/pcp.h"
#include "tests/unit/mm_fixture.h"

KTEST(zone, a_fresh_zone_is_free_in_the_largest_blocks)
{
	struct zone *zone = fixture_zone(t, 6 * PAGEBLOCK_PAGES);

	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 3u);
	EXPECT_EQ(t, zone->managed_pages, 6u * PAGEBLOCK_PAGES);
	EXPECT_OK(t, zone_check(zone));
	/* No pageblock was touched. */
	for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
		EXPECT(t, !(zone->pageblocks[number].flags & (PAGEBLOCK_TAGGED | PAGEBLOCK_READY)));
}

KTEST(zone, holes_and_reserved_ranges_are_told_apart)
{
	struct zone *zone = fixture_empty_zone(t, 4 * PAGEBLOCK_PAGES);

	zone_add_present(zone, 1, 159); /* the first page and what is behind 636 KiB are missing */
	zone_add_present(zone, 256, 3 * PAGEBLOCK_PAGES);
	zone_add_free(zone, 3, 100);
	zone_add_free(zone, 300, PAGEBLOCK_PAGES + 17);
	EXPECT_OK(t, zone_check(zone));
	EXPECT_EQ(t, zone->present_pages, 158u + 1280u);
	EXPECT_EQ(t, zone->free_pages, 97u + 229u);
	EXPECT_EQ(t, zone_tag(zone, 0), TAG_ABSENT);
	EXPECT_EQ(t, zone_tag(zone, 1), TAG(PAGE_OWNER_RESERVED, 0));
	EXPECT_EQ(t, zone_tag(zone, 3), TAG_NONE);
	EXPECT_EQ(t, zone_tag(zone, 200), TAG_ABSENT);
	EXPECT_EQ(t, zone_tag(zone, PAGEBLOCK_PAGES + 17), TAG(PAGE_OWNER_RESERVED, 0));
	EXPECT_EQ(t, zone_tag(zone, 2 * PAGEBLOCK_PAGES + 5), TAG(PAGE_OWNER_RESERVED, 0));
	EXPECT_EQ(t, zone_tag(zone, 3 * PAGEBLOCK_PAGES), TAG_ABSENT);
}

KTEST(zone, a_pageblock_freed_piece_by_piece_becomes_whole)
{
	struct zone *zone = fixture_empty_zone(t, 2 * PAGEBLOCK_PAGES);

	zone_add_present(zone, 0, 2 * PAGEBLOCK_PAGES);
	zone_add_free(zone, 0, 5);
	zone_add_free(zone, 5, PAGEBLOCK_PAGES);
	zone_add_free(zone, PAGEBLOCK_PAGES, 2 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 1u);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(zone, a_pageblock_present_in_two_pieces_is_freed_among_others)
{
	struct zone *zone = fixture_empty_zone(t, 6 * PAGEBLOCK_PAGES);

	zone_add_present(zone, 0, 2 * PAGEBLOCK_PAGES + 100);
	zone_add_present(zone, 2 * PAGEBLOCK_PAGES + 100, 6 * PAGEBLOCK_PAGES);
	zone_add_free(zone, 0, 6 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 3u);
	EXPECT_EQ(t, zone->free_pages, 6u * PAGEBLOCK_PAGES);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(zone, the_check_sees_a_page_that_nobody_has)
{
	struct zone *zone = fixture_zone(t, 2 * PAGEBLOCK_PAGES);
	uint32_t index = pcp_bypass_take(zone, fixture_request(0, MIGRATE_MOVABLE, PAGE_OWNER_TEST));

	EXPECT_OK(t, zone_check(zone));
	zone->tags[index] = TAG_NONE;
	EXPECT(t, zone_check(zone));
	zone->tags[index] = TAG(PAGE_OWNER_KERNEL, 0);
	EXPECT(t, zone_check(zone));
	zone->tags[index] = TAG(PAGE_OWNER_TEST, 0);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(zone, the_check_sees_wrong_bits_and_counts)
{
	struct zone *zone = fixture_zone(t, 2 * PAGEBLOCK_PAGES);
	uint32_t index = pcp_bypass_take(zone, fixture_request(0, MIGRATE_MOVABLE, PAGE_OWNER_TEST));

	zone->pageblocks[0].map[3] ^= 1;
	EXPECT(t, zone_check(zone));
	zone->pageblocks[0].map[3] ^= 1;
	zone->free_pages++;
	EXPECT(t, zone_check(zone));
	zone->free_pages--;
	zone->free_blocks[2][MIGRATE_MOVABLE]++;
	EXPECT(t, zone_check(zone));
	zone->free_blocks[2][MIGRATE_MOVABLE]--;
	block_set_remove(&zone->shape, zone_set(zone, 2, MIGRATE_MOVABLE), 0);
	EXPECT(t, zone_check(zone));
	block_set_add(&zone->shape, zone_set(zone, 2, MIGRATE_MOVABLE), 0);
	pcp_give(zone, index, 0);
	EXPECT_OK(t, zone_check(zone));
}
