/*
 * Compaction under fire: two threads allocate and free movable blocks, or read files, one compacts, one empties ranges,
 * isolates pageblocks and holds pages that cannot move, all in one zone of the machine's; owners refuse and are busy
 * now and then. Every page that is held carries a pattern, and at the end every page is accounted for.
 */
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "mm/compaction_internal.h"
#include "mm/contig.h"
#include "mm/isolation.h"
#include "mm/page_cache.h"
#include "mm/page_ref.h"
#include "mm/pcp.h"
#include "tests/unit/movable_owner.h"

#define ALLOCATORS  2
#define PINNED	    64
#define RANGES	    4
#define RANGE_PAGES 1500
#define REACH	    (24ul * PAGEBLOCK_PAGES)
#define FILES	    8u
#define FILE_PAGES  800u

struct stress {
	struct zone *zone;
	struct movable_owner *owner; /* NULL: the page cache is what moves */
	uint64_t seed;
	uint32_t slots, steps; /* of each allocator */
	uint32_t rounds;       /* of the other two */
	uint32_t busy;	       /* threads that have not done theirs yet; until then all go on */
	uint64_t compacted, emptied, failed_ranges;
	bool wrong;
};

struct allocator {
	struct stress *stress;
	uint32_t number;
};

/* For the loop's head: true as long as there is something to do, for this thread or another. */
static bool goes_on(struct stress *stress, uint32_t *done, uint32_t wanted)
{
	if (++*done == wanted)
		atomic_dec(&stress->busy);
	return *done < wanted || load_acquire(&stress->busy);
}

/* ---- movable blocks -----------------------------------------------------------------------------------------------
 */

static int allocator_run(void *argument)
{
	struct allocator *allocator = argument;
	struct stress *stress = allocator->stress;
	struct rand rand;
	uint32_t done = 0;

	rand_seed(&rand, stress->seed + allocator->number);
	while (goes_on(stress, &done, stress->steps)) {
		uint32_t slot = allocator->number * stress->slots + (uint32_t)rand_below(&rand, stress->slots);

		if (!mo_is_empty(stress->owner, slot))
			mo_give(stress->owner, slot);
		else
			mo_take(stress->owner, slot, rand_below(&rand, 8) ? 0 : (unsigned int)rand_below(&rand, 5));
	}
	return 0;
}

/* ---- moving them --------------------------------------------------------------------------------------------------
 */

static void compact_somehow(struct stress *stress, uint64_t how)
{
	struct compact_run run = {
		.zone = stress->zone,
		.order = how & 1 ? MAX_ORDER : PAGEBLOCK_ORDER - 2,
		.sync = how & 2,
		.scan = how & 4 ? &compact_linear : &compact_fullest,
	};
	uint64_t moved;

	if (how & 8) {
		compaction_make_pageblocks(stress->zone, 4, &moved);
	} else {
		compact_zone(&run);
		moved = run.migrate.migrated;
	}
	stress->compacted += moved;
}

static int compactor_run(void *argument)
{
	struct stress *stress = argument;
	struct rand rand;
	uint32_t done = 0;

	rand_seed(&rand, stress->seed + ALLOCATORS);
	while (goes_on(stress, &done, stress->rounds)) {
		if (stress->owner)
			mo_disturb(stress->owner, (uint32_t)rand_below(&rand, 3), (uint32_t)rand_below(&rand, 40));
		compact_somehow(stress, rand_below(&rand, 16));
	}
	return 0;
}

/* ---- ranges -------------------------------------------------------------------------------------------------------
 */

struct range {
	uint64_t first_pfn, pages;
};

static uint64_t *mark_of(uint64_t pfn)
{
	return page_address(pfn_to_page(pfn));
}

static void mark(uint64_t pfn)
{
	*mark_of(pfn) = ~pfn;
}

static void check_mark(struct stress *stress, uint64_t pfn)
{
	if (*mark_of(pfn) != ~pfn)
		store_relaxed(&stress->wrong, true);
}

/* Where the allocators are: memory is given out from the bottom. */
static void take_range(struct stress *stress, struct range *range, struct rand *rand)
{
	const struct zone *zone = stress->zone;
	uint64_t reach = MIN(zone->spanned_pages - RANGE_PAGES, REACH);
	uint64_t first = zone->start_pfn + rand_below(rand, reach), pages = 1 + rand_below(rand, RANGE_PAGES);

	if (alloc_contig_range(first, first + pages, GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DRIVER)) != 0) {
		stress->failed_ranges++;
		return;
	}
	*range = (struct range){first, pages};
	for (uint64_t pfn = first; pfn < first + pages; pfn++)
		mark(pfn);
	stress->emptied += pages;
}

static void give_range(struct stress *stress, struct range *range)
{
	for (uint64_t pfn = range->first_pfn; pfn < range->first_pfn + range->pages; pfn++)
		check_mark(stress, pfn);
	free_contig_range(range->first_pfn, range->pages);
	range->pages = 0;
}

static void take_or_give_pinned(struct stress *stress, struct page **pinned)
{
	if (*pinned) {
		check_mark(stress, page_to_pfn(*pinned));
		free_pages(*pinned, 0);
		*pinned = NULL;
		return;
	}
	*pinned = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DRIVER), 0);
	if (*pinned)
		mark(page_to_pfn(*pinned));
}

