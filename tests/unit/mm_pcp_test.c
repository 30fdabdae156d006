/*
 * Per-CPU lists: batches, limits, order of use, accounting, draining from another CPU.
 */
#include "mm/pcp.h"

#include <arch/cpu.h>

#include "kernel/thread.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "tests/unit/mm_fixture.h"

#define ZONE_PAGES (16u * PAGEBLOCK_PAGES) /* limits: high 8, batch 2 */

static uint32_t take(struct zone *zone, unsigned int order, enum migratetype mt)
{
	uint32_t index = ZONE_INDEX_NONE;

	if (order == 0 && pcp_take_common(zone, 0, mt, PAGE_OWNER_TEST, &index))
		return index;
	if (pcp_serves(order) && pcp_limits(zone, order).high)
		index = pcp_take(zone, order, mt, PAGE_OWNER_TEST);
	else
		return pcp_bypass_take(zone, fixture_request(order, mt, PAGE_OWNER_TEST));
	return index != ZONE_INDEX_NONE ? index
					: pcp_refill_and_take(zone, fixture_request(order, mt, PAGE_OWNER_TEST));
}

KTEST(pcp, a_freed_page_is_the_next_one_taken)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	uint32_t first = take(zone, 0, MIGRATE_MOVABLE), second = take(zone, 0, MIGRATE_MOVABLE);

	REQUIRE(t, first != ZONE_INDEX_NONE && second != ZONE_INDEX_NONE);
	pcp_give(zone, first, 0);
	EXPECT_EQ(t, take(zone, 0, MIGRATE_MOVABLE), first);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(pcp, a_full_magazine_drains_a_batch)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	struct pcp_limits limits = pcp_limits(zone, 0);
	uint32_t indices[64];

	REQUIRE(t, limits.high > limits.batch && limits.high < ARRAY_SIZE(indices));
	for (unsigned int at = 0; at < ARRAY_SIZE(indices); at++)
		indices[at] = take(zone, 0, MIGRATE_MOVABLE);
	for (unsigned int at = 0; at < ARRAY_SIZE(indices); at++) {
		pcp_give(zone, indices[at], 0);
		EXPECT(t, pcp_pages(zone) <= limits.high);
	}
	EXPECT(t, pcp_pages(zone) > 0u);
	EXPECT_OK(t, zone_check(zone));
	pcp_drain_all(zone);
	EXPECT_EQ(t, pcp_pages(zone), 0u);
	EXPECT_EQ(t, zone->free_pages, ZONE_PAGES);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(pcp, a_magazine_is_emptied_and_filled_at_once)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	struct pcp_limits limits = pcp_limits(zone, 0);
	struct page *pages[16];
	uint32_t first = take(zone, 0, MIGRATE_MOVABLE), got;

	got = pcp_take_pages(zone, MIGRATE_MOVABLE, PAGE_OWNER_TEST, ARRAY_SIZE(pages), pages);
	EXPECT_EQ(t, got, limits.batch - 1u); /* no more than is there */
	EXPECT_EQ(t, pcp_pages(zone), 0u);
	for (; got < ARRAY_SIZE(pages); got++)
		pages[got] = zone_page(zone, take(zone, 0, MIGRATE_MOVABLE));
	EXPECT_OK(t, zone_check(zone));

	pcp_give_pages(zone, pages, got);
	EXPECT(t, pcp_pages(zone) <= limits.high);
	got = pcp_take_pages(zone, MIGRATE_MOVABLE, PAGE_OWNER_TEST, 3, pages);
	EXPECT_EQ(t, got, 3u);
	EXPECT_EQ(t, zone_tag(zone, zone_index(zone, pages[2])), TAG(PAGE_OWNER_TEST, 0));
	EXPECT_OK(t, zone_check(zone));
	pcp_give_pages(zone, pages, got);
	pcp_give(zone, first, 0);
	pcp_drain_all(zone);
	EXPECT_EQ(t, zone->free_pages, ZONE_PAGES);
	EXPECT_OK(t, zone_check(zone));
}

/* Given back from the second on: a batch would end between the halves of a pair. */
KTEST(pcp, a_drained_batch_of_pageblocks_ends_with_a_pair)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	uint32_t indices[ZONE_PAGES / PAGEBLOCK_PAGES];

	zone->pcp_limits[pcp_class(PAGEBLOCK_ORDER)] = (struct pcp_limits){.high = 8, .batch = 4};
	for (uint32_t at = 0; at < ARRAY_SIZE(indices); at++)
		indices[at] = take(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE);
	EXPECT_EQ(t, zone->free_pages, 0u);
	for (uint32_t at = 1; at < 10; at++) {
		EXPECT_EQ(t, indices[at], at * PAGEBLOCK_PAGES);
		pcp_give(zone, indices[at], PAGEBLOCK_ORDER);
	}
	EXPECT_EQ(t, zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE], 2u); /* 2 and 3, 4 and 5 */
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_MOVABLE], 1u);
	EXPECT_EQ(t, pcp_pages(zone), 4 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, zone_check(zone));
	pcp_drain_all(zone);
	EXPECT_EQ(t, zone->free_pages, 9 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, zone_check(zone));
}

