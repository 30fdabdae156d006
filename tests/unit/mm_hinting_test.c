/*
 * Hinting over private zones, pass by pass, and over the machine's memory by itself. The tests fault_NN_... are the
 * faults that the review of the proposal found, or that it had besides.
 */
#include "mm/hinting_internal.h"

#include "kernel/memory.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/pcp.h"
#include "mm/watermark.h"
#include "tests/unit/mm_fixture.h"

#define WAIT_NS	   (20 * NS_PER_S)
#define MOST_PAGES (128u * PAGEBLOCK_PAGES)

static const struct hinting_tracker *const trackers[] = {&hinting_tracker_bitmap, &hinting_tracker_freelist};
#define for_each_tracker(tracker) \
	for (unsigned int _at = 0; _at < ARRAY_SIZE(trackers) && (tracker = trackers[_at]); _at++)

/* A backend that notes what it is told, page by page, and does what a test wants in the meantime. */
struct backend {
	struct page_hinting_cb cb;
	struct ktest *t;
	uint64_t calls, pages; /* atomic */
	uint64_t told[MOST_PAGES / 64];
	int prepare_result, hint_result;
	unsigned int prepares, cleanups;
	uint64_t most_away; /* pages of one call */
	bool block, inside; /* atomic: do not return; a call is under way */
	void (*during)(struct backend *backend);
	struct zone *zone; /* for during */
	void *data;
};

static struct backend *backend_of(struct page_hinting_cb *cb)
{
	return container_of(cb, struct backend, cb);
}

static int prepare(struct page_hinting_cb *cb)
{
	backend_of(cb)->prepares++;
	return load_relaxed(&backend_of(cb)->prepare_result);
}

static void cleanup(struct page_hinting_cb *cb)
{
	backend_of(cb)->cleanups++;
}

static int hint_pages(struct page_hinting_cb *cb, const struct page_hinting_block *blocks, unsigned int nr)
{
	struct backend *backend = backend_of(cb);
	uint64_t pages = 0;

	store_relaxed(&backend->inside, true);
	for (unsigned int at = 0; at < nr; at++) {
		if (blocks[at].pfn + (1u << blocks[at].order) <= MOST_PAGES && !backend->hint_result)
			bitmap_set_range(backend->told, blocks[at].pfn, 1u << blocks[at].order);
		pages += 1u << blocks[at].order;
	}
	backend->most_away = MAX(backend->most_away, pages);
	if (backend->during)
		backend->during(backend);
	while (load_acquire(&backend->block))
		sleep_ns(NS_PER_MS / 5);
	atomic_fetch_add(&backend->pages, pages);
	atomic_inc(&backend->calls);
	store_relaxed(&backend->inside, false);
	return backend->hint_result;
}

/* Released by the harness: before it the hinting that uses it, which is deferred later. */
static struct backend *backend(struct ktest *t, unsigned int max_pages)
{
	struct backend *backend = kzalloc(sizeof(*backend));

	backend->t = t;
	backend->cb = (struct page_hinting_cb){.name = "test",
					       .max_pages = max_pages,
					       .prepare = prepare,
					       .cleanup = cleanup,
					       .hint_pages = hint_pages};
	ktest_defer(t, kfree, backend);
	return backend;
}

static void end(void *argument)
{
	struct hinting *hinting = argument;

	if (hinting->cb)
		hinting_disable(hinting, hinting->cb);
	kfree(hinting);
}

static struct hinting *hinting_over(struct ktest *t, struct zone *const *zones, unsigned int nr, bool by_itself,
				    const struct hinting_tracker *tracker, struct backend *backend)
{
	struct hinting *hinting = kzalloc(sizeof(*hinting));

	hinting_init(hinting, zones, nr, by_itself);
	hinting->delay_ns = NS_PER_MS;
	ktest_defer(t, end, hinting);
	EXPECT_OK(t, hinting_configure(hinting, tracker, PAGE_HINTING_MIN_ORDER));
	EXPECT_OK(t, hinting_enable(hinting, &backend->cb));
	return hinting;
}

static struct hinting *hinting_of(struct ktest *t, struct zone *zone, const struct hinting_tracker *tracker,
				  struct backend *backend)
{
	backend->zone = zone;
	return hinting_over(t, &zone, 1, false, tracker, backend);
}

