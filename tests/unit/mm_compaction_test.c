/*
 * Compaction: what moves, where to, what stays, when it runs at all; and what a whole pageblock costs.
 */
#include "lib/errno.h"
#include "lib/rand.h"
#include "mm/buddy.h"
#include "mm/compaction_internal.h"
#include "mm/pcp.h"
#include "mm/vmstat.h"
#include "tests/unit/mm_fixture.h"
#include "tests/unit/movable_owner.h"

#define BLOCKS 16u

static struct compact_run run_of(struct zone *zone, unsigned int order, const struct compact_scan *scan)
{
	return (struct compact_run){.zone = zone, .order = order, .sync = true, .scan = scan};
}

static void expect_sound(struct ktest *t, struct movable_owner *owner)
{
	EXPECT(t, mo_check(owner));
	EXPECT_OK(t, zone_check(owner->zone));
	EXPECT_EQ(t, owner->zone->nr_isolated_pageblocks, 0u);
}

KTEST(compaction, the_scanners_gather_pages_at_the_top)
{
	struct movable_owner *owner = mo_full_zone(t, BLOCKS);
	struct compact_run run;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 2);
	EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), 0u);
	run = run_of(owner->zone, COMPACT_ALL, &compact_linear);
	EXPECT_EQ(t, compact_zone(&run), COMPACT_NOTHING);
	EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), BLOCKS / 2);
	for (uint32_t number = 0; number < BLOCKS; number++)
		EXPECT_EQ(t, owner->zone->pageblocks[number].whole_order != 0, number < BLOCKS / 2);
	EXPECT_EQ(t, run.migrate.migrated, BLOCKS * PAGEBLOCK_PAGES / 4);
	EXPECT_EQ(t, owner->moves, run.migrate.migrated);
	expect_sound(t, owner);
}

KTEST(compaction, where_the_scanners_meet_nothing_moves_back)
{
	struct movable_owner *owner = mo_full_zone(t, BLOCKS);
	struct compact_run run;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 3);
	run = run_of(owner->zone, COMPACT_ALL, &compact_linear);
	EXPECT_EQ(t, compact_zone(&run), COMPACT_NOTHING);
	EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), BLOCKS * 2 / 3);
	EXPECT_EQ(t, owner->moves_down, 0u);
	expect_sound(t, owner);
}

KTEST(compaction, blocks_as_large_as_the_wanted_one_are_left_alone)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct movable_owner *owner = movable_owner_new(t, zone, 4 * PAGEBLOCK_PAGES);
	uint32_t slot = 0;
	struct compact_run run;

	REQUIRE(t, owner);
	while (slot < 15)
		REQUIRE(t, mo_take(owner, slot++, 5));
	while (mo_take(owner, slot, 0))
		slot++;
	for (uint32_t at = 15; at < slot; at += 2)
		mo_give(owner, at);
	run = run_of(zone, 5, &compact_linear);
	EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
	EXPECT_EQ(t, run.migrate.failed, 0u);
	EXPECT_EQ(t, run.migrate.migrated, 16u);
	expect_sound(t, owner);
}

KTEST(compaction, it_stops_at_the_first_block_that_was_wanted)
{
	static const struct compact_scan *const scans[] = {&compact_linear, &compact_fullest};

	for (size_t at = 0; at < ARRAY_SIZE(scans); at++) {
		struct movable_owner *owner = mo_full_zone(t, BLOCKS);
		struct compact_run run;

		REQUIRE(t, owner);
		mo_thin_out(owner, 0, owner->nr_slots, 4);
		run = run_of(owner->zone, PAGEBLOCK_ORDER, scans[at]);
		EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
		EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), 1u);
		EXPECT_EQ(t, run.migrate.migrated, PAGEBLOCK_PAGES / 4);
		expect_sound(t, owner);
	}
}

KTEST(compaction, a_block_moves_as_it_was_allocated)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct movable_owner *owner = movable_owner_new(t, zone, 64);
	uint64_t moved;

	REQUIRE(t, owner);
	for (uint32_t slot = 0; slot < 64; slot++)
		REQUIRE(t, mo_take(owner, slot, 5));
	for (uint32_t slot = 0; slot < 64; slot++)
		if (slot % 4)
			mo_give(owner, slot);
	EXPECT_EQ(t, compaction_make_pageblocks(zone, 2, &moved), 2u);
	EXPECT_EQ(t, moved, 2u * PAGEBLOCK_PAGES / 4);
	EXPECT_EQ(t, owner->moves, moved / 32);
	for (uint32_t slot = 0; slot < 64; slot += 4)
		EXPECT_EQ(t, zone_tag(zone, zone_index(zone, owner->slots[slot].page)), TAG(PAGE_OWNER_TEST, 5));
	expect_sound(t, owner);
}

