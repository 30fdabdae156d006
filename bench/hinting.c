/*
 * What free page hinting costs whoever frees: single pages of a private zone, freed in random order, so that they merge
 * up to whole pageblocks. Only freeing is to be counted (`make bench-hinting` counts the instructions of pcp_give()
 * with valgrind). No pass runs meanwhile: hinting is enabled and idle.
 *
 *   build/host/bench-hinting none|bitmap|freelist
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/rand.h"
#include "lib/string.h"
#include "mm/hinting_internal.h"
#include "mm/pcp.h"
#include "mm/request.h"

#define PAGEBLOCKS 128u
#define PAGES	   (PAGEBLOCKS * PAGEBLOCK_PAGES)
#define FREED	   (PAGES / 10 * 8)
#define ROUNDS	   8u

static int hint_nothing(struct page_hinting_cb *cb UNUSED, const struct page_hinting_block *blocks UNUSED,
			unsigned int count UNUSED)
{
	return 0;
}

static struct page_hinting_cb backend = {.name = "bench", .max_pages = 32, .hint_pages = hint_nothing};
static struct hinting hinting;
static struct zone zone;

static void *get(size_t bytes)
{
	return aligned_alloc(128, ALIGN_UP(bytes, 128ul));
}

static void make_zone(void)
{
	struct zone_config config = {.name = "bench", .end_pfn = PAGES, .nr_cpus = 1};

	config.pages = get(PAGES * sizeof(struct page));
	zone_init(&zone, &config, get(zone_metadata_bytes(&config)));
	zone_add_present(&zone, 0, PAGES);
	zone_add_free(&zone, 0, PAGES);
}

static int track(const char *name)
{
	const struct hinting_tracker *tracker = strcmp(name, "bitmap") == 0	? &hinting_tracker_bitmap
						: strcmp(name, "freelist") == 0 ? &hinting_tracker_freelist
										: NULL;

	hinting_init(&hinting, (struct zone *[]){&zone}, 1, false);
	return hinting_configure(&hinting, tracker, PAGE_HINTING_MIN_ORDER) || hinting_enable(&hinting, &backend);
}

static uint32_t take(void)
{
	struct alloc_request request = {.mt = MIGRATE_MOVABLE, .owner = PAGE_OWNER_TEST, .stage = ALLOC_LAST};
	uint32_t index = pcp_take(&zone, 0, MIGRATE_MOVABLE, PAGE_OWNER_TEST);

	return index == ZONE_INDEX_NONE ? pcp_refill_and_take(&zone, &request) : index;
}

int main(int argc, char **argv)
{
	static uint32_t pages[FREED];
	struct rand rand;

	rand_seed(&rand, 1);
	make_zone();
	if (argc != 2 || track(argv[1])) {
		fprintf(stderr, "bench-hinting: none, bitmap or freelist?\n");
		return 1;
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t at = 0; at < FREED; at++)
			pages[at] = take();
		for (uint32_t at = FREED - 1; at; at--) {
			uint32_t with = (uint32_t)rand_below(&rand, at + 1), page = pages[at];

			pages[at] = pages[with];
			pages[with] = page;
		}
		for (uint32_t at = 0; at < FREED; at++)
			pcp_give(&zone, pages[at], 0);
	}
	printf("%u pages freed\n", ROUNDS * FREED);
	return 0;
}
