/*
 * Slabs: objects do not overlap, come back, and their slabs too.
 */
#include "mm/slab.h"

#include "kernel/ktest.h"
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
	EXPECT_EQ(t, cache.nr_objects, count);
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
	uint64_t before = slab_pages();

	slab_cache_init(&cache, "test", 512);
	ktest_defer(t, destroy, NULL);
	slab_free(&cache, slab_alloc(&cache, GFP_KERNEL));
	EXPECT(t, slab_pages() > before);
	EXPECT_EQ(t, slab_shrink(&cache), 1u << cache.order);
	EXPECT_EQ(t, slab_pages(), before);
}
