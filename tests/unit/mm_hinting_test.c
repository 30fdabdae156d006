/*
 * Hinting over private zones, pass by pass: what is told, and when.
 */
#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/pcp.h"
#include "tests/unit/hinting_fixture.h"
#include "tests/unit/mm_fixture.h"

KTEST(hinting, everything_free_is_told_once)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 20u * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, hinting_told_pageblocks(told), 20u);
		EXPECT_EQ(t, told->prepares, told->cleanups);
		EXPECT_EQ(t, zone_free_pages(zone), 20u * PAGEBLOCK_PAGES);
		hinting_expect_sound(t, hinting);
	}
}

KTEST(hinting, only_what_was_freed_since_is_told_again)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);
		struct page *page;
		uint64_t before;

		while (hinting_pass(hinting))
			;
		before = told->pages;
		page = buddy_alloc(zone, 0, MIGRATE_MOVABLE);
		EXPECT(t, !hinting_pass(hinting));
		EXPECT_EQ(t, told->pages, before);
		buddy_free(zone, page, 0);
		EXPECT(t, !hinting_pass(hinting));
		EXPECT(t, told->pages >= before + PAGEBLOCK_PAGES && told->pages <= before + 2 * PAGEBLOCK_PAGES);
		hinting_expect_sound(t, hinting);
	}
}

static void check_away(struct hinting_backend *backend)
{
	struct ktest *t = backend->t;

	EXPECT(t, backend->zone->hinted_pages > 0);
	EXPECT_OK(t, zone_check(backend->zone));
}

KTEST(hinting, blocks_that_are_away_are_accounted_for)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 12 * PAGEBLOCK_PAGES + 77);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct page *page = buddy_alloc(zone, 3, MIGRATE_MOVABLE);

		told->during = check_away;
		zone->tags[zone_index(zone, page)] = TAG(PAGE_OWNER_TEST, 3);
		zone->pcps[0].owned_pages[PAGE_OWNER_TEST] = 8;
		hinting_pass(hinting_of(t, zone, tracker, told));
		EXPECT(t, told->calls > 0);
		EXPECT_EQ(t, zone->hinted_pages, 0u);
	}
}

KTEST(hinting, blocks_below_a_pageblock_are_told_if_wanted)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 3);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);
		struct page *page = buddy_alloc(zone, 0, MIGRATE_MOVABLE),
			    *second = buddy_alloc(zone, 6, MIGRATE_MOVABLE);

		EXPECT_OK(t, hinting_configure(hinting, tracker, 5));
		while (hinting_pass(hinting))
			;
		/* Of the first pageblock all but the lowest 32 pages and the 64 that are in use. */
		EXPECT_EQ(t, bitmap_count(told->told, 0, HINTING_MOST_PAGES), 4u * PAGEBLOCK_PAGES - 32 - 64);
		memset(told->told, 0, sizeof(told->told));
		buddy_free(zone, second, 6);
		while (hinting_pass(hinting))
			;
		EXPECT(t, bitmap_count(told->told, zone_index(zone, second), zone_index(zone, second) + 64) == 64);
		buddy_free(zone, page, 0);
		while (hinting_pass(hinting))
			;
		EXPECT(t, bitmap_test(told->told, zone_index(zone, page)));
		EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 2u);
		hinting_expect_sound(t, hinting);
	}
}

KTEST(hinting, blocks_that_were_not_told_are_told_later)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		told->hint_result = -EIO;
		EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, told->calls, 1u);
		hinting_expect_sound(t, hinting);
		told->hint_result = 0;
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting_told_pageblocks(told), 20u);
	}
}

KTEST(hinting, blocks_that_a_device_keeps_are_never_used_again)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct hinting_backend *told = hinting_backend(t, 4);
	struct hinting *hinting = hinting_of(t, zone, &hinting_tracker_bitmap, told);
	uint64_t lost;

	told->hint_result = -EBUSY;
	EXPECT(t, hinting_pass(hinting));
	lost = told->pages;
	EXPECT_EQ(t, zone_free_pages(zone), 20u * PAGEBLOCK_PAGES - lost);
	hinting_disable(hinting, &told->cb);
	EXPECT_EQ(t, zone->hinted_pages, lost);
	EXPECT_EQ(t, hinting->counters.lost_pages, lost);
	EXPECT_OK(t, zone_check(zone));
}
