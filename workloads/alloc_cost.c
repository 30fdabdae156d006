/*
 * alloc_cost: what a page costs here, in the loops in which bench/linux/replay.c asks Linux for them: `pages` single
 * ones taken in one go, then given back in the same order; one taken and given back at once, of order 0 and of a
 * pageblock's. The best of some rounds.
 */
#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "mm/page_alloc.h"
#include "workloads/page_array.h"
#include "workloads/workload.h"

#define ROUNDS	 20u
#define GFP_COST (GFP_MOVABLE | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD))

static uint64_t best(uint64_t so_far, uint64_t begin, uint64_t operations)
{
	uint64_t each = (time_ns() - begin) / MAX(operations, 1ull);

	return so_far ? MIN(so_far, each) : each;
}

/* 0: there was no memory. */
static uint64_t pair_cost(unsigned int order, uint64_t operations)
{
	uint64_t cost = 0;

	for (unsigned int round = 0; round < ROUNDS && !shell_interrupted(); round++) {
		uint64_t begin = time_ns();

		for (uint64_t at = 0; at < operations; at++) {
			struct page *page = alloc_pages(GFP_COST, order);

			if (!page)
				return 0;
			free_pages(page, order);
		}
		cost = best(cost, begin, operations);
	}
	return cost;
}

static bool bulk_cost(struct page_array *array, uint64_t *get, uint64_t *put)
{
	uint64_t begin = time_ns(), got;
	struct page *page;

	while (array->count < array->capacity && (page = alloc_pages(GFP_COST, 0)))
		*page_array_slot(array, array->count++) = page;
	got = array->count;
	*get = best(*get, begin, got);
	begin = time_ns();
	for (uint64_t at = 0; at < got; at++)
		free_pages(*page_array_slot(array, at), 0);
	*put = best(*put, begin, got);
	array->count = 0;
	return got == array->capacity;
}

static int alloc_cost_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t pages = workload_number(out, parameters, "pages", 50000), get = 0, put = 0, pair, huge;
	int error = workload_parameters_end(out, parameters);
	struct page_array array;
	bool enough = true;

	if (error || pages < 16) {
		sink_printf(out, "alloc_cost: wants at least 16 pages\n");
		return -EINVAL;
	}
	if (!page_array_init(&array, pages))
		return -ENOMEM;
	for (unsigned int round = 0; round < ROUNDS && enough && !shell_interrupted(); round++)
		enough = bulk_cost(&array, &get, &put);
	page_array_destroy(&array);
	pair = pair_cost(0, pages);
	huge = pair_cost(PAGEBLOCK_ORDER, pages / 16);
	if (!enough || !pair || !huge) {
		sink_printf(out, "alloc_cost: there are no %lu pages\n", pages);
		return -ENOMEM;
	}
	sink_printf(out, "%-24s %8s %8s %8s\n", "ns per operation", "get", "put", "pair");
	sink_printf(out, "%-24s %8lu %8lu %8lu\n%-24s %8s %8s %8lu\n", "order 0", get, put, pair, "order 9", "", "",
		    huge);
	sink_printf(out,
		    "json {\"workload\": \"alloc_cost\", \"get_ns\": %lu, \"put_ns\": %lu, \"pair_ns\": %lu, "
		    "\"huge_pair_ns\": %lu}\n",
		    get, put, pair, huge);
	return shell_interrupted() ? -EINTR : 0;
}
WORKLOAD(alloc_cost, "pages=50000", "what a page costs, as bench/linux asks Linux", alloc_cost_run);
