/*
 * Slabs: objects do not overlap, come back, and their slabs too.
 */
#include "mm/slab.h"

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define MOST 400

static struct slab_cache cache;

static void destroy(void *argument UNUSED)
{
	slab_cache_destroy(&cache);
}

static uint64_t slab_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_SLAB];
}

static uint64_t objects_in_use(void)
{
	struct slab_info infos[64];
	size_t count = slab_info_get(infos, ARRAY_SIZE(infos));

	for (size_t at = 0; at < count; at++)
		if (infos[at].name == cache.name)
			return infos[at].objects;
	return UINT64_MAX;
}

static void fill(uint8_t *object, size_t bytes)
{
	memset(object, (int)((uintptr_t)object >> 4 & 0xff), bytes);
}

static bool is_filled(const uint8_t *object, size_t bytes)
{
	for (size_t at = 0; at < bytes; at++)
		if (object[at] != ((uintptr_t)object >> 4 & 0xff))
			return false;
	return true;
}

static void run(struct ktest *t, size_t bytes)
{
	static uint8_t *objects[MOST];
	uint64_t before = slab_pages();
	uint32_t count = 0;
	struct rand rand;

	rand_seed(&rand, bytes);
	slab_cache_init(&cache, "test", bytes);
	for (unsigned int step = 0; step < (ktest_hosted() ? 6000 : 800); step++) {
		if (count < MOST && rand_below(&rand, 10) < (step < 500 ? 8 : 5)) {
			uint8_t *object = slab_alloc(&cache, GFP_KERNEL);

			REQUIRE(t, object && IS_ALIGNED((uintptr_t)object, 16u));
			EXPECT(t, slab_cache_of(object + bytes - 1) == &cache);
			fill(object, bytes);
			objects[count++] = object;
		} else if (count) {
			uint32_t at = (uint32_t)rand_below(&rand, count);

			EXPECT(t, is_filled(objects[at], bytes));
			slab_free(&cache, objects[at]);
			objects[at] = objects[--count];
		}
	}
	EXPECT_EQ(t, objects_in_use(), count);
	EXPECT_OK(t, slab_check(&cache));
	while (count)
		slab_free(&cache, objects[--count]);
	EXPECT_OK(t, slab_check(&cache));
	EXPECT(t, cache.nr_slabs <= 1);
	slab_cache_destroy(&cache);
	EXPECT_EQ(t, slab_pages(), before);
}

KTEST(slab, objects_of_all_sizes_keep_their_content)
{
	static const uint16_t sizes[] = {1, 16, 48, 96, 200, 1024, 3000, 8192};

	for (size_t at = 0; at < ARRAY_SIZE(sizes); at++)
		run(t, sizes[at]);
}

KTEST(slab, an_object_is_reused_first)
{
	void *first, *second;

	slab_cache_init(&cache, "test", 64);
	ktest_defer(t, destroy, NULL);
	first = slab_alloc(&cache, GFP_KERNEL);
	slab_free(&cache, first);
	second = slab_alloc(&cache, GFP_KERNEL);
	EXPECT(t, first == second);
	slab_free(&cache, second);
}

KTEST(slab, the_cache_of_foreign_memory_is_none)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST), 1);

	REQUIRE(t, page);
	EXPECT(t, !slab_cache_of(page_address(page)));
	EXPECT(t, !slab_cache_of((char *)page_address(page) + PAGE_SIZE + 5));
	free_pages(page, 1);
}

KTEST(slab, shrinking_gives_the_empty_slab_back)
{
	uint64_t before;

	slab_cache_init(&cache, "test", 512);
	ktest_defer(t, destroy, NULL);
	slab_free(&cache, slab_alloc(&cache, GFP_KERNEL));
	slab_shrink(&cache);
	before = slab_pages(); /* the magazines are there */
	slab_free(&cache, slab_alloc(&cache, GFP_KERNEL));
	EXPECT(t, slab_pages() > before);
	EXPECT_EQ(t, slab_shrink(&cache), 1u << cache.order);
	EXPECT_EQ(t, slab_pages(), before);
}

/* ---- magazines ---- */

KTEST(slab, what_a_cpu_keeps_is_not_in_use)
{
	void *objects[100];

	slab_cache_init(&cache, "test", 64);
	ktest_defer(t, destroy, NULL);
	for (size_t at = 0; at < ARRAY_SIZE(objects); at++)
		objects[at] = slab_alloc(&cache, GFP_KERNEL);
	EXPECT_EQ(t, objects_in_use(), 100u);
	for (size_t at = 0; at < 60; at++)
		slab_free(&cache, objects[at]);
	EXPECT(t, cache.nr_taken > 40);
	EXPECT_EQ(t, objects_in_use(), 40u);
	slab_drain(&cache);
	EXPECT_EQ(t, cache.nr_taken, 40u);
	EXPECT_EQ(t, objects_in_use(), 40u);
	EXPECT_OK(t, slab_check(&cache));
	for (size_t at = 60; at < ARRAY_SIZE(objects); at++)
		slab_free(&cache, objects[at]);
	EXPECT_EQ(t, objects_in_use(), 0u);
}

