/*
 * frag: how well does the allocator keep large blocks together? The test of LLFree's authors (USENIX ATC 2023).
 *
 * All memory is taken in single pages, a random half is freed, and then in each of 100 rounds a random tenth of what is
 * held is freed and as much allocated again. What counts is how much of memory is in free blocks of 2 MiB at the end:
 * 50 % would be perfect. Published: Linux 0.14 %, LLFree 46.6 %.
 */
#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "workloads/page_array.h"
#include "workloads/workload.h"

#define GFP_FRAG (GFP_MOVABLE | GFP_NOSTRUCT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD))

static void take_pages(struct page_array *held, size_t pages)
{
	struct page *page;

	while (pages-- && (page = alloc_pages(GFP_FRAG, 0)))
		if (!page_array_push(held, page)) {
			free_pages(page, 0);
			return;
		}
}

static void free_at_random(struct page_array *held, size_t pages, struct rand *rand)
{
	while (pages-- && held->count)
		free_pages(page_array_take(held, rand_below(rand, held->count)), 0);
}

static uint64_t whole_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone)
	{
		pcp_drain_all(zone);
		pages += zone_whole_pages(zone);
	}
	return pages;
}

static int frag_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t rounds = workload_number(out, parameters, "rounds", 100), start = time_ns();
	uint64_t seed = workload_number(out, parameters, "seed", 1), whole, permyriad;
	struct page_array held;
	struct memory_info info;
	struct rand rand;
	int error = workload_parameters_end(out, parameters);

	if (error)
		return error;
	memory_info_get(&info);
	if (!page_array_init(&held, info.total))
		return -ENOMEM;
	rand_seed(&rand, seed);
	take_pages(&held, info.total);
	free_at_random(&held, held.count / 2, &rand);
	for (uint64_t round = 0; round < rounds && !shell_interrupted(); round++) {
		size_t tenth = held.count / 10;

		free_at_random(&held, tenth, &rand);
		take_pages(&held, tenth);
		if (rounds >= 10 && round % (rounds / 10) == 0)
			sink_printf(out, "frag: round %lu: %lu of %lu pages in free blocks of 2 MiB\n", round,
				    whole_pages(), info.total);
	}
	whole = whole_pages();
	permyriad = whole * 10000 / info.total;
	free_at_random(&held, held.count, &rand);
	page_array_destroy(&held);
	sink_printf(
		out,
		"frag: %lu.%02lu %% of memory in free blocks of 2 MiB after %lu rounds (LLFree 46.60, Linux 0.14)\n",
		permyriad / 100, permyriad % 100, rounds);
	sink_printf(
		out,
		"json {\"workload\": \"frag\", \"seed\": %lu, \"rounds\": %lu, \"pages\": %lu, \"whole_pages\": %lu, "
		"\"ns\": %llu}\n",
		seed, rounds, info.total, whole, (unsigned long long)(time_ns() - start));
	return 0;
}
WORKLOAD(frag, "rounds=100 seed=1", "how much of memory stays in large blocks (LLFree's test)", frag_run);
