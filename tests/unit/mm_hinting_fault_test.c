/*
 * Hinting's faults: those that the review of the proposal found, or that it had besides, as tests fault_NN_...
 */
#include "kernel/memory.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/pcp.h"
#include "mm/watermark.h"
#include "tests/unit/hinting_fixture.h"
#include "tests/unit/mm_fixture.h"

static struct {
	unsigned int calls, early;
} spied;

static size_t spy_bytes(const struct zone *zone UNUSED, unsigned int min_order UNUSED)
{
	return 0;
}

static void spy_nothing(struct tracked_zone *tracked UNUSED)
{
}

static void spy_freed(struct tracked_zone *tracked, uint32_t index, unsigned int order UNUSED)
{
	unsigned int found = buddy_order_at_locked(tracked->zone, index);

	spied.calls++;
	spied.early += found == NR_ORDERS || found < tracked->min_order;
}

static uint32_t spy_next(struct tracked_zone *tracked UNUSED, uint32_t from UNUSED)
{
	return ZONE_INDEX_NONE;
}

static int spy_check(struct tracked_zone *tracked UNUSED)
{
	return 0;
}

static const struct hinting_tracker spy = {.name = "spy",
					   .bytes = spy_bytes,
					   .start = spy_nothing,
					   .stop = spy_nothing,
					   .freed = spy_freed,
					   .next = spy_next,
					   .check = spy_check};

KTEST(hinting, fault_01_the_hook_runs_when_the_block_is_on_its_list)
{
	struct zone *zone = fixture_zone(t, 8 * PAGEBLOCK_PAGES);
	struct hinting *hinting = hinting_of(t, zone, &spy, hinting_backend(t, 1));
	uint32_t indices[PAGEBLOCK_PAGES];

	spied.calls = spied.early = 0;
	for (unsigned int order = 0; order <= MAX_ORDER; order++)
		buddy_free(zone, buddy_alloc(zone, order, MIGRATE_MOVABLE), order);
	EXPECT_EQ(t, spied.calls, NR_ORDERS);
	spin_lock(&zone->lock);
	EXPECT_EQ(t, buddy_take_pages_locked(zone, MIGRATE_MOVABLE, indices, PAGEBLOCK_PAGES), PAGEBLOCK_PAGES);
	buddy_free_pages_locked(zone, indices, PAGEBLOCK_PAGES);
	spin_unlock(&zone->lock);
	EXPECT(t, spied.calls > NR_ORDERS);
	EXPECT_EQ(t, spied.early, 0u);
	hinting_expect_sound(t, hinting);
}

KTEST(hinting, fault_02_every_zone_has_its_own_books)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zones[] = {fixture_zone(t, 10 * PAGEBLOCK_PAGES), fixture_zone(t, 30 * PAGEBLOCK_PAGES)};
		struct hinting_backend *told = hinting_backend(t, 8);
		struct hinting *hinting = hinting_over(t, zones, 2, false, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 40u * PAGEBLOCK_PAGES);
		for (unsigned int at = 0; at < 2; at++)
			buddy_free(zones[at], buddy_alloc(zones[at], MAX_ORDER, MIGRATE_MOVABLE), MAX_ORDER);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 44u * PAGEBLOCK_PAGES);
		hinting_expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_03_a_zone_need_not_be_a_multiple_of_a_block)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		uint64_t pages = 64 * PAGEBLOCK_PAGES + 300;
		struct zone *zone = fixture_empty_zone(t, pages);
		struct hinting_backend *told = hinting_backend(t, 8);
		struct hinting *hinting;

		zone_add_present(zone, 300, pages);
		zone_add_free(zone, 300, pages);
		hinting = hinting_of(t, zone, tracker, told);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting_told_pageblocks(told), 63u);
		hinting_expect_sound(t, hinting);
		/* A block that the end cuts off has a place in the books too. */
		EXPECT_OK(t, hinting_configure(hinting, tracker, MAX_ORDER));
		page_hinting_enqueue(zone, 64 * PAGEBLOCK_PAGES, 8);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting->zones[0].marked, 0u);
		hinting_expect_sound(t, hinting);
	}
}

