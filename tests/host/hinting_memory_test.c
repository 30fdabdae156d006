/*
 * Hinting when memory is short: each allocation of enabling and of changing trackers fails once.
 */
#include "mm/hinting_internal.h"

#include "kernel/memory.h"
#include "mm/buddy.h"
#include "tests/host/host.h"
#include "tests/unit/mm_fixture.h"

static int hint_nothing(struct page_hinting_cb *cb UNUSED, const struct page_hinting_block *blocks UNUSED,
			unsigned int count UNUSED)
{
	return 0;
}

static struct page_hinting_cb backend = {.name = "test", .max_pages = 8, .hint_pages = hint_nothing};

static void expect_usable(struct ktest *t, struct zone *zone)
{
	struct page *page = buddy_alloc(zone, MAX_ORDER, MIGRATE_MOVABLE);

	REQUIRE(t, page);
	buddy_free(zone, page, MAX_ORDER);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(hinting_memory, fault_06_no_memory_leaves_no_lock_and_no_half_enabled_zone)
{
	struct zone *zones[] = {fixture_zone(t, 10 * PAGEBLOCK_PAGES), fixture_zone(t, 10 * PAGEBLOCK_PAGES)};
	struct hinting hinting;
	uint64_t live = host_live_allocations();
	unsigned int failed = 0;
	int error = -ENOMEM;

	hinting_init(&hinting, zones, 2, false);
	EXPECT_OK(t, hinting_configure(&hinting, &hinting_tracker_bitmap, PAGE_HINTING_MIN_ORDER));
	for (uint64_t nth = 1; error == -ENOMEM; nth++) {
		host_fail_allocation(nth);
		error = hinting_enable(&hinting, &backend);
		host_fail_allocation(0);
		failed += error == -ENOMEM;
		for (unsigned int at = 0; at < 2; at++) {
			EXPECT_EQ(t, zones[at]->tracked != NULL, error == 0);
			expect_usable(t, zones[at]);
		}
	}
	EXPECT_EQ(t, error, 0);
	EXPECT_EQ(t, failed, 3u);
	host_fail_allocation(2);
	EXPECT_EQ(t, hinting_configure(&hinting, &hinting_tracker_bitmap, 5), -ENOMEM);
	host_fail_allocation(0);
	EXPECT(t, !hinting.tracker && !zones[0]->tracked);
	hinting_disable(&hinting, &backend);
	EXPECT_EQ(t, host_live_allocations(), live);
	expect_usable(t, zones[0]);
}
