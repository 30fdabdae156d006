/*
 * What must end in a panic, and with which words: freeing twice, freeing wrongly, writing to free objects.
 */
#include <arch/cpu.h>

#include "kernel/ktest.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/slab.h"
#include "tests/host/host.h"

#define GFP_TEST (GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST))

static void free_twice(void *order)
{
	struct page *page = alloc_pages(GFP_TEST, (unsigned int)(uintptr_t)order);

	free_pages(page, (unsigned int)(uintptr_t)order);
	free_pages(page, (unsigned int)(uintptr_t)order);
}

KTEST(mm_panic, a_double_free_of_pages_says_so)
{
	for (uintptr_t order = 0; order <= MAX_ORDER; order++)
		EXPECT(t, host_panics(free_twice, (void *)order, "double free"));
}

static void free_twice_through_drain(void *argument UNUSED)
{
	struct page *page = alloc_pages(GFP_TEST, 0);

	free_pages(page, 0);
	for_each_zone(zone) pcp_drain_all(zone);
	free_pages(page, 0);
}

static void free_with_wrong_order(void *argument UNUSED)
{
	free_pages(alloc_pages(GFP_TEST, 1), 0);
}

static void free_the_middle(void *argument UNUSED)
{
	free_pages(alloc_pages(GFP_TEST, 3) + 4, 2);
}

static void free_reserved_hole(void *argument UNUSED)
{
	free_pages(pfn_to_page(GIB(2) >> PAGE_SHIFT), 0);
}

KTEST(mm_panic, wrong_frees_say_what_is_wrong)
{
	EXPECT(t, host_panics(free_twice_through_drain, NULL, "double free"));
	EXPECT(t, host_panics(free_with_wrong_order, NULL, "allocated with order 1 and is freed with order 0"));
	EXPECT(t, host_panics(free_the_middle, NULL, "double free"));
	EXPECT(t, host_panics(free_reserved_hole, NULL, "is no block of memory"));
}

static struct slab_cache cache;

static void free_object_twice(void *argument UNUSED)
{
	void *object;

	slab_cache_init(&cache, "test", 48);
	object = slab_alloc(&cache, GFP_KERNEL);
	slab_free(&cache, object);
	slab_free(&cache, object);
}

static void free_inside_object(void *argument UNUSED)
{
	slab_cache_init(&cache, "test", 48);
	slab_free(&cache, (char *)slab_alloc(&cache, GFP_KERNEL) + 16);
}

static void write_to_free_object(void *argument UNUSED)
{
	char *object;

	slab_cache_init(&cache, "test", 48);
	object = slab_alloc(&cache, GFP_KERNEL);
	slab_free(&cache, object);
	object[8] = 1;
	(void)!slab_alloc(&cache, GFP_KERNEL);
}

#ifdef BALLONET_DEBUG
static void write_beyond_object(void *argument UNUSED)
{
	char *object;

	slab_cache_init(&cache, "test", 48);
	object = slab_alloc(&cache, GFP_KERNEL);
	object[48] = 1;
	slab_free(&cache, object);
}

KTEST(mm_panic, writing_beyond_an_object_is_found)
{
	EXPECT(t, host_panics(write_beyond_object, NULL, "beyond its 48 bytes"));
}
#endif

KTEST(mm_panic, misuse_of_objects_is_found)
{
	EXPECT(t, host_panics(free_object_twice, NULL, "double free"));
	EXPECT(t, host_panics(free_inside_object, NULL, "where no object begins"));
	EXPECT(t, host_panics(write_to_free_object, NULL, "was written to"));
}