/* Frees 20 blocks anew, the lowest, whatever is being told. */
static void make_noise(struct hinting_backend *backend)
{
	struct page *pages[20];
	unsigned int count = 0;

	while (count < ARRAY_SIZE(pages) && (pages[count] = buddy_alloc(backend->zone, MAX_ORDER, MIGRATE_MOVABLE)))
		count++;
	while (count--)
		buddy_free(backend->zone, pages[count], MAX_ORDER);
}

KTEST(hinting, fault_04_noise_does_not_use_up_every_pass)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 1);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);
		unsigned int passes = 0;

		told->during = make_noise;
		/* 50 blocks, 16 a pass: once round in four. */
		for (; passes < 4 && hinting_told_pageblocks(told) < 100; passes++)
			EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, hinting_told_pageblocks(told), 100u);
		hinting_expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_04_what_a_pass_leaves_the_next_does_without_being_asked)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 1);
		struct hinting *hinting = hinting_over(t, &zone, 1, true, tracker, told);

		EXPECT(t, hinting_becomes(&told->pages, 100ull * PAGEBLOCK_PAGES));
		EXPECT(t, load_relaxed(&hinting->counters.passes_cut) >= 3);
		hinting_disable(hinting, &told->cb);
		EXPECT_EQ(t, hinting_told_pageblocks(told), 100u);
	}
}

KTEST(hinting, fault_05_coming_back_is_no_news)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct hinting_backend *told = hinting_backend(t, 4);
	struct hinting *hinting = hinting_of(t, zone, &spy, told);

	spied.calls = 0;
	hinting_disable(hinting, &told->cb);
	buddy_free(zone, buddy_alloc(zone, MAX_ORDER, MIGRATE_MOVABLE), MAX_ORDER);
	EXPECT_EQ(t, spied.calls, 0u);
	EXPECT_EQ(t, zone->hinting_order, NR_ORDERS);

	EXPECT_OK(t, hinting_configure(hinting, &hinting_tracker_bitmap, 9));
	EXPECT_OK(t, hinting_enable(hinting, &told->cb));
	EXPECT(t, !hinting_pass(hinting));
	EXPECT_EQ(t, hinting->zones[0].marked, 0u);
	EXPECT(t, !hinting_pass(hinting));
	EXPECT_EQ(t, told->pages, 20u * PAGEBLOCK_PAGES);
}

KTEST(hinting, fault_07_what_is_not_there_does_not_hold_up_the_scan)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_empty_zone(t, 40 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting;

		zone_add_present(zone, 10 * PAGEBLOCK_PAGES, 14 * PAGEBLOCK_PAGES);
		zone_add_free(zone, 10 * PAGEBLOCK_PAGES, 12 * PAGEBLOCK_PAGES);
		hinting = hinting_of(t, zone, tracker, told);
		spin_lock(&zone->lock);
		page_hinting_enqueue(zone, 0, MAX_ORDER);
		page_hinting_enqueue(zone, 12 * PAGEBLOCK_PAGES, MAX_ORDER);
		page_hinting_enqueue(zone, 39 * PAGEBLOCK_PAGES, PAGEBLOCK_ORDER);
		spin_unlock(&zone->lock);
		EXPECT(t, !hinting_pass(hinting));
		EXPECT_EQ(t, told->pages, 2u * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, hinting->zones[0].marked, 0u);
		hinting_expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_08_a_failed_prepare_loses_nothing)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting;

		told->prepare_result = -EAGAIN;
		hinting = hinting_over(t, &zone, 1, true, tracker, told);
		while (load_relaxed(&hinting->counters.prepare_failures) < 2)
			sleep_ns(NS_PER_MS / 5);
		EXPECT_EQ(t, load_relaxed(&told->calls), 0u);
		store_relaxed(&told->prepare_result, 0);
		EXPECT(t, hinting_becomes(&told->pages, 20ull * PAGEBLOCK_PAGES));
	}
}

