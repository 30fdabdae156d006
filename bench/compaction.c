/*
 * What a whole free pageblock costs: pages moved for each, and time, by either scan, on a zone of 2 GiB in user space.
 *
 *   build/host/bench-compaction
 *
 * Memory is filled with single movable pages and thinned out in two ways: "even", so that every pageblock is about as
 * full as the others, and "mixed", each to a degree of its own, as lifetimes leave it; in every 16th there is a page
 * that cannot move. Then 1, 32 or all pageblocks are wanted. Times are those of the books: nothing is copied. Seeded,
 * so the counts are the same in every run. The JSON is for machines: build/bench-compaction.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/rand.h"
#include "mm/compaction_internal.h"
#include "mm/movable.h"
#include "mm/pcp.h"
#include "mm/request.h"
#include "tests/host/host.h"

#define PAGEBLOCKS 1024u
#define PAGES	   ((uint64_t)PAGEBLOCKS * PAGEBLOCK_PAGES)

/* ---- pages that always move ---------------------------------------------------------------------------------------
 */

static bool isolate(struct page *page)
{
	return page->private;
}

static int migrate(struct page *from, struct page *to)
{
	to->private = from->private;
	from->private = 0;
	return 0;
}

static void put_back(struct page *page)
{
	(void)page;
}

static const struct movable_ops ops = {.isolate = isolate, .migrate = migrate, .put_back = put_back};

/* ---- the zone -----------------------------------------------------------------------------------------------------
 */

static void *allocate(size_t bytes)
{
	void *got = aligned_alloc(128, ALIGN_UP(bytes, 128));

	if (!got)
		abort();
	return memset(got, 0, bytes);
}

static void take_all(struct zone *zone)
{
	const struct alloc_request request = {.mt = MIGRATE_MOVABLE, .owner = PAGE_OWNER_TEST, .stage = ALLOC_LAST};
	const struct alloc_request pinned = {.mt = MIGRATE_MOVABLE, .owner = PAGE_OWNER_KERNEL, .stage = ALLOC_LAST};

	for (uint64_t at = 0; at < PAGES; at++) {
		bool pin = at % (16 * PAGEBLOCK_PAGES) == 7;

		zone_page(zone, pcp_bypass_take(zone, pin ? &pinned : &request))->private = !pin;
	}
}

/* @percent of what can move stays, on the average. */
static void thin_out(struct zone *zone, bool mixed, unsigned int percent)
{
	struct rand rand;

	rand_seed(&rand, 1);
	for (uint32_t at = 0; at < PAGES; at++) {
		static uint64_t stays;

		if (at % PAGEBLOCK_PAGES == 0)
			stays = mixed ? rand_below(&rand, 2 * percent + 1) : percent;
		if (zone_page(zone, at)->private && rand_below(&rand, 100) >= stays) {
			zone_page(zone, at)->private = 0;
			pcp_bypass_give(zone, at, 0);
		}
	}
}

static struct zone *make_zone(void)
{
	struct zone_config config = {.name = "bench", .end_pfn = PAGES, .nr_cpus = 1};
	struct zone *zone = allocate(sizeof(*zone));

	config.pages = allocate(PAGES * sizeof(struct page));
	zone_init(zone, &config, allocate(zone_metadata_bytes(&config)));
	zone_add_present(zone, 0, PAGES);
	zone_add_free(zone, 0, PAGES);
	take_all(zone);
	return zone;
}

static void free_zone(struct zone *zone)
{
	free(zone->pages);
	free(zone->pageblocks);
	free(zone);
}

/* ---- measuring ----------------------------------------------------------------------------------------------------
 */

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void measure(FILE *json, bool mixed, unsigned int percent, const struct compact_scan *scan, uint32_t wanted)
{
	struct zone *zone = make_zone();
	struct compact_run run = {.zone = zone, .order = COMPACT_ALL, .sync = true, .scan = scan, .wanted = wanted};
	double start, ns;

	thin_out(zone, mixed, percent);
	start = now_ns();
	compact_zone(&run);
	ns = now_ns() - start;
	if (run.emptied)
		printf("%-5s %3u%%  %-8s %6u %12lu %14.1f %12.1f\n", mixed ? "mixed" : "even", percent, scan->name,
		       run.emptied, run.migrate.migrated, (double)run.migrate.migrated / run.emptied,
		       ns / 1000 / run.emptied);
	else
		printf("%-5s %3u%%  %-8s      0 %12lu\n", mixed ? "mixed" : "even", percent, scan->name,
		       run.migrate.migrated);
	fprintf(json, "  {\"fill\": \"%s\", \"in_use\": %u, \"scan\": \"%s\", \"wanted\": %u, \"made\": %u, ",
		mixed ? "mixed" : "even", percent, scan->name, wanted, run.emptied);
	fprintf(json, "\"moved\": %lu, \"us\": %.1f},\n", run.migrate.migrated, ns / 1000);
	free_zone(zone);
}

int main(void)
{
	static const unsigned int percents[] = {20, 40};
	static const uint32_t wanted[] = {1, 32, 0};
	FILE *json = fopen("build/bench-compaction.json", "w");

	if (!json) {
		fprintf(stderr, "bench-compaction: wants a directory build/\n");
		return 2;
	}
	host_init();
	movable_register(PAGE_OWNER_TEST, &ops);
	fprintf(json, "[\n");
	printf("fill   use  scan       made  pages moved  per pageblock  us/pageblock\n");
	for (size_t percent = 0; percent < ARRAY_SIZE(percents); percent++)
		for (unsigned int mixed = 0; mixed < 2; mixed++)
			for (size_t at = 0; at < ARRAY_SIZE(wanted); at++) {
				measure(json, mixed, percents[percent], &compact_linear, wanted[at]);
				measure(json, mixed, percents[percent], &compact_fullest, wanted[at]);
			}
	fprintf(json, "  {}\n]\n");
	fclose(json);
	return 0;
}
