/*
 * scatter: takes memory in single pages and keeps a part of them, at random, until it is run again: free memory in
 * pieces.
 *
 * `run scatter size=200M keep=50`, then whatever is to be seen in fragmented memory, then `run scatter size=0`.
 */
#include "kernel/mutex.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "mm/page_alloc.h"
#include "workloads/page_array.h"
#include "workloads/workload.h"

#define GFP_SCATTER (GFP_MOVABLE | GFP_KSWAPD_RECLAIM | GFP_NOSTRUCT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD))

static struct mutex lock = MUTEX_INIT(lock, "scatter");
static struct page_array kept;

static void give_back(size_t pages, struct rand *rand)
{
	while (pages--)
		free_pages(page_array_take(&kept, rand_below(rand, kept.count)), 0);
}

static int take(uint64_t pages)
{
	if (!page_array_init(&kept, pages))
		return -ENOMEM;
	while (kept.count < pages) {
		struct page *page = alloc_pages(GFP_SCATTER, 0);

		if (!page || !page_array_push(&kept, page))
			return -ENOMEM;
	}
	return 0;
}

static int scatter_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t bytes = workload_number(out, parameters, "size", MIB(64));
	uint64_t keep = workload_number(out, parameters, "keep", 50),
		 seed = workload_number(out, parameters, "seed", 1);
	int error = workload_parameters_end(out, parameters);
	struct rand rand;

	if (error || keep > 100)
		return error ? error : -EINVAL;
	rand_seed(&rand, seed);
	mutex_lock(&lock);
	give_back(kept.count, &rand);
	page_array_destroy(&kept);
	if (bytes)
		error = take(bytes >> PAGE_SHIFT);
	give_back(kept.count - kept.count * keep / 100, &rand);
	sink_printf(out, "scatter: keeps %lu pages\n", kept.count);
	mutex_unlock(&lock);
	return error;
}
WORKLOAD(scatter, "size=64M keep=50 seed=1", "keeps single pages at random, until run again (size=0: none)",
	 scatter_run);