KTEST(compaction, what_cannot_move_stays)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	struct compact_run run;
	uint64_t moved;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, PAGEBLOCK_PAGES, 16);
	mo_thin_out(owner, PAGEBLOCK_PAGES, owner->nr_slots, 8);
	/* One page in pageblock 0, the emptiest, that nobody can move; it takes a hole. */
	REQUIRE(t,
		pcp_bypass_take(owner->zone, fixture_request(0, MIGRATE_MOVABLE, PAGE_OWNER_KERNEL)) < PAGEBLOCK_PAGES);
	EXPECT_EQ(t, compaction_make_pageblocks(owner->zone, 4, &moved), 3u);
	EXPECT(t, !owner->zone->pageblocks[0].whole_order);
	/* What came out of the others filled it; nothing was moved twice. */
	EXPECT_EQ(t, moved, 3u * PAGEBLOCK_PAGES / 8);
	run = run_of(owner->zone, COMPACT_ALL, &compact_linear);
	compact_zone(&run);
	EXPECT(t, !owner->zone->pageblocks[0].whole_order);
	expect_sound(t, owner);
}

KTEST(compaction, an_owner_may_refuse_or_be_busy)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	struct compact_run run;
	uint64_t failed = vm_event_read(VM_EVENT_pgmigrate_fail);

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 8);
	owner->busy_now = 40;
	owner->busy_slot = 8;
	run = run_of(owner->zone, COMPACT_ALL, &compact_linear);
	compact_zone(&run);
	/* Busy for now is tried again; busy for good stays where it is, and all else has gone. */
	EXPECT_EQ(t, owner->busy_now, 0u);
	EXPECT_EQ(t, run.migrate.failed, 1u);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_pgmigrate_fail) - failed, 1u);
	EXPECT_EQ(t, mo_slot_at(owner, 8), 8u);
	EXPECT_EQ(t, owner->zone->pageblocks[0].free_pages, PAGEBLOCK_PAGES - 1u);
	expect_sound(t, owner);
}

KTEST(compaction, a_pageblock_that_is_given_up_is_no_longer_isolated)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	uint64_t moved;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 8);
	owner->refuse_isolation = 1;
	EXPECT_EQ(t, compaction_make_pageblocks(owner->zone, 1, &moved), 1u);
	EXPECT_EQ(t, owner->refuse_isolation, 0u);
	expect_sound(t, owner);
}

KTEST(compaction, not_sync_leaves_pageblocks_of_other_types_alone)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	struct compact_run run;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 8);
	spin_lock(&owner->zone->lock);
	for (uint32_t number = 0; number < 3; number++)
		buddy_set_migratetype_locked(owner->zone, number, MIGRATE_UNMOVABLE);
	spin_unlock(&owner->zone->lock);
	run = run_of(owner->zone, PAGEBLOCK_ORDER, &compact_linear);
	run.sync = false;
	EXPECT_EQ(t, compact_zone(&run), COMPACT_NOTHING);
	EXPECT_EQ(t, owner->moves, 0u);
	run = run_of(owner->zone, PAGEBLOCK_ORDER, &compact_linear);
	EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
	expect_sound(t, owner);
}

KTEST(compaction, a_run_goes_on_where_the_last_one_ended)
{
	struct movable_owner *owner = mo_full_zone(t, BLOCKS);
	struct compact_run run;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 4);
	for (uint32_t round = 0; round < 3; round++) {
		run = run_of(owner->zone, PAGEBLOCK_ORDER, &compact_linear);
		EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
		EXPECT(t, owner->zone->pageblocks[round].whole_order != 0);
		/* Somebody takes it; the next one is behind it. */
		REQUIRE(t, pcp_bypass_take(owner->zone, fixture_request(PAGEBLOCK_ORDER, MIGRATE_MOVABLE,
									PAGE_OWNER_KERNEL)) != ZONE_INDEX_NONE);
		EXPECT_EQ(t, owner->zone->compaction.source[true], round);
	}
	expect_sound(t, owner);
}

