/*
 * The hosted machine's memory: small, but with everything that a real one has: two nodes, all zones, holes, reserved
 * ranges within a pageblock, and a border of nodes within a granule.
 */
#include "mm/memory.h"

#include "kernel/panic.h"
#include "lib/atomic.h"
#include "tests/host/host.h"
#include "tests/host/host_internal.h"

static bool pages_fail;

void host_fail_pages(bool too)
{
	store_relaxed(&pages_fail, too);
}

/* The linker puts these in the way of all calls from other files (--wrap); benchmarks are linked without. */
struct page *__real_alloc_pages_node(int node, uint32_t gfp, unsigned int order) WEAK;
struct page *__wrap_alloc_pages_node(int node, uint32_t gfp, unsigned int order);
struct page *__wrap_alloc_pages_node(int node, uint32_t gfp, unsigned int order)
{
	if (load_relaxed(&pages_fail) && !(gfp & GFP_NOFAIL) && host_allocation_fails())
		return NULL;
	return __real_alloc_pages_node(node, gfp, order);
}

size_t __real_alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages) WEAK;
size_t __wrap_alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages);
size_t __wrap_alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages)
{
	if (load_relaxed(&pages_fail) && host_allocation_fails())
		return 0;
	return __real_alloc_pages_bulk(node, gfp, order, count, pages);
}

void host_mm_init(void)
{
	static const struct machine machine = {.nr_cpus = MAX_CPUS, .nr_nodes = 2, .distance = {{10, 20}, {20, 10}}};
	static const struct memblock_region memory_map[] = {
		{KIB(4), KIB(640), 0},
		{MIB(1), MIB(256), 0},
		{GIB(4), GIB(4) + MIB(257), 0},
		{GIB(4) + MIB(257), GIB(4) + MIB(512), 1},
	};
	static const struct memblock_region taken[] = {{MIB(2), MIB(3) + KIB(24), 0}, {MIB(64), MIB(80), 0}};

	memblock_init(&memblock);
	for (size_t at = 0; at < ARRAY_SIZE(memory_map); at++)
		ASSERT(!memblock_add(&memblock, memory_map[at].start, memory_map[at].end, memory_map[at].node));
	for (size_t at = 0; at < ARRAY_SIZE(taken); at++)
		ASSERT(!memblock_reserve(&memblock, taken[at].start, taken[at].end));
	mm_init(&memblock, &machine, NULL);
}
