/*
 * Reclaim: shrinkers and their slabs, caches dropped by hand, the figures and events that tell of it.
 */
#include "mm/reclaim.h"

#include "kernel/ktest.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/page_cache.h"
#include "mm/pcp.h"
#include "mm/reclaim_trace.h"
#include "mm/slab.h"
#include "mm/vmstat.h"
#include "tests/unit/mm_fixture.h"

#define OBJECTS 400u

/* ---- a cache of objects that nobody needs ---- */

static struct {
	struct slab_cache slab;
	struct shrinker shrinker;
	void *objects[OBJECTS];
	uint64_t count, asked;
} cache;

static uint64_t count_objects(struct shrinker *shrinker UNUSED)
{
	return cache.count;
}

static uint64_t free_objects(struct shrinker *shrinker UNUSED, uint64_t wanted)
{
	uint64_t freed = 0;

	cache.asked += wanted;
	for (; cache.count && freed < wanted; freed++)
		slab_free(&cache.slab, cache.objects[--cache.count]);
	return freed;
}

static void remove_cache(void *nothing UNUSED)
{
	shrinker_unregister(&cache.shrinker);
	free_objects(&cache.shrinker, OBJECTS);
	slab_cache_destroy(&cache.slab);
}

static void make_cache(struct ktest *t, uint64_t objects)
{
	slab_cache_init(&cache.slab, "test_objects", 1024);
	cache.slab.reclaimable = true;
	cache.count = cache.asked = 0;
	cache.shrinker = (struct shrinker){.name = "test", .count = count_objects, .scan = free_objects};
	shrinker_register(&cache.shrinker);
	ktest_defer(t, remove_cache, NULL);
	for (; cache.count < objects; cache.count++) {
		cache.objects[cache.count] = slab_alloc(&cache.slab, GFP_KERNEL);
		REQUIRE(t, cache.objects[cache.count]);
	}
}

KTEST(shrinker, is_asked_in_batches_and_at_last_for_everything)
{
	make_cache(t, 50);
	shrink_all(1);
	EXPECT_EQ(t, cache.asked, 0u); /* less than a batch is owed */
	shrink_all(0);
	EXPECT_EQ(t, cache.count, 0u);
}

KTEST(shrinker, what_is_owed_adds_up_to_a_batch)
{
	make_cache(t, OBJECTS);
	shrink_all(3); /* an eighth, twice over */
	EXPECT_EQ(t, cache.asked, 0u);
	shrink_all(3);
	EXPECT_EQ(t, cache.asked, 128u);
	EXPECT_EQ(t, cache.shrinker.owed, OBJECTS / 8 * 2 * 2 - 128);
}

KTEST(reclaim, emptied_slabs_count_as_freed_pages)
{
	struct reclaim reclaim = {.node = &memory.nodes[0], .highest = NR_ZONE_TYPES - 1, .wanted = 1};
	uint64_t before;

	page_cache_drop();
	page_cache_drop_files();
	before = slab_reclaimable_pages();
	make_cache(t, OBJECTS);
	EXPECT(t, slab_reclaimable_pages() >= before + OBJECTS / 4);
	EXPECT(t, reclaim_node(&reclaim) >= OBJECTS / 4);
	EXPECT_EQ(t, cache.slab.nr_slabs, 0u);
	EXPECT_EQ(t, slab_reclaimable_pages(), before);
}

/* ---- files ---- */

static char buffer[65536];

/* The number behind @name in /proc/@file. */
static uint64_t figure(struct ktest *t, const char *path, const char *name)
{
	uint64_t value = UINT64_MAX;
	struct text text;
	char *at;

	text_init(&text, buffer, sizeof(buffer));
	EXPECT_OK(t, vfile_read(path, &text.sink));
	for (at = strstr(buffer, name); at && at > buffer && at[-1] != '\n'; at = strstr(at + 1, name))
		;
	if (!at) {
		ktest_fail(t, __FILE__, __LINE__, "no %s in %s", name, path);
		return 0;
	}
	for (at += strlen(name); *at == ' '; at++)
		;
	for (char *end = at; *end; end++)
		if (*end < '0' || *end > '9')
			*end = '\0';
	EXPECT_OK(t, parse_u64(at, &value));
	return value;
}

static int drop_caches(const char *what)
{
	return vfile_write("/proc/sys/vm/drop_caches", what, strlen(what));
}

static void read_file(struct ktest *t, uint64_t id, uint64_t pages)
{
	struct cache_file *file = cache_file_open(id);

	REQUIRE(t, file);
	for (uint64_t index = 0; index < pages; index++) {
		struct page *page =
			index % 2 ? cache_get_page(file, index, GFP_USER) : cache_write_page(file, index, GFP_USER);

		EXPECT(t, page);
		if (page)
			page_put(page);
	}
	cache_file_close(file);
}

static uint64_t stalls_for(uint32_t gfp)
{
	uint64_t before = vm_event_read(VM_EVENT_allocstall_normal);
	struct page *page;

	for_each_zone(zone) pcp_drain_all(zone);
	for_each_zone(zone) WRITE_ONCE(zone->watermark_boost, zone->managed_pages);
	page = alloc_pages(gfp | GFP_NOWARN, 0);
	if (page)
		free_pages(page, 0);
	return vm_event_read(VM_EVENT_allocstall_normal) - before;
}

static void take_off_boosts(void *nothing UNUSED)
{
	for_each_zone(zone) WRITE_ONCE(zone->watermark_boost, 0);
}