KTEST(compaction, where_nothing_moved_is_not_looked_at_again)
{
	struct zone *zone = fixture_zone(t, 6 * PAGEBLOCK_PAGES);
	struct movable_owner *owner = movable_owner_new(t, zone, 5 * PAGEBLOCK_PAGES);
	struct compact_run run;

	REQUIRE(t, owner);
	/* Pageblock 0: a page that stays beside every free one. The others: every fourth page, movable. */
	for (uint32_t at = 0; at < PAGEBLOCK_PAGES; at++)
		pcp_bypass_take(zone, fixture_request(0, MIGRATE_MOVABLE, PAGE_OWNER_KERNEL));
	for (uint32_t slot = 0; slot < owner->nr_slots; slot++)
		REQUIRE(t, mo_take(owner, slot, 0));
	for (uint32_t at = 0; at < PAGEBLOCK_PAGES; at += 2)
		pcp_bypass_give(zone, at, 0);
	mo_thin_out(owner, 0, owner->nr_slots, 4);
	run = run_of(zone, PAGEBLOCK_ORDER, &compact_linear);
	EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
	EXPECT(t, zone->pageblocks[0].compact_skip);
	/* The scanners meet, in vain; the run after that begins anew. */
	owner->refuse_isolation = UINT32_MAX;
	run = run_of(zone, MAX_ORDER, &compact_linear);
	compact_zone(&run);
	run = run_of(zone, MAX_ORDER, &compact_linear);
	compact_zone(&run);
	EXPECT(t, run.linear.from_start && run.migrate.scanned < PAGEBLOCK_PAGES / 2);
	/* When all was gone through in vain it is forgotten. */
	EXPECT(t, !zone->pageblocks[0].compact_skip);
	expect_sound(t, owner);
}

/* ---- whether to run -----------------------------------------------------------------------------------------------
 */

static struct node node_with(struct zone *zone)
{
	return (struct node){.zonelist = {zone}, .zones = {zone}};
}

KTEST(compaction, after_failures_requests_are_turned_away)
{
	struct movable_owner *owner = mo_full_zone(t, 8);
	struct node node = node_with(owner ? owner->zone : NULL);

	REQUIRE(t, owner);
	/* Half of every pageblock is free, and nothing lets itself be isolated. */
	mo_thin_out(owner, 0, owner->nr_slots, 2);
	owner->refuse_isolation = UINT32_MAX;
	for (uint32_t failure = 1; failure <= 8; failure++) {
		uint32_t turned_away = 0;

		EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOTHING);
		while (compaction_deferred(owner->zone, PAGEBLOCK_ORDER))
			turned_away++;
		EXPECT_EQ(t, turned_away, (1u << MIN(failure, 6u)) - 1);
	}
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOTHING);
	/* A smaller order than the one that failed is not, nor is who asks to wait. */
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, false, NULL), COMPACT_DEFERRED);
	EXPECT(t, !compaction_deferred(owner->zone, PAGEBLOCK_ORDER - 1));
	/* Success is the end of it. */
	owner->refuse_isolation = 0;
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_SUCCESS);
	EXPECT(t, !compaction_deferred(owner->zone, PAGEBLOCK_ORDER));
	expect_sound(t, owner);
}

KTEST(compaction, without_room_to_move_to_it_does_not_begin)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	struct node node = node_with(owner ? owner->zone : NULL);

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, 2000, 2);
	/* Free are 1000 pages; while 512 move, both copies exist: 1024 are needed. */
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOT_SUITABLE);
	mo_thin_out(owner, 0, 4 * PAGEBLOCK_PAGES, 8);
	owner->zone->watermark[WATERMARK_LOW] = 4 * PAGEBLOCK_PAGES;
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOT_SUITABLE);
	owner->zone->watermark[WATERMARK_LOW] = 0;
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_SUCCESS);
	expect_sound(t, owner);
}

KTEST(compaction, a_lack_of_memory_is_not_mended_by_moving)
{
	struct movable_owner *owner = mo_full_zone(t, BLOCKS);
	struct node node = node_with(owner ? owner->zone : NULL);

	REQUIRE(t, owner);
	/* 3 pageblocks' worth is free in blocks of half a pageblock: index 1000 - (1000 + 3000) / 6. */
	for (uint32_t slot = 0; slot < 6 * PAGEBLOCK_PAGES; slot++)
		if (slot % PAGEBLOCK_PAGES < PAGEBLOCK_PAGES / 2)
			mo_give(owner, slot);
	EXPECT_EQ(t, fragmentation_index(owner->zone, PAGEBLOCK_ORDER), 334);
	EXPECT_EQ(t, fragmentation_index(owner->zone, PAGEBLOCK_ORDER - 1), -1000);
	EXPECT_EQ(t, unusable_free_index(owner->zone, PAGEBLOCK_ORDER), 1000);
	EXPECT_EQ(t, unusable_free_index(owner->zone, PAGEBLOCK_ORDER - 1), 0);
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOT_SUITABLE);
	compaction_settings.extfrag_threshold.value = 300;
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_SUCCESS);
	compaction_settings.extfrag_threshold.value = 500;
	expect_sound(t, owner);
}

KTEST(compaction, who_frees_memory_does_not_compact)
{
	struct movable_owner *owner = mo_full_zone(t, 4);
	struct node node = node_with(owner ? owner->zone : NULL);
	uintptr_t previous;

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 4);
	previous = memalloc_enter();
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_NOT_SUITABLE);
	memalloc_leave(previous);
	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, NULL), COMPACT_SUCCESS);
}