KTEST(slab, large_objects_do_not_lie_idle_by_the_dozen)
{
	void *objects[12];

	slab_cache_init(&cache, "test", 8192);
	ktest_defer(t, destroy, NULL);
	for (size_t at = 0; at < ARRAY_SIZE(objects); at++)
		REQUIRE(t, (objects[at] = slab_alloc(&cache, GFP_KERNEL)));
	for (size_t at = 0; at < ARRAY_SIZE(objects); at++)
		slab_free(&cache, objects[at]);
	EXPECT(t, cache.nr_taken <= 4);
}

struct keeper {
	bool has, over;
};

/* Frees what it has, and stays: what its CPU keeps is not this test's. */
static int keep(void *argument)
{
	struct keeper *keeper = argument;
	void *objects[20];

	for (size_t at = 0; at < ARRAY_SIZE(objects); at++)
		objects[at] = slab_alloc(&cache, GFP_KERNEL);
	for (size_t at = 0; at < ARRAY_SIZE(objects); at++)
		slab_free(&cache, objects[at]);
	store_release(&keeper->has, true);
	while (!load_acquire(&keeper->over))
		sleep_ns(NS_PER_MS / 5);
	return 0;
}

KTEST(slab, shrinking_takes_what_other_cpus_keep)
{
	uint64_t before = slab_pages();
	struct keeper keeper = {.has = false};
	struct thread *thread;

	slab_cache_init(&cache, "test", 512);
	ktest_defer(t, destroy, NULL);
	thread = thread_spawn("keeper", keep, &keeper);
	REQUIRE(t, !IS_ERR(thread));
	while (!load_acquire(&keeper.has))
		sleep_ns(NS_PER_MS / 5);
	EXPECT(t, cache.nr_slabs > 1 && cache.nr_taken > 0);
	slab_shrink(&cache);
	EXPECT_EQ(t, cache.nr_slabs, 0u);
	EXPECT(t, slab_pages() <= before + 4); /* the magazines themselves */
	store_release(&keeper.over, true);
	thread_join(thread);
}

#define SWAPPERS 4
#define SWAPPED	 64

struct swapper {
	uint64_t **shared; /* [SWAPPED]: whoever comes takes what is there and leaves something else */
	uint32_t *running; /* atomic */
	uint64_t seed;
	bool wrong;
};

static int swap(void *argument)
{
	struct swapper *swapper = argument;
	struct rand rand;

	rand_seed(&rand, swapper->seed);
	for (unsigned int step = 0; step < (ktest_hosted() ? 50000u : 1000u); step++) {
		uint64_t *object = rand_below(&rand, 3) ? slab_alloc(&cache, GFP_KERNEL) : NULL;

		for (size_t at = 0; object && at < 12; at++)
			object[at] = (uintptr_t)object + at;
		object = atomic_exchange(&swapper->shared[rand_below(&rand, SWAPPED)], object);
		for (size_t at = 0; object && at < 12; at++)
			swapper->wrong |= object[at] != (uintptr_t)object + at;
		slab_free(&cache, object);
	}
	atomic_dec(swapper->running);
	return 0;
}

/* Taken on one CPU, freed on another, and drained meanwhile. */
KTEST(slab, objects_change_cpus_while_they_are_drained)
{
	static uint64_t *shared[SWAPPED];
	struct swapper swappers[SWAPPERS];
	struct thread *threads[SWAPPERS];
	uint32_t running = SWAPPERS;

	memset(shared, 0, sizeof(shared));
	slab_cache_init(&cache, "test", 96);
	ktest_defer(t, destroy, NULL);
	for (unsigned int at = 0; at < SWAPPERS; at++) {
		swappers[at] = (struct swapper){shared, &running, ktest_seed(t) + at, false};
		threads[at] = thread_spawn("swapper", swap, &swappers[at]);
		REQUIRE(t, !IS_ERR(threads[at]));
	}
	for (unsigned int round = 0; load_relaxed(&running); round++) {
		slab_drain(&cache);
		if (round % 64 == 0)
			EXPECT_OK(t, slab_check(&cache));
	}
	for (unsigned int at = 0; at < SWAPPERS; at++) {
		thread_join(threads[at]);
		EXPECT(t, !swappers[at].wrong);
	}
	for (unsigned int at = 0; at < SWAPPED; at++)
		slab_free(&cache, shared[at]);
	EXPECT_EQ(t, objects_in_use(), 0u);
	slab_drain(&cache);
	EXPECT_EQ(t, cache.nr_taken, 0u);
	EXPECT_OK(t, slab_check(&cache));
}