KTEST(hinting, fault_09_the_count_of_marks_is_exact)
{
	struct zone *zone = fixture_zone(t, 40 * PAGEBLOCK_PAGES + 100);
	struct hinting_backend *told = hinting_backend(t, 3);
	struct hinting *hinting = hinting_of(t, zone, &hinting_tracker_bitmap, told);
	struct page *pages[32] = {NULL};
	unsigned int orders[32];
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int at = (unsigned int)rand_below(&rand, ARRAY_SIZE(pages));

		if (pages[at]) {
			buddy_free(zone, pages[at], orders[at]);
			pages[at] = NULL;
		} else {
			orders[at] = (unsigned int)rand_below(&rand, NR_ORDERS);
			pages[at] = buddy_alloc(zone, orders[at], MIGRATE_MOVABLE);
		}
		if (round % 50 == 0)
			hinting_pass(hinting);
		if (hinting_check(hinting)) {
			ktest_fail(t, __FILE__, __LINE__, "after round %u", round);
			return;
		}
	}
	for (unsigned int at = 0; at < ARRAY_SIZE(pages); at++)
		if (pages[at])
			buddy_free(zone, pages[at], orders[at]);
	while (hinting_pass(hinting))
		;
	EXPECT_EQ(t, hinting->zones[0].marked, 0u);
	hinting_expect_sound(t, hinting);
}

struct churn {
	struct zone *zone;
	bool stop;
};

static int churn(void *argument)
{
	struct churn *churn = argument;

	while (!load_relaxed(&churn->stop)) {
		struct page *pages[4];

		for (unsigned int at = 0; at < 4; at++)
			pages[at] = buddy_alloc(churn->zone, at % 2 ? MAX_ORDER : PAGEBLOCK_ORDER, MIGRATE_MOVABLE);
		for (unsigned int at = 0; at < 4; at++)
			if (pages[at])
				buddy_free(churn->zone, pages[at], at % 2 ? MAX_ORDER : PAGEBLOCK_ORDER);
		thread_yield();
	}
	return 0;
}

static void dawdle(struct hinting_backend *backend UNUSED)
{
	sleep_ns(NS_PER_MS / 2);
}

KTEST(hinting, fault_10_after_disable_nothing_runs_and_nothing_is_away)
{
	struct zone *zone = fixture_zone(t, 60 * PAGEBLOCK_PAGES);
	struct hinting_backend *told = hinting_backend(t, 2), *second = hinting_backend(t, 2);
	struct churn shared = {.zone = zone};
	struct hinting *hinting;
	struct thread *thread;

	told->during = dawdle;
	hinting = hinting_over(t, &zone, 1, true, &hinting_tracker_bitmap, told);
	thread = thread_spawn("churn", churn, &shared);
	EXPECT_EQ(t, hinting_enable(hinting, &second->cb), -EBUSY);
	for (unsigned int round = 0; round < 200; round++) {
		uint64_t calls;

		hinting_disable(hinting, &told->cb);
		calls = load_relaxed(&told->calls);
		EXPECT(t, !load_relaxed(&told->inside));
		EXPECT_EQ(t, load_relaxed(&hinting->away_pages), 0u);
		EXPECT_EQ(t, READ_ONCE(zone->hinted_pages), 0u);
		if (round % 20 == 0)
			sleep_ns(2 * NS_PER_MS);
		EXPECT_EQ(t, load_relaxed(&told->calls), calls);
		EXPECT_OK(t, hinting_configure(hinting, hinting_trackers[round % 2], PAGE_HINTING_MIN_ORDER));
		EXPECT_OK(t, hinting_enable(hinting, &told->cb));
		if (round % 8 == 0)
			sleep_ns(2 * NS_PER_MS);
	}
	store_relaxed(&shared.stop, true);
	thread_join(thread);
	EXPECT(t, load_relaxed(&told->calls) > 0);
	hinting_disable(hinting, &told->cb);
	hinting_expect_sound(t, hinting);
}

