/*
 * Watermarks: the well-known figures, and what a request may take.
 */
#include "mm/watermark.h"

#include "mm/buddy.h"
#include "mm/memory.h"
#include "tests/unit/mm_fixture.h"

KTEST(watermark, min_free_follows_the_square_root)
{
	/* The table in Linux's mm/page_alloc.c. */
	EXPECT_EQ(t, watermark_default_min_free_kbytes(16 * 1024), 512u);
	EXPECT_EQ(t, watermark_default_min_free_kbytes(32 * 1024), 724u);
	EXPECT_EQ(t, watermark_default_min_free_kbytes(1024 * 1024), 4096u);
	EXPECT_EQ(t, watermark_default_min_free_kbytes(16384 * 1024), 16384u);
	EXPECT_EQ(t, watermark_default_min_free_kbytes(64), 128u);
	EXPECT_EQ(t, watermark_default_min_free_kbytes(1ull << 40), 65536u);
}

KTEST(watermark, marks_rise_and_the_shares_add_up)
{
	uint64_t min = 0;

	for_each_zone(zone)
	{
		EXPECT(t, zone->watermark[WATERMARK_MIN] < zone->watermark[WATERMARK_LOW]);
		EXPECT(t, zone->watermark[WATERMARK_LOW] < zone->watermark[WATERMARK_HIGH]);
		EXPECT_EQ(t, zone->lowmem_reserve[zone->type], 0u);
		min += zone->watermark[WATERMARK_MIN];
	}
	EXPECT(t, min <= watermark_settings.min_free_kbytes / 4);
	EXPECT(t, min + memory.nr_zones >= watermark_settings.min_free_kbytes / 4);
}

KTEST(watermark, the_mark_the_reserve_and_the_order_count)
{
	struct zone *zone = fixture_zone(t, 64);

	zone->lowmem_reserve[ZONE_NORMAL] = 10;
	EXPECT(t, watermark_ok(zone, 0, 63, ZONE_DMA));
	EXPECT(t, !watermark_ok(zone, 0, 64, ZONE_DMA));
	EXPECT(t, watermark_ok(zone, 0, 53, ZONE_NORMAL));
	EXPECT(t, !watermark_ok(zone, 0, 54, ZONE_NORMAL));
	EXPECT(t, watermark_ok(zone, 3, 56, ZONE_DMA));
	EXPECT(t, !watermark_ok(zone, 3, 57, ZONE_DMA));
	/* Free pages enough, but no block of that order. */
	REQUIRE(t, buddy_alloc(zone, 0, MIGRATE_MOVABLE));
	EXPECT(t, watermark_ok(zone, 5, 0, ZONE_DMA));
	EXPECT(t, !watermark_ok(zone, 6, 0, ZONE_DMA));
	zone->watermark[WATERMARK_LOW] = 5;
	zone->watermark_boost = 7;
	EXPECT_EQ(t, watermark_pages(zone, WATERMARK_LOW), 12u);
}
