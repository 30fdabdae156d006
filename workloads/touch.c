/*
 * touch: takes memory, writes a word to every page, and gives it back.
 *
 * It makes the host find the memory: what a guest "once used and freed". Blocks are taken largest first and chained
 * through their first words, so nothing else is needed to hold them.
 */
#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "mm/page_alloc.h"
#include "workloads/workload.h"

struct block {
	struct block *next;
	unsigned int order;
};

static void touch_pages(void *block, unsigned int order)
{
	for (uint64_t i = 0; i < 1ull << order; i++)
		*(volatile uint64_t *)((char *)block + i * PAGE_SIZE + sizeof(struct block)) = i;
}

/*
 * One block of at most 2^*@order pages; *@order falls when there is none so large. NULL: nothing is left, and with
 * @reclaim nothing could be got back either, not from those who keep memory for when there is none.
 */
static struct block *take(unsigned int *order, bool reclaim)
{
	uint32_t gfp = GFP_MOVABLE | GFP_KSWAPD_RECLAIM | GFP_NOWARN | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_WORKLOAD);

	for (;;) {
		struct page *page = alloc_pages(gfp | (reclaim && !*order ? GFP_DIRECT_RECLAIM : 0), *order);

		if (page) {
			struct block *block = page_address(page);

			block->order = *order;
			return block;
		}
		if (*order == 0)
			return NULL;
		--*order;
	}
}

static void give_back(struct block *first)
{
	while (first) {
		struct block *next = first->next;

		free_pages(virt_to_page(first), first->order);
		first = next;
	}
}

static int touch_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t bytes = workload_number(out, parameters, "size", MIB(64)), done = 0, start = time_ns();
	bool reclaim = workload_number(out, parameters, "reclaim", 0);
	unsigned int order = MAX_ORDER;
	struct block *first = NULL, *block;
	int error = workload_parameters_end(out, parameters);

	if (error)
		return error;
	while (done < bytes && !shell_interrupted()) {
		while (order && PAGE_SIZE << order > bytes - done)
			order--;
		block = take(&order, reclaim);
		if (!block)
			break;
		touch_pages(block, block->order);
		block->next = first;
		first = block;
		done += PAGE_SIZE << block->order;
	}
	give_back(first);
	sink_printf(out, "touch: %llu of %llu MiB in %llu ms\n", (unsigned long long)(done >> 20),
		    (unsigned long long)(bytes >> 20), (unsigned long long)((time_ns() - start) / NS_PER_MS));
	return done < bytes ? -ENOMEM : 0;
}
WORKLOAD(touch, "size=64M reclaim=0", "takes memory, writes to every page, gives it back", touch_run);
