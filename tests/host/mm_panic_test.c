/*
 * What must end in a panic, and with which words: freeing twice, freeing wrongly, writing to free objects; and
 * memory that is out, with the report of who holds what.
 */
#include <arch/cpu.h>

#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
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

/* ---- out of memory ---- */

static void take_all_and_one_more(void *argument UNUSED)
{
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		while (alloc_pages(GFP_NOWAIT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), order))
			;
	(void)!alloc_pages(GFP_TEST | GFP_NOFAIL, 0);
}

KTEST(mm_panic, a_request_that_may_not_fail_ends_with_the_report)
{
	EXPECT(t, host_panics(take_all_and_one_more, NULL, "out of memory: order 0"));
	EXPECT(t, host_panics(take_all_and_one_more, NULL, "pages are free; who holds the rest:"));
}

static void report(void *what)
{
	struct cache_file *file = cache_file_open(1);

	(void)!cache_write_page(file, 0, GFP_KERNEL);
	(void)!alloc_pages(GFP_TEST, 3);
	memory_show_report();
	panic("%s", (const char *)what);
}

KTEST(mm_panic, the_report_says_who_holds_what)
{
	static const char *const lines[] = {
		"memory:         test 8 pages",
		"memory: list inactive_file: 1 pages",
		"memory: 1 files, 1 dirty pages, ",
		"memory: node 0 zone DMA: free ",
		"*4kB (",
		"pages, 1 objects of 1024 bytes, reclaimable",
		"memory: thread ",
	};

	page_cache_drop();
	page_cache_drop_files();
	for (size_t at = 0; at < ARRAY_SIZE(lines); at++)
		if (!host_panics(report, "as told", lines[at]))
			ktest_fail(t, __FILE__, __LINE__, "no \"%s\" in the report", lines[at]);
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
