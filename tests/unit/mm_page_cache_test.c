/*
 * The page cache and what gets its pages back: content survives whatever happens to the pages, and every count agrees.
 */
#include "mm/page_cache.h"

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/rand.h"
#include "mm/cache_tree.h"
#include "mm/daemon.h"
#include "mm/memory.h"
#include "mm/movable.h"
#include "mm/reclaim.h"
#include "mm/vmstat.h"

#define GFP_TEST (GFP_USER | GFP_NOWARN)

static void drop_file(void *file)
{
	cache_file_truncate(file);
	cache_file_close(file);
	page_cache_drop_files();
}

static void release_daemons(void *nothing UNUSED)
{
	daemons_release();
}

/* No daemon reclaims or moves its pages. */
static struct cache_file *open_file(struct ktest *t, uint64_t id)
{
	struct cache_file *file = cache_file_open(id);

	if (file)
		ktest_defer(t, drop_file, file);
	daemons_hold();
	ktest_defer(t, release_daemons, NULL);
	return file;
}

static void expect_sound(struct ktest *t)
{
	EXPECT_OK(t, page_cache_check());
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		EXPECT_OK(t, lru_check(&memory.nodes[node].lru));
}

KTEST(page_cache, a_page_is_read_once_and_has_its_content)
{
	struct cache_file *file = open_file(t, 7);
	struct page *first, *again;

	REQUIRE(t, file);
	first = cache_get_page(file, 3, GFP_TEST);
	REQUIRE(t, first);
	again = cache_get_page(file, 3, GFP_TEST);
	EXPECT(t, first == again);
	EXPECT(t, cache_page_is_right(first));
	EXPECT_EQ(t, page_owner(first), PAGE_OWNER_PAGE_CACHE);
	EXPECT_EQ(t, first->refcount, 3u);
	*(uint64_t *)page_address(first) ^= 1;
	EXPECT(t, !cache_page_is_right(first));
	*(uint64_t *)page_address(first) ^= 1;
	page_put(first);
	page_put(again);
	EXPECT(t, cache_file_open(7) == file); /* known by its number while it is open */
	cache_file_close(file);
	expect_sound(t);
}

/* Against an array: random indices of all sizes go in and out, and are walked in order. */
KTEST(page_cache, the_tree_holds_what_an_array_would)
{
	static uint64_t indices[200];
	static bool present[200];
	struct cache_file file = {.id = 1};
	struct page *pages = (struct page *)indices; /* only addresses are stored */
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	for (unsigned int at = 0; at < ARRAY_SIZE(indices); at++) {
		indices[at] = rand_u64(&rand) >> rand_below(&rand, 60);
		for (unsigned int other = 0; other < at; other++)
			if (indices[other] == indices[at])
				indices[at--] = 0;
		present[at] = false;
	}
	for (unsigned int step = 0; step < 2000; step++) {
		unsigned int at = (unsigned int)rand_below(&rand, ARRAY_SIZE(indices));
		struct cache_spares spares = {0};
		uint64_t index = 0, count = 0;

		EXPECT(t, cache_tree_find(&file, indices[at]) == (present[at] ? &pages[at] : NULL));
		if (present[at]) {
			cache_tree_remove(&file, indices[at]);
		} else {
			REQUIRE_OK(t, cache_tree_prepare(&file, indices[at], GFP_KERNEL, &spares));
			REQUIRE_OK(t, cache_tree_insert(&file, indices[at], &pages[at], &spares));
			cache_spares_free(&spares);
		}
		present[at] = !present[at];
		if (step % 100)
			continue;
		for (struct page *page; (page = cache_tree_next(&file, &index)); index++, count++)
			EXPECT_EQ(t, indices[page - pages], index);
		EXPECT_EQ(t, count, file.nr_pages);
	}
	for (unsigned int at = 0; at < ARRAY_SIZE(indices); at++)
		if (present[at])
			cache_tree_remove(&file, indices[at]);
	EXPECT(t, !file.root && !file.height);
}

KTEST(page_cache, dropped_pages_come_back_with_their_content)
{
	struct cache_file *file = open_file(t, 11);

	REQUIRE(t, file);
	for (uint64_t index = 0; index < 100; index++)
		page_put(cache_get_page(file, index, GFP_TEST));
	EXPECT(t, page_cache_drop() >= 100); /* used ones too */
	EXPECT_EQ(t, file->nr_pages, 0u);
	for (uint64_t index = 0; index < 100; index++) {
		struct page *page = cache_get_page(file, index, GFP_TEST);

		REQUIRE(t, page);
		EXPECT(t, cache_page_is_right(page));
		page_put(page);
	}
	expect_sound(t);
}

