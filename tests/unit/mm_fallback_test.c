/*
 * Falling back: whose memory is taken, which block of it, and when the pageblock changes its type.
 */
#include "mm/fallback.h"

#include "lib/errno.h"
#include "mm/buddy.h"
#include "mm/pcp.h"
#include "tests/unit/mm_fixture.h"

static struct page *take(struct zone *zone, unsigned int order, enum migratetype mt)
{
	return buddy_alloc(zone, order, mt);
}

static enum migratetype type_of(struct zone *zone, const struct page *page)
{
	return zone->pageblocks[zone_index(zone, page) / PAGEBLOCK_PAGES].migratetype;
}

KTEST(fallback, the_largest_block_is_claimed_as_a_whole)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct page *page = take(zone, 0, MIGRATE_UNMOVABLE);

	REQUIRE(t, page);
	EXPECT_EQ(t, type_of(zone, page), MIGRATE_UNMOVABLE);
	/* The rest of the block of the top order came with it. */
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_UNMOVABLE], 1u);
	EXPECT_EQ(t, zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE], 1u);
	/* The next unmovable page comes from the same pageblock. */
	EXPECT_EQ(t, zone_index(zone, take(zone, 0, MIGRATE_UNMOVABLE)) / PAGEBLOCK_PAGES,
		  zone_index(zone, page) / PAGEBLOCK_PAGES);
	EXPECT_OK(t, buddy_check(zone));
}

/* One pageblock, movable, of which [0, used) is taken by @owner. */
static struct zone *used_zone(struct ktest *t, unsigned int used, enum page_owner owner)
{
	struct zone *zone = fixture_zone(t, PAGEBLOCK_PAGES);

	for (unsigned int at = 0; at < used; at++)
		pcp_bypass_take(zone, fixture_request(0, MIGRATE_MOVABLE, owner));
	return zone;
}

KTEST(fallback, a_half_free_pageblock_changes_its_type)
{
	struct zone *zone = used_zone(t, PAGEBLOCK_PAGES / 2, PAGE_OWNER_ANON);

	EXPECT_EQ(t, type_of(zone, take(zone, 0, MIGRATE_UNMOVABLE)), MIGRATE_UNMOVABLE);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, a_pageblock_full_of_movable_pages_keeps_its_type)
{
	struct zone *zone = used_zone(t, PAGEBLOCK_PAGES / 2 + 1, PAGE_OWNER_ANON);

	EXPECT_EQ(t, type_of(zone, take(zone, 0, MIGRATE_UNMOVABLE)), MIGRATE_MOVABLE);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, what_cannot_move_counts_as_compatible_for_what_cannot_move)
{
	struct zone *zone = used_zone(t, PAGEBLOCK_PAGES / 2 + 1, PAGE_OWNER_KERNEL);

	EXPECT_EQ(t, type_of(zone, take(zone, 0, MIGRATE_RECLAIMABLE)), MIGRATE_RECLAIMABLE);
}

/* Movable pageblocks in use by who can be moved, but for the last 2^@free pages of each. */
static struct zone *full_zone(struct ktest *t, uint32_t pageblocks, unsigned int free)
{
	struct zone *zone = fixture_zone(t, (uint64_t)pageblocks * PAGEBLOCK_PAGES);

	while (pcp_bypass_take(zone, fixture_request(free, MIGRATE_MOVABLE, PAGE_OWNER_ANON)) != ZONE_INDEX_NONE)
		;
	for (uint32_t end = PAGEBLOCK_PAGES; end <= zone->spanned_pages; end += PAGEBLOCK_PAGES)
		pcp_bypass_give(zone, end - (1u << free), free);
	return zone;
}

static uint32_t take_in(struct zone *zone, unsigned int order, enum migratetype mt)
{
	uint32_t index = pcp_bypass_take(zone, fixture_request(order, mt, PAGE_OWNER_KERNEL));

	return index == ZONE_INDEX_NONE ? index : index / PAGEBLOCK_PAGES;
}

/*
 * Regression: each took the largest block there was, and so every one of them mixed types in another pageblock. The
 * largest is in the second one once a page is missing in the first.
 */
KTEST(fallback, what_cannot_be_claimed_is_used_up_before_another_is_mixed)
{
	struct zone *zone = full_zone(t, 3, 5);

	EXPECT_EQ(t, take_in(zone, 1, MIGRATE_RECLAIMABLE), 0u);
	EXPECT_EQ(t, zone->pageblocks[0].migratetype, MIGRATE_MOVABLE);
	for (unsigned int at = 1; at < 16; at++)
		EXPECT_EQ(t, take_in(zone, 1, MIGRATE_RECLAIMABLE), 0u);
	EXPECT_EQ(t, take_in(zone, 1, MIGRATE_RECLAIMABLE), 1u);
	EXPECT_EQ(t, take_in(zone, 0, MIGRATE_UNMOVABLE), 2u); /* another type, and the largest block is there */
	EXPECT_OK(t, buddy_check(zone));
}