static void isolate_for_a_moment(struct zone *zone, uint32_t number)
{
	int error;

	spin_lock(&zone->lock);
	error = isolation_begin_locked(zone, number);
	spin_unlock(&zone->lock);
	if (error)
		return;
	thread_yield();
	spin_lock(&zone->lock);
	isolation_end_locked(zone, number);
	spin_unlock(&zone->lock);
}

static int ranger_run(void *argument)
{
	struct stress *stress = argument;
	struct page *pinned[PINNED] = {NULL};
	struct range ranges[RANGES] = {0};
	struct rand rand;
	uint32_t done = 0;

	rand_seed(&rand, stress->seed + ALLOCATORS + 1);
	while (goes_on(stress, &done, stress->rounds)) {
		struct range *range = &ranges[rand_below(&rand, RANGES)];

		if (range->pages)
			give_range(stress, range);
		else
			take_range(stress, range, &rand);
		for (unsigned int at = 0; at < 16; at++)
			take_or_give_pinned(stress, &pinned[rand_below(&rand, PINNED)]);
		isolate_for_a_moment(stress->zone, (uint32_t)rand_below(&rand, 32));
	}
	for (unsigned int at = 0; at < RANGES; at++)
		if (ranges[at].pages)
			give_range(stress, &ranges[at]);
	for (unsigned int at = 0; at < PINNED; at++)
		if (pinned[at])
			take_or_give_pinned(stress, &pinned[at]);
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static int reader_run(void *argument)
{
	struct allocator *reader = argument;
	struct stress *stress = reader->stress;
	struct rand rand;
	uint32_t done = 0;

	rand_seed(&rand, stress->seed + reader->number);
	while (goes_on(stress, &done, stress->steps)) {
		struct cache_file *file = cache_file_open(500 + rand_below(&rand, FILES));
		uint64_t index = rand_below(&rand, FILE_PAGES);
		struct page *page;

		if (!file)
			continue;
		page = cache_get_page(file, index, GFP_USER | GFP_NOWARN);
		if (page) {
			if (!cache_page_is_right(page))
				store_relaxed(&stress->wrong, true);
			page_put(page);
		}
		if (rand_below(&rand, 2 * FILE_PAGES) == 0)
			cache_file_truncate(file);
		cache_file_close(file);
	}
	return 0;
}

/* Every page that is left is right. */
static void drop_files(struct ktest *t)
{
	for (uint64_t id = 500; id < 500 + FILES; id++) {
		struct cache_file *file = cache_file_open(id);

		REQUIRE(t, file);
		for (uint64_t index = 0; index < FILE_PAGES; index++) {
			struct page *page = cache_find_page(file, index);

			if (!page)
				continue;
			EXPECT(t, cache_page_is_right(page));
			page_put(page);
		}
		cache_file_truncate(file);
		cache_file_close(file);
	}
	page_cache_drop_files();
}

/* ---- all at once --------------------------------------------------------------------------------------------------
 */

/* Two threads that have pages, and two that move them. */
static void run_threads(struct ktest *t, struct stress *stress, int (*run)(void *allocator))
{
	struct allocator allocators[ALLOCATORS];
	struct thread *threads[ALLOCATORS + 2];

	stress->busy = ARRAY_SIZE(threads);
	for (uint32_t at = 0; at < ALLOCATORS; at++) {
		allocators[at] = (struct allocator){stress, at};
		threads[at] = thread_spawn("allocator", run, &allocators[at]);
	}
	threads[ALLOCATORS] = thread_spawn("compactor", compactor_run, stress);
	threads[ALLOCATORS + 1] = thread_spawn("ranger", ranger_run, stress);
	for (uint32_t at = 0; at < ARRAY_SIZE(threads); at++) {
		EXPECT(t, !IS_ERR(threads[at]));
		if (IS_ERR(threads[at]))
			atomic_dec(&stress->busy);
		else
			thread_join(threads[at]);
	}
	ktest_note(t, "%lu pages moved by compaction, %lu taken as ranges, %lu ranges refused", stress->compacted,
		   stress->emptied, stress->failed_ranges);
	EXPECT(t, !stress->wrong && stress->compacted && stress->emptied);
	EXPECT_EQ(t, stress->zone->nr_isolated_pageblocks, 0u);
}

static void run_stress(struct ktest *t, uint32_t steps, uint32_t rounds)
{
	struct stress stress = {.seed = ktest_seed(t), .slots = 2000, .steps = steps, .rounds = rounds};

	stress.zone = memory.nodes[0].zonelist[0];
	stress.owner = movable_owner_new(t, stress.zone, ALLOCATORS * stress.slots);
	REQUIRE(t, stress.owner);
	run_threads(t, &stress, allocator_run);
	EXPECT(t, mo_check(stress.owner));
	EXPECT_OK(t, memory_check());
}

KTEST(compaction_stress, four_threads_lose_no_page)
{
	run_stress(t, ktest_hosted() ? 100000 : 5000, 100);
}

KTEST(compaction_stress, slow_four_threads_lose_no_page_for_long)
{
	run_stress(t, ktest_hosted() ? 10000000 : 1000000, 10000);
}

KTEST(compaction_stress, files_are_read_while_their_pages_move)
{
	struct stress stress = {.seed = ktest_seed(t), .steps = ktest_hosted() ? 20000 : 2000, .rounds = 100};

	stress.zone = memory.nodes[0].zonelist[0];
	run_threads(t, &stress, reader_run);
	EXPECT_OK(t, page_cache_check());
	drop_files(t);
	EXPECT_OK(t, memory_check());
}