/* The boost is added to all three marks: who can free memory does so before he goes below. */
KTEST(reclaim, whoever_can_works_on_the_boost_first)
{
	uint64_t end = wait_deadline(5 * NS_PER_S), stalls = 0;

	ktest_defer(t, take_off_boosts, NULL);
	while (!stalls && time_ns() < end) /* kswapd may take a boost off at once */
		stalls = stalls_for(GFP_KERNEL);
	EXPECT(t, stalls > 0);
	if (ktest_hosted())
		EXPECT_EQ(t, stalls_for(GFP_ATOMIC) + stalls_for(GFP_NOWAIT), 0u);
}

KTEST(drop_caches, pages_then_files_or_both)
{
	struct page_cache_info info;

	fixture_memory_files(t);
	REQUIRE_OK(t, drop_caches("3"));
	page_cache_info_get(&info);
	EXPECT_EQ(t, info.pages + info.files, 0u);
	read_file(t, 21, 300);
	REQUIRE_OK(t, drop_caches("2")); /* it has pages: it stays */
	page_cache_info_get(&info);
	EXPECT(t, info.pages == 300 && info.files == 1);
	REQUIRE_OK(t, drop_caches("1"));
	page_cache_info_get(&info);
	EXPECT(t, info.pages == 0 && info.files == 1);
	REQUIRE_OK(t, drop_caches("2"));
	page_cache_info_get(&info);
	EXPECT_EQ(t, info.files, 0u);
	EXPECT_EQ(t, slab_reclaimable_pages(), 0u);
}

KTEST(drop_caches, other_values_are_refused_and_drop_nothing)
{
	static const char *const wrong[] = {"0", "4", "-1", "x", "", "1x", "99999999999999999999"};
	uint64_t drops = vm_event_read(VM_EVENT_drop_pagecache) + vm_event_read(VM_EVENT_drop_slab);
	struct page_cache_info info;

	fixture_memory_files(t);
	REQUIRE_OK(t, drop_caches("3"));
	read_file(t, 22, 10);
	for (size_t at = 0; at < ARRAY_SIZE(wrong); at++)
		EXPECT_EQ(t, drop_caches(wrong[at]), -EINVAL);
	page_cache_info_get(&info);
	EXPECT_EQ(t, info.pages, 10u);
	REQUIRE_OK(t, drop_caches("3"));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_drop_pagecache) + vm_event_read(VM_EVENT_drop_slab), drops + 4);
}

KTEST(reclaim, the_files_show_lists_dirt_and_slabs)
{
	struct cache_file *file;

	fixture_memory_files(t);
	REQUIRE_OK(t, drop_caches("3"));
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Inactive(file):"), 0u);
	read_file(t, 23, 200);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Inactive(file):"), 800u);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Inactive:"), 800 + figure(t, "/proc/meminfo", "Inactive(anon):"));
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Cached:"), 800u);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Dirty:"), 400u);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "SReclaimable:"), slab_reclaimable_pages() * 4);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Slab:"),
		  figure(t, "/proc/meminfo", "SReclaimable:") + figure(t, "/proc/meminfo", "SUnreclaim:"));
	EXPECT_EQ(t, figure(t, "/proc/vmstat", "nr_inactive_file"), 200u);
	EXPECT_EQ(t, figure(t, "/proc/vmstat", "nr_dirty"), 100u);
	EXPECT_EQ(t, figure(t, "/proc/vmstat", "nr_slab_reclaimable"), slab_reclaimable_pages());
	EXPECT_EQ(t, figure(t, "/proc/slabinfo", "cache_file"), 1u);
	EXPECT_EQ(t, figure(t, "/proc/slabinfo", "cache_node"), 1u + 4u);
	EXPECT_EQ(t, figure(t, "/proc/zoneinfo", "      nr_inactive_file"),
		  memory.nodes[0].lru.pages[LRU_INACTIVE_FILE]);

	file = cache_file_open(23);
	REQUIRE(t, file);
	cache_file_truncate(file);
	cache_file_close(file);
	EXPECT_EQ(t, figure(t, "/proc/meminfo", "Dirty:"), 0u);
	REQUIRE_OK(t, drop_caches("3"));
}

/* ---- events ---- */

KTEST(reclaim, events_are_shown_as_linux_shows_them)
{
	struct trace_record_mm_vmscan_lru_shrink_inactive inactive = {.nid = 1,
								      .priority = 12,
								      .scanned = 32,
								      .reclaimed = 20,
								      .dirty = 3,
								      .activated = 4,
								      .kept = 8,
								      .lru = LRU_INACTIVE_FILE};
	struct trace_record_mm_shrink_slab_end end = {
		.name = "files", .before = 5, .after = 7, .wanted = 128, .freed = 9};
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	trace_event_mm_vmscan_lru_shrink_inactive.show(&text.sink, &inactive);
	EXPECT_STR(t, buffer,
		   "nid=1 nr_scanned=32 nr_reclaimed=20 nr_dirty=3 nr_writeback=0 nr_congested=0 nr_immediate=0 "
		   "nr_activate=4 nr_ref_keep=8 nr_unmap_fail=0 priority=12 flags=RECLAIM_WB_FILE|RECLAIM_WB_ASYNC");
	text_init(&text, buffer, sizeof(buffer));
	trace_event_mm_shrink_slab_end.show(&text.sink, &end);
	EXPECT_STR(t, strstr(buffer, ": nid"),
		   ": nid: -1 unused scan count 5 new scan count 7 total_scan 128 last shrinker return val 9");
}