KTEST(page_cache, a_page_in_use_is_neither_dropped_nor_moved)
{
	struct cache_file *file = open_file(t, 12);
	const struct movable_ops *ops = movable_ops_of(PAGE_OWNER_PAGE_CACHE);
	struct page *page, *to = alloc_pages(GFP_TEST | GFP_OWNER(PAGE_OWNER_PAGE_CACHE), 0);

	REQUIRE(t, file && to);
	page = cache_get_page(file, 0, GFP_TEST);
	REQUIRE(t, page);
	page_cache_drop();
	EXPECT_EQ(t, file->nr_pages, 1u);
	REQUIRE(t, ops->isolate(page));
	EXPECT(t, !ops->isolate(page));
	EXPECT_EQ(t, ops->migrate(page, to), -EAGAIN);
	ops->put_back(page);
	page_put(page);

	REQUIRE(t, ops->isolate(page));
	EXPECT_EQ(t, ops->migrate(page, to), 0);
	free_pages(page, 0);
	page = cache_find_page(file, 0);
	EXPECT(t, page == to && cache_page_is_right(page));
	page_put(page);
	expect_sound(t);
}

/* One thorough pass over all nodes: the test's pages may be on any. */
static uint64_t pass(bool gently)
{
	uint64_t freed = 0;

	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		freed += reclaim_node(&(struct reclaim){
			.node = &memory.nodes[node], .highest = NR_ZONE_TYPES - 1, .wanted = 64, .gently = gently});
	return freed;
}

KTEST(page_cache, gentle_reclaim_leaves_dirty_pages)
{
	struct cache_file *file = open_file(t, 13);
	struct page *page;

	REQUIRE(t, file);
	page_cache_drop();
	page = cache_write_page(file, 0, GFP_TEST);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_EQ(t, pass(true), 0u);
	EXPECT_EQ(t, file->nr_pages, 1u);
	EXPECT(t, pass(false) >= 1); /* and slabs */
	EXPECT_EQ(t, file->nr_pages, 0u);

	page = cache_write_page(file, 0, GFP_TEST);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_EQ(t, cache_file_write_back(file), 1u);
	EXPECT_EQ(t, cache_file_write_back(file), 0u);
	EXPECT_EQ(t, pass(true), 1u);
}

KTEST(page_cache, what_was_used_gets_a_second_chance)
{
	struct cache_file *file = open_file(t, 14);
	struct page *used;

	REQUIRE(t, file);
	page_cache_drop();
	for (uint64_t index = 0; index < 64; index++)
		page_put(cache_get_page(file, index, GFP_TEST));
	used = cache_get_page(file, 5, GFP_TEST);
	REQUIRE(t, used);
	page_put(used);
	pass(false);
	EXPECT_EQ(t, file->nr_pages, 1u);
	used = cache_find_page(file, 5);
	REQUIRE(t, used);
	EXPECT(t, page_is(used, PAGE_ACTIVE));
	page_put(used);
	expect_sound(t);
}

KTEST(page_cache, direct_reclaim_frees_and_counts)
{
	struct cache_file *file = open_file(t, 15);
	uint64_t stolen = vm_event_read(VM_EVENT_pgsteal_direct);
	uintptr_t previous;

	REQUIRE(t, file);
	page_cache_drop();
	for (uint64_t index = 0; index < 200; index++)
		page_put(cache_get_page(file, index, GFP_TEST));
	previous = memalloc_enter();
	EXPECT_EQ(t, reclaim_direct(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL),
		  0u); /* who frees memory does not recurse */
	memalloc_leave(previous);
	EXPECT(t, reclaim_direct(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL) >= 32);
	EXPECT(t, vm_event_read(VM_EVENT_pgsteal_direct) >= stolen + 32);
	expect_sound(t);
}

KTEST(page_cache, for_a_large_block_enough_is_freed_to_move_things_to)
{
	struct cache_file *file = open_file(t, 12);

	REQUIRE(t, file);
	for (uint64_t index = 0; index < 3000; index++)
		page_put(cache_get_page(file, index, GFP_TEST));
	EXPECT(t, reclaim_direct(&memory.nodes[0], GFP_KERNEL, 9, ZONE_NORMAL) >= 1024);
	expect_sound(t);
}

/* ---- many threads ---- */

#define FILES	       8u
#define PAGES_PER_FILE 64u

static struct {
	uint64_t seed, wrong;
	bool stop;
} stress;