/* An odd one would tear a pair apart. */
KTEST(pcp, a_magazine_of_pageblocks_fills_up_in_pairs)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	uint32_t index;

	zone->pcp_limits[pcp_class(PAGEBLOCK_ORDER)] = (struct pcp_limits){.high = 7, .batch = 4};
	index = take(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE);
	EXPECT_EQ(t, pcp_pages(zone), 5 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE], ZONE_PAGES / PAGEBLOCK_PAGES / 2 - 3);
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_MOVABLE], 0u);
	pcp_give(zone, index, PAGEBLOCK_ORDER);
	EXPECT_OK(t, zone_check(zone));
}

KTEST(pcp, pages_are_accounted_for_by_owner)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	int64_t owned = 0;
	uint32_t index = take(zone, 3, MIGRATE_UNMOVABLE);

	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
		owned += zone->pcps[cpu].owned_pages[PAGE_OWNER_TEST];
	EXPECT_EQ(t, owned, 8);
	EXPECT_EQ(t, zone_tag(zone, index), TAG(PAGE_OWNER_TEST, 3));
	EXPECT_EQ(t, zone->free_pages + pcp_pages(zone), ZONE_PAGES - 8);
	pcp_give(zone, index, 3);
	EXPECT_OK(t, zone_check(zone));
}

/* ---- several CPUs -------------------------------------------------------------------------------------------------
 */

#define WORKERS 4
#define HELD	48

struct worker {
	struct zone *zone;
	uint64_t seed;
	unsigned int steps;
	bool wrong;
};

/* A page that is held says whose it is. */
static void *pattern_of(struct worker *worker, uint32_t at)
{
	return (char *)worker + at;
}

static void worker_take(struct worker *worker, uint32_t *held, uint8_t *orders, uint32_t at, struct rand *rand)
{
	unsigned int order = rand_below(rand, 8) ? (unsigned int)rand_below(rand, 5) : PAGEBLOCK_ORDER;

	held[at] = take(worker->zone, order, (enum migratetype)rand_below(rand, MIGRATE_PCPTYPES));
	orders[at] = (uint8_t)order;
	if (held[at] != ZONE_INDEX_NONE)
		zone_page(worker->zone, held[at])->mapping = pattern_of(worker, at);
}

static void worker_give(struct worker *worker, uint32_t *held, uint8_t *orders, uint32_t at)
{
	if (zone_page(worker->zone, held[at])->mapping != pattern_of(worker, at))
		worker->wrong = true;
	if (orders[at] || !pcp_give_common(worker->zone, worker->zone->start_pfn + held[at], 0))
		pcp_give(worker->zone, held[at], orders[at]);
	held[at] = ZONE_INDEX_NONE;
}

static int worker_run(void *argument)
{
	struct worker *worker = argument;
	uint32_t held[HELD];
	uint8_t orders[HELD] = {0};
	struct rand rand;

	rand_seed(&rand, worker->seed);
	memset(held, 0xff, sizeof(held));
	for (unsigned int step = 0; step < worker->steps; step++) {
		uint32_t at = (uint32_t)rand_below(&rand, HELD);

		if (held[at] == ZONE_INDEX_NONE)
			worker_take(worker, held, orders, at, &rand);
		else
			worker_give(worker, held, orders, at);
		if (step % 16 == 0)
			pcp_drain_all(worker->zone);
	}
	for (uint32_t at = 0; at < HELD; at++)
		if (held[at] != ZONE_INDEX_NONE)
			worker_give(worker, held, orders, at);
	return 0;
}

KTEST(pcp, four_threads_never_share_a_page)
{
	struct zone *zone = fixture_zone(t, ZONE_PAGES);
	struct worker workers[WORKERS];
	struct thread *threads[WORKERS];

	for (unsigned int at = 0; at < WORKERS; at++) {
		workers[at] = (struct worker){zone, ktest_seed(t) + at, ktest_hosted() ? 100000 : 2000, false};
		threads[at] = thread_spawn("pcp_test", worker_run, &workers[at]);
		REQUIRE(t, !IS_ERR(threads[at]));
	}
	for (unsigned int at = 0; at < WORKERS; at++) {
		thread_join(threads[at]);
		EXPECT(t, !workers[at].wrong);
	}
	EXPECT_OK(t, zone_check(zone));
	pcp_drain_all(zone);
	EXPECT_EQ(t, zone->free_pages, ZONE_PAGES);
	EXPECT_OK(t, zone_check(zone));
}

/* Regression: it held one, which could not form a block of the top order with its neighbour. */
KTEST(pcp, where_a_magazine_could_hold_one_pageblock_there_is_none)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);

	zone->managed_pages = 511 * PAGEBLOCK_PAGES;
	pcp_set_limits(zone);
	EXPECT_EQ(t, pcp_limits(zone, PAGEBLOCK_ORDER).high, 0u);
	zone->managed_pages = 512 * PAGEBLOCK_PAGES;
	pcp_set_limits(zone);
	EXPECT_EQ(t, pcp_limits(zone, PAGEBLOCK_ORDER).high, 2u);
}