/* Regression: once noted it was mixed for ever, whatever the policy said. */
KTEST(fallback, a_pageblock_that_was_left_is_not_mixed_any_more)
{
	struct zone *zone = full_zone(t, 2, 5);
	struct alloc_request careful = *fixture_request(0, MIGRATE_UNMOVABLE, PAGE_OWNER_KERNEL);
	uint32_t first = pcp_bypass_take(zone, &careful), second;

	EXPECT_EQ(t, first / PAGEBLOCK_PAGES, 0u);
	careful.flags = ALLOC_NOFRAGMENT;
	second = pcp_bypass_take(zone, &careful);
	EXPECT_EQ(t, second / PAGEBLOCK_PAGES, 0u);
	pcp_bypass_give(zone, first, 0);
	pcp_bypass_give(zone, second, 0);
	EXPECT_EQ(t, pcp_bypass_take(zone, &careful), ZONE_INDEX_NONE);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, a_mixed_pageblock_that_is_isolated_or_empty_serves_nobody)
{
	struct zone *zone = full_zone(t, 2, 2);

	EXPECT_EQ(t, take_in(zone, 0, MIGRATE_UNMOVABLE), 0u);
	spin_lock(&zone->lock);
	buddy_set_migratetype_locked(zone, 0, MIGRATE_ISOLATE);
	spin_unlock(&zone->lock);
	for (unsigned int at = 0; at < 4; at++)
		EXPECT_EQ(t, take_in(zone, 0, MIGRATE_UNMOVABLE), 1u);
	EXPECT_EQ(t, take_in(zone, 0, MIGRATE_UNMOVABLE), ZONE_INDEX_NONE);
	/* Free as a whole it is anybody's, to be claimed. */
	for (uint32_t at = PAGEBLOCK_PAGES; at < 2 * PAGEBLOCK_PAGES - 4; at += 4)
		pcp_bypass_give(zone, at, 2);
	for (uint32_t at = 2 * PAGEBLOCK_PAGES - 4; at < 2 * PAGEBLOCK_PAGES; at++)
		pcp_bypass_give(zone, at, 0);
	EXPECT_EQ(t, zone_whole_pages(zone), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, take_in(zone, 0, MIGRATE_UNMOVABLE), 1u);
	EXPECT_EQ(t, zone->pageblocks[1].migratetype, MIGRATE_UNMOVABLE);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, a_movable_request_takes_the_smallest_if_all_is_small)
{
	struct zone *zone = fixture_zone(t, PAGEBLOCK_PAGES);
	struct page *page;

	spin_lock(&zone->lock);
	buddy_set_migratetype_locked(zone, 0, MIGRATE_UNMOVABLE);
	spin_unlock(&zone->lock);
	/* Leaves 1 page, 2 and 8: all below half a pageblock's order. */
	for (unsigned int order = 4; order < PAGEBLOCK_ORDER; order++)
		REQUIRE(t, take(zone, order, MIGRATE_UNMOVABLE));
	page = take(zone, 2, MIGRATE_UNMOVABLE);
	REQUIRE(t, page && take(zone, 0, MIGRATE_UNMOVABLE));
	EXPECT_EQ(t, zone->free_pages, 11u);

	page = take(zone, 0, MIGRATE_MOVABLE);
	REQUIRE(t, page);
	EXPECT_EQ(t, buddy_blocks(zone, 0), 0u);
	EXPECT_EQ(t, buddy_blocks(zone, 1), 1u);
	EXPECT_EQ(t, buddy_blocks(zone, 3), 1u);
	EXPECT_EQ(t, type_of(zone, page), MIGRATE_UNMOVABLE);
	/* An unmovable one would take the largest. */
	REQUIRE(t, take(zone, 0, MIGRATE_RECLAIMABLE));
	EXPECT_EQ(t, buddy_blocks(zone, 1), 2u);
	EXPECT_EQ(t, buddy_blocks(zone, 3), 0u);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, reclaimable_is_preferred_by_unmovable)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct page *page;

	spin_lock(&zone->lock);
	buddy_set_migratetype_locked(zone, 2, MIGRATE_RECLAIMABLE);
	buddy_set_migratetype_locked(zone, 3, MIGRATE_RECLAIMABLE);
	spin_unlock(&zone->lock);
	page = take(zone, 0, MIGRATE_UNMOVABLE);
	EXPECT_EQ(t, zone_index(zone, page) / PAGEBLOCK_PAGES, 2u);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(fallback, isolated_memory_is_nobodys)
{
	struct zone *zone = fixture_zone(t, PAGEBLOCK_PAGES);

	spin_lock(&zone->lock);
	buddy_set_migratetype_locked(zone, 0, MIGRATE_ISOLATE);
	spin_unlock(&zone->lock);
	for (unsigned int mt = 0; mt < MIGRATE_PCPTYPES; mt++)
		EXPECT(t, !take(zone, 0, mt));
}