static int read_at_random(void *number)
{
	struct rand rand;

	rand_seed(&rand, stress.seed + (uintptr_t)number);
	while (!load_relaxed(&stress.stop)) {
		struct cache_file *file = cache_file_open(100 + rand_below(&rand, FILES));
		uint64_t index = rand_below(&rand, PAGES_PER_FILE);
		struct page *page;

		if (!file)
			continue;
		page = rand_below(&rand, 4) ? cache_get_page(file, index, GFP_TEST)
					    : cache_write_page(file, index, GFP_TEST);
		if (page) {
			if (!cache_page_is_right(page))
				atomic_inc(&stress.wrong);
			page_put(page);
		}
		if (rand_below(&rand, 500) == 0)
			cache_file_truncate(file);
		cache_file_close(file);
	}
	return 0;
}

static int take_back(void *argument UNUSED)
{
	struct reclaim reclaim = {.node = &memory.nodes[0], .highest = NR_ZONE_TYPES - 1, .wanted = 32, .priority = 2};

	while (!load_relaxed(&stress.stop)) {
		reclaim_node(&reclaim);
		page_cache_drop_files();
	}
	return 0;
}

/* Moves whatever page-cache pages it finds by looking at memory, as compaction does. */
static int move_about(void *argument UNUSED)
{
	const struct movable_ops *ops = movable_ops_of(PAGE_OWNER_PAGE_CACHE);
	struct zone *zone = &memory.zones[memory.nr_zones - 1];
	uint32_t index = 0;

	while (!load_relaxed(&stress.stop)) {
		struct page *page, *to;

		index = (index + 1) % (uint32_t)zone->spanned_pages;
		page = zone_page(zone, index);
		if (TAG_OWNER(zone_tag(zone, index)) != PAGE_OWNER_PAGE_CACHE || !ops->isolate(page))
			continue;
		to = alloc_pages(GFP_TEST | GFP_OWNER(PAGE_OWNER_PAGE_CACHE), 0);
		if (to && ops->migrate(page, to) == 0) {
			free_pages(page, 0);
			continue;
		}
		if (to)
			free_pages(to, 0);
		ops->put_back(page);
	}
	return 0;
}

/* The root goes up by one level and the tree is emptied, again and again. */
static int grow_and_empty(void *file)
{
	while (!load_relaxed(&stress.stop)) {
		for (uint64_t index = 0; index < 2 * CACHE_TREE_SLOTS; index += CACHE_TREE_SLOTS) {
			struct page *page = cache_get_page(file, index, GFP_TEST);

			if (page)
				page_put(page);
		}
		cache_file_truncate(file);
	}
	return 0;
}

/* Spares are counted without the lock: a height that was read twice once gave four thousand million of them. */
KTEST(page_cache, nodes_are_prepared_while_the_tree_grows_and_is_emptied)
{
	uint64_t end = time_ns() + (ktest_hosted() ? 200 : 60) * NS_PER_MS;
	struct cache_file *file = open_file(t, 77);
	struct cache_spares spares = {0};
	struct thread *thread;

	REQUIRE(t, file);
	stress.stop = false;
	thread = thread_spawn("grower", grow_and_empty, file);
	REQUIRE(t, !IS_ERR(thread));
	while (time_ns() < end) {
		EXPECT_OK(t, cache_tree_prepare(file, 0, GFP_TEST, &spares));
		if (spares.count > 2)
			break; /* height 2 takes one to grow and one to go down */
		cache_spares_free(&spares);
	}
	EXPECT(t, spares.count <= 2);
	store_relaxed(&stress.stop, true);
	thread_join(thread);
	cache_spares_free(&spares);
	expect_sound(t);
}

KTEST(page_cache, readers_reclaim_truncation_and_migration_together)
{
	uint64_t end = time_ns() + (ktest_hosted() ? 1000 : 300) * NS_PER_MS;
	struct thread *threads[4];

	stress.seed = ktest_seed(t);
	stress.wrong = 0;
	stress.stop = false;
	threads[0] = thread_spawn("reader", read_at_random, (void *)0);
	threads[1] = thread_spawn("reader", read_at_random, (void *)1);
	threads[2] = thread_spawn("reclaimer", take_back, NULL);
	threads[3] = thread_spawn("mover", move_about, NULL);
	while (time_ns() < end) {
		thread_yield();
		EXPECT_OK(t, page_cache_check()); /* in the middle of it all */
	}
	store_relaxed(&stress.stop, true);
	for (unsigned int at = 0; at < ARRAY_SIZE(threads); at++)
		if (!IS_ERR(threads[at]))
			thread_join(threads[at]);
	EXPECT_EQ(t, stress.wrong, 0u);
	expect_sound(t);
	for (uint64_t id = 100; id < 100 + FILES; id++) {
		struct cache_file *file = cache_file_open(id);

		REQUIRE(t, file);
		drop_file(file);
	}
	EXPECT_EQ(t, memory.nodes[0].lru.isolated, 0u);
	EXPECT_OK(t, memory_check());
}