KTEST(compaction, who_waits_for_the_block_gets_it)
{
	static const struct compact_scan *const scans[] = {&compact_linear, &compact_fullest};

	for (size_t at = 0; at < 2 * ARRAY_SIZE(scans); at++) {
		struct movable_owner *owner = mo_full_zone(t, 8);
		struct compact_capture capture = {.mt = at < 2 ? MIGRATE_MOVABLE : MIGRATE_UNMOVABLE};
		unsigned int order = PAGEBLOCK_ORDER - (at < 2);
		struct compact_run run;

		REQUIRE(t, owner);
		mo_thin_out(owner, 0, owner->nr_slots, 4);
		run = run_of(owner->zone, order, scans[at % 2]);
		run.capture = &capture;
		EXPECT_EQ(t, compact_zone(&run), COMPACT_SUCCESS);
		if (at == 2) { /* linear leaves a whole pageblock to fallback, which changes its type */
			EXPECT(t, !capture.zone);
			continue;
		}
		REQUIRE(t, capture.zone == owner->zone);
		EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), 0u);
		EXPECT_EQ(t, owner->zone->pageblocks[capture.index / PAGEBLOCK_PAGES].migratetype, capture.mt);
		pcp_adopt(owner->zone, capture.index, order, PAGE_OWNER_KERNEL);
		expect_sound(t, owner);
		pcp_bypass_give(owner->zone, capture.index, order);
		/* fullest has emptied the pageblock, linear as much of it as it had to. */
		EXPECT_EQ(t, mo_whole_pageblocks(owner->zone), at % 2);
		expect_sound(t, owner);
	}
}

KTEST(compaction, a_block_that_is_there_already_is_kept_for_who_asked)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct node node = node_with(zone);
	struct compact_capture capture = {.mt = MIGRATE_MOVABLE};

	EXPECT_EQ(t, compaction_direct(&node, PAGEBLOCK_ORDER, ZONE_DMA, true, &capture), COMPACT_SUCCESS);
	REQUIRE(t, capture.zone == zone);
	EXPECT_EQ(t, zone->free_pages, 3u * PAGEBLOCK_PAGES);
	pcp_adopt(zone, capture.index, PAGEBLOCK_ORDER, PAGE_OWNER_TEST);
	EXPECT_OK(t, zone_check(zone));
}

/* ---- what it costs ------------------------------------------------------------------------------------------------
 */

struct cost {
	uint64_t moved;
	uint32_t made;
};

/* Pageblocks of different fullness, from nearly empty to nearly full; one in eight holds a page that cannot move. */
static struct cost cost_of(struct ktest *t, const struct compact_scan *scan, uint64_t seed, uint32_t wanted)
{
	struct movable_owner *owner = mo_full_zone(t, 64);
	struct compact_run run;
	struct rand rand;

	if (!owner)
		return (struct cost){0};
	rand_seed(&rand, seed);
	for (uint32_t number = 0; number < 64; number++) {
		uint64_t stays = rand_below(&rand, 1000);

		for (uint32_t at = 0; at < PAGEBLOCK_PAGES; at++)
			if (rand_below(&rand, 1000) >= stays)
				mo_give(owner, number * PAGEBLOCK_PAGES + at);
		if (number % 8 == 3)
			EXPECT(t, pcp_bypass_take(owner->zone, fixture_request(0, MIGRATE_MOVABLE,
									       PAGE_OWNER_KERNEL)) != ZONE_INDEX_NONE);
	}
	run = run_of(owner->zone, COMPACT_ALL, scan);
	run.wanted = wanted;
	compact_zone(&run);
	expect_sound(t, owner);
	return (struct cost){run.migrate.migrated, run.emptied};
}

KTEST(compaction, the_fullest_scan_makes_more_pageblocks_for_fewer_moves)
{
	static const uint32_t wanted[] = {1, 8, 0};

	for (size_t at = 0; at < ARRAY_SIZE(wanted); at++) {
		struct cost linear = cost_of(t, &compact_linear, ktest_seed(t), wanted[at]);
		struct cost fullest = cost_of(t, &compact_fullest, ktest_seed(t), wanted[at]);

		ktest_note(t, "wanted %u: linear %u pageblocks for %lu pages moved, fullest %u for %lu", wanted[at],
			   linear.made, linear.moved, fullest.made, fullest.moved);
		REQUIRE(t, linear.made && fullest.made);
		EXPECT(t, fullest.made >= linear.made);
		/* Per pageblock at most two thirds. */
		EXPECT(t, 3 * fullest.moved * linear.made <= 2 * linear.moved * fullest.made);
	}
}