static void expect_sound(struct ktest *t, struct hinting *hinting)
{
	EXPECT_OK(t, hinting_check(hinting));
	for (unsigned int at = 0; at < hinting->nr_zones; at++)
		EXPECT_OK(t, zone_check(hinting->zones[at].zone));
}

static unsigned int told_pageblocks(const struct backend *backend)
{
	unsigned int told = 0;

	for (unsigned int number = 0; number < MOST_PAGES / PAGEBLOCK_PAGES; number++)
		told += bitmap_count(backend->told, number * PAGEBLOCK_PAGES, (number + 1) * PAGEBLOCK_PAGES) ==
			PAGEBLOCK_PAGES;
	return told;
}

static bool becomes(const uint64_t *figure, uint64_t wanted)
{
	uint64_t deadline = wait_deadline(WAIT_NS);

	while (load_relaxed(figure) < wanted && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return load_relaxed(figure) == wanted;
}

/* ---- what it is for ---- */

KTEST(hinting, everything_free_is_told_once)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 20u * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, told_pageblocks(told), 20u);
		EXPECT_EQ(t, told->prepares, told->cleanups);
		EXPECT_EQ(t, zone_free_pages(zone), 20u * PAGEBLOCK_PAGES);
		expect_sound(t, hinting);
	}
}

KTEST(hinting, only_what_was_freed_since_is_told_again)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
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
		expect_sound(t, hinting);
	}
}

static void check_away(struct backend *backend)
{
	struct ktest *t = backend->t;

	EXPECT(t, backend->zone->hinted_pages > 0);
	EXPECT_OK(t, zone_check(backend->zone));
}

KTEST(hinting, blocks_that_are_away_are_accounted_for)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 12 * PAGEBLOCK_PAGES + 77);
		struct backend *told = backend(t, 4);
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

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 3);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);
		struct page *page = buddy_alloc(zone, 0, MIGRATE_MOVABLE),
			    *second = buddy_alloc(zone, 6, MIGRATE_MOVABLE);

		EXPECT_OK(t, hinting_configure(hinting, tracker, 5));
		while (hinting_pass(hinting))
			;
		/* Of the first pageblock all but the lowest 32 pages and the 64 that are in use. */
		EXPECT_EQ(t, bitmap_count(told->told, 0, MOST_PAGES), 4u * PAGEBLOCK_PAGES - 32 - 64);
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
		expect_sound(t, hinting);
	}
}

KTEST(hinting, blocks_that_were_not_told_are_told_later)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		told->hint_result = -EIO;
		EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, told->calls, 1u);
		expect_sound(t, hinting);
		told->hint_result = 0;
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told_pageblocks(told), 20u);
	}
}

KTEST(hinting, blocks_that_a_device_keeps_are_never_used_again)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct backend *told = backend(t, 4);
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

/* ---- the faults ---- */

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
	struct hinting *hinting = hinting_of(t, zone, &spy, backend(t, 1));
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
	expect_sound(t, hinting);
}

KTEST(hinting, fault_02_every_zone_has_its_own_books)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zones[] = {fixture_zone(t, 10 * PAGEBLOCK_PAGES), fixture_zone(t, 30 * PAGEBLOCK_PAGES)};
		struct backend *told = backend(t, 8);
		struct hinting *hinting = hinting_over(t, zones, 2, false, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 40u * PAGEBLOCK_PAGES);
		for (unsigned int at = 0; at < 2; at++)
			buddy_free(zones[at], buddy_alloc(zones[at], MAX_ORDER, MIGRATE_MOVABLE), MAX_ORDER);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told->pages, 44u * PAGEBLOCK_PAGES);
		expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_03_a_zone_need_not_be_a_multiple_of_a_block)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		uint64_t pages = 64 * PAGEBLOCK_PAGES + 300;
		struct zone *zone = fixture_empty_zone(t, pages);
		struct backend *told = backend(t, 8);
		struct hinting *hinting;

		zone_add_present(zone, 300, pages);
		zone_add_free(zone, 300, pages);
		hinting = hinting_of(t, zone, tracker, told);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told_pageblocks(told), 63u);
		expect_sound(t, hinting);
		/* A block that the end cuts off has a place in the books too. */
		EXPECT_OK(t, hinting_configure(hinting, tracker, MAX_ORDER));
		page_hinting_enqueue(zone, 64 * PAGEBLOCK_PAGES, 8);
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, hinting->zones[0].marked, 0u);
		expect_sound(t, hinting);
	}
}