KTEST(hinting, fault_11_hits_and_misses_are_counted)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct hinting_backend *told = hinting_backend(t, 4);
	struct hinting *hinting = hinting_of(t, zone, &hinting_tracker_bitmap, told);
	struct page *part;

	/* The first pageblock is in use, half of the second, the lower half of it is free. */
	EXPECT(t, buddy_alloc(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE));
	part = buddy_alloc(zone, 8, MIGRATE_MOVABLE);
	EXPECT(t, buddy_alloc(zone, 8, MIGRATE_MOVABLE));
	buddy_free(zone, part, 8);
	EXPECT(t, !hinting_pass(hinting));
	EXPECT_EQ(t, hinting->counters.found_taken, 1u);
	EXPECT_EQ(t, hinting->counters.found_small, 1u);
	EXPECT_EQ(t, hinting->counters.found_free, 9u);
	EXPECT_EQ(t, hinting->counters.reported_blocks, 9u);
	EXPECT_EQ(t, hinting->counters.reported_bytes, 9ull * MIB(4));
	EXPECT_EQ(t, hinting->counters.passes, 1u);
	EXPECT(t, hinting->counters.away_ns > 0);
}

KTEST(hinting, fault_12_the_low_mark_is_respected)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		zone->watermark[WATERMARK_LOW] = zone_free_pages(zone);
		EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, told->calls, 0u);
		EXPECT_EQ(t, hinting->counters.under_pressure, 1u);
		zone->watermark[WATERMARK_LOW] = 0;
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting_told_pageblocks(told), 20u);
	}
}

KTEST(hinting, fault_12_a_sixteenth_is_away_at_most)
{
	const struct hinting_tracker *tracker;

	for_each_hinting_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct hinting_backend *told = hinting_backend(t, 64);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting_told_pageblocks(told), 100u);
		EXPECT(t, told->most_away <= 100 * PAGEBLOCK_PAGES / 16);
		EXPECT(t, told->most_away > PAGEBLOCK_PAGES);
	}
}

struct needy {
	struct page *page;
	bool done; /* atomic */
};

static int need_a_block(void *argument)
{
	struct needy *needy = argument;

	needy->page = alloc_pages_node(0, GFP_KERNEL | GFP_NORETRY | GFP_NOWARN | GFP_THISNODE, MAX_ORDER);
	store_release(&needy->done, true);
	return 0;
}

static bool until(const bool *flag, const uint32_t *count)
{
	uint64_t deadline = wait_deadline(HINTING_WAIT_NS);

	while (!load_acquire(flag) && !(count && load_acquire(count)) && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return load_acquire(flag) || (count && load_acquire(count));
}

/* All of node 0's largest blocks that can be had without a wait. */
static struct page *take_all(void)
{
	struct page *first = NULL, *page;

	while ((page = alloc_pages_node(0, GFP_NOWARN | GFP_NOMEMALLOC | GFP_THISNODE, MAX_ORDER))) {
		page->mapping = first;
		first = page;
	}
	return first;
}

static void end_machine(void *backend)
{
	store_release(&((struct hinting_backend *)backend)->block, false);
	page_hinting_disable(&((struct hinting_backend *)backend)->cb);
	EXPECT_OK(((struct hinting_backend *)backend)->t,
		  hinting_configure(&page_hinting, NULL, PAGE_HINTING_MIN_ORDER));
}

KTEST(hinting, fault_12_who_would_fail_waits_for_the_blocks_to_return)
{
	struct hinting_backend *told = hinting_backend(t, 16);
	struct needy needy = {NULL};
	struct thread *thread;
	struct page *all;

	told->block = true;
	if (page_hinting_enable(&told->cb)) {
		ktest_skip(t, "the machine's balloon is the backend");
		return;
	}
	ktest_defer(t, end_machine, told);
	REQUIRE_OK(t, hinting_configure(&page_hinting, &hinting_tracker_bitmap, MAX_ORDER));
	REQUIRE(t, until(&told->inside, NULL));
	all = take_all();
	thread = thread_spawn("needy", need_a_block, &needy);
	EXPECT(t, until(&needy.done, &page_hinting.waiters));
	store_release(&told->block, false);
	thread_join(thread);
	EXPECT(t, needy.page);
	if (needy.page)
		free_pages(needy.page, MAX_ORDER);
	while (all) {
		struct page *next = all->mapping;

		free_pages(all, MAX_ORDER);
		all = next;
	}
	EXPECT_OK(t, memory_check());
}