/* Frees 20 blocks anew, the lowest, whatever is being told. */
static void make_noise(struct backend *backend)
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

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 1);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);
		unsigned int passes = 0;

		told->during = make_noise;
		/* 50 blocks, 16 a pass: once round in four. */
		for (; passes < 4 && told_pageblocks(told) < 100; passes++)
			EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, told_pageblocks(told), 100u);
		expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_04_what_a_pass_leaves_the_next_does_without_being_asked)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 1);
		struct hinting *hinting = hinting_over(t, &zone, 1, true, tracker, told);

		EXPECT(t, becomes(&told->pages, 100ull * PAGEBLOCK_PAGES));
		EXPECT(t, load_relaxed(&hinting->counters.passes_cut) >= 3);
		hinting_disable(hinting, &told->cb);
		EXPECT_EQ(t, told_pageblocks(told), 100u);
	}
}

KTEST(hinting, fault_05_coming_back_is_no_news)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct backend *told = backend(t, 4);
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

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_empty_zone(t, 40 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
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
		expect_sound(t, hinting);
	}
}

KTEST(hinting, fault_08_a_failed_prepare_loses_nothing)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
		struct hinting *hinting;

		told->prepare_result = -EAGAIN;
		hinting = hinting_over(t, &zone, 1, true, tracker, told);
		while (load_relaxed(&hinting->counters.prepare_failures) < 2)
			sleep_ns(NS_PER_MS / 5);
		EXPECT_EQ(t, load_relaxed(&told->calls), 0u);
		store_relaxed(&told->prepare_result, 0);
		EXPECT(t, becomes(&told->pages, 20ull * PAGEBLOCK_PAGES));
	}
}

KTEST(hinting, fault_09_the_count_of_marks_is_exact)
{
	struct zone *zone = fixture_zone(t, 40 * PAGEBLOCK_PAGES + 100);
	struct backend *told = backend(t, 3);
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
	expect_sound(t, hinting);
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

static void dawdle(struct backend *backend UNUSED)
{
	sleep_ns(NS_PER_MS / 2);
}

KTEST(hinting, fault_10_after_disable_nothing_runs_and_nothing_is_away)
{
	struct zone *zone = fixture_zone(t, 60 * PAGEBLOCK_PAGES);
	struct backend *told = backend(t, 2), *second = backend(t, 2);
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
		EXPECT_OK(t, hinting_configure(hinting, trackers[round % 2], PAGE_HINTING_MIN_ORDER));
		EXPECT_OK(t, hinting_enable(hinting, &told->cb));
		if (round % 8 == 0)
			sleep_ns(2 * NS_PER_MS);
	}
	store_relaxed(&shared.stop, true);
	thread_join(thread);
	EXPECT(t, load_relaxed(&told->calls) > 0);
	hinting_disable(hinting, &told->cb);
	expect_sound(t, hinting);
}

KTEST(hinting, fault_11_hits_and_misses_are_counted)
{
	struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
	struct backend *told = backend(t, 4);
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

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 20 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 4);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		zone->watermark[WATERMARK_LOW] = zone_free_pages(zone);
		EXPECT(t, hinting_pass(hinting));
		EXPECT_EQ(t, told->calls, 0u);
		EXPECT_EQ(t, hinting->counters.under_pressure, 1u);
		zone->watermark[WATERMARK_LOW] = 0;
		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told_pageblocks(told), 20u);
	}
}

KTEST(hinting, fault_12_a_sixteenth_is_away_at_most)
{
	const struct hinting_tracker *tracker;

	for_each_tracker(tracker)
	{
		struct zone *zone = fixture_zone(t, 100 * PAGEBLOCK_PAGES);
		struct backend *told = backend(t, 64);
		struct hinting *hinting = hinting_of(t, zone, tracker, told);

		while (hinting_pass(hinting))
			;
		EXPECT_EQ(t, told_pageblocks(told), 100u);
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
	uint64_t deadline = wait_deadline(WAIT_NS);

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
	store_release(&((struct backend *)backend)->block, false);
	page_hinting_disable(&((struct backend *)backend)->cb);
	EXPECT_OK(((struct backend *)backend)->t, hinting_configure(&page_hinting, NULL, PAGE_HINTING_MIN_ORDER));
}

KTEST(hinting, fault_12_who_would_fail_waits_for_the_blocks_to_return)
{
	struct backend *told = backend(t, 16);
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
