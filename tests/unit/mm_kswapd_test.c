/*
 * kswapd: it works boosts off, wakes those who wait, frees where it is needed, and leaves nothing running behind.
 */
#include "mm/kswapd.h"

#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "mm/page_cache.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/reclaim.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

static void stop_kswapd(void *nothing UNUSED)
{
	kswapd_stop();
}

/* In the guest it runs already. */
static void need_kswapd(struct ktest *t)
{
	if (memory.nodes[0].kswapd.thread)
		return;
	EXPECT_OK(t, kswapd_start());
	ktest_defer(t, stop_kswapd, NULL);
}

static bool wait_for(bool (*condition)(void *argument), void *argument)
{
	uint64_t deadline = time_ns() + 10 * NS_PER_S;

	while (!condition(argument) && time_ns() < deadline)
		sleep_ns(NS_PER_MS);
	return condition(argument);
}

static bool boost_is_gone(void *zone)
{
	return READ_ONCE(((struct zone *)zone)->watermark_boost) == 0;
}

KTEST(kswapd, a_boost_is_worked_off)
{
	struct zone *zone = &memory.zones[memory.nr_zones - 1];

	need_kswapd(t);
	spin_lock(&zone->lock);
	watermark_boost_locked(zone, PAGEBLOCK_PAGES);
	spin_unlock(&zone->lock);
	EXPECT(t, zone->watermark_boost > 0);
	kswapd_wake(&memory.nodes[zone->node], GFP_KERNEL, 0, zone->type);
	EXPECT(t, wait_for(boost_is_gone, zone));
}

static bool has_progressed(void *before)
{
	return READ_ONCE(memory.nodes[0].kswapd.progress) != *(uint64_t *)before;
}

KTEST(kswapd, who_waits_is_woken_after_a_run)
{
	struct kswapd *kswapd = &memory.nodes[0].kswapd;
	uint64_t before = READ_ONCE(kswapd->progress), start = time_ns();

	need_kswapd(t);
	kswapd_wake(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL);
	EXPECT(t, wait_event_timeout(&kswapd->pfmemalloc_wait, has_progressed(&before), 20 * NS_PER_S));
	EXPECT(t, time_ns() - start < 20 * NS_PER_S); /* woken, not timed out */
}

KTEST(kswapd, who_was_given_up_on_is_woken_once_there_is_memory)
{
	struct kswapd *kswapd = &memory.nodes[0].kswapd;
	uint64_t before, start = time_ns();

	need_kswapd(t);
	store_relaxed(&kswapd->failures, 1000);
	before = READ_ONCE(kswapd->progress);
	kswapd_wake(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL);
	EXPECT(t, wait_event_timeout(&kswapd->pfmemalloc_wait, has_progressed(&before), 20 * NS_PER_S));
	EXPECT(t, time_ns() - start < 20 * NS_PER_S);
	EXPECT_EQ(t, load_relaxed(&kswapd->failures), 0u);
}

/* ---- what it frees, and where ---- */

#define FILE_PAGES 600ull

static void drop_files(void *nothing UNUSED)
{
	page_cache_drop();
	page_cache_drop_files();
}

/* Clean pages that can be had back, in the zone that @gfp says. */
static void read_file(struct ktest *t, uint64_t id, uint32_t gfp)
{
	struct cache_file *file = cache_file_open(id);

	REQUIRE(t, file);
	for (uint64_t index = 0; index < FILE_PAGES; index++) {
		struct page *page = cache_get_page(file, index, gfp);

		EXPECT(t, page);
		if (page)
			page_put(page);
	}
	cache_file_close(file);
	ktest_defer(t, drop_files, NULL);
}

static uint64_t inactive(enum zone_type zone)
{
	return READ_ONCE(memory.nodes[0].lru.zone_pages[zone][LRU_INACTIVE_FILE]);
}

/* Regression: one list per node held long stretches of another zone's pages, and these were freed. */
KTEST(kswapd, a_pass_for_one_zone_leaves_the_others_alone)
{
	struct reclaim reclaim = {
		.node = &memory.nodes[0], .lowest = ZONE_NORMAL, .highest = ZONE_NORMAL, .wanted = 100, .gently = true};
	uint64_t before;

	if (!ktest_hosted()) {
		ktest_skip(t, "needs a machine where nobody else frees memory");
		return;
	}
	read_file(t, 1, GFP_KERNEL | GFP_DMA32);
	read_file(t, 2, GFP_KERNEL);
	before = inactive(ZONE_DMA32);
	EXPECT(t, before >= FILE_PAGES / 2 && inactive(ZONE_NORMAL) >= FILE_PAGES / 2);
	EXPECT(t, reclaim_node(&reclaim) >= 100);
	EXPECT_EQ(t, inactive(ZONE_DMA32), before);

	reclaim = (struct reclaim){.node = &memory.nodes[0], .highest = ZONE_DMA32, .wanted = 100, .gently = true};
	EXPECT(t, reclaim_node(&reclaim) >= 100);
	EXPECT(t, inactive(ZONE_DMA32) < before);
	EXPECT_OK(t, lru_check(&memory.nodes[0].lru));
}

static void restore(void *policy)
{
	ASSERT(frag_policy_set(policy) == 0, "it was in force");
	watermark_set_all();
}

static bool has_freed(void *least)
{
	return vm_event_read(VM_EVENT_pgsteal_kswapd) >= *(uint64_t *)least;
}

static void take_off_boosts(void)
{
	for_each_zone(zone) WRITE_ONCE(zone->watermark_boost, 0);
}

/* Pages that a run frees, at least @enough, in a zone above its high mark by free pages between others that stay. */
static uint64_t freed_out_of_place(struct ktest *t, const char *policy, uint64_t enough)
{
	struct zone *zone = memory.nodes[0].zones[ZONE_NORMAL];
	struct page *block = alloc_pages_node(0, GFP_KERNEL, PAGEBLOCK_ORDER);
	uint64_t before = vm_event_read(VM_EVENT_pgsteal_kswapd), progress = READ_ONCE(memory.nodes[0].kswapd.progress);
	uint64_t reserved = 0;

	EXPECT(t, block);
	if (!block)
		return 0;
	split_page(block, 0);
	for (uint64_t at = 1; at < PAGEBLOCK_PAGES; at++)
		free_pages(block + at, 0);
	pcp_drain_all(zone);
	EXPECT(t, zone_free_out_of_place(zone) >= PAGEBLOCK_PAGES - 1);
	for (enum migratetype mt = MIGRATE_PCPTYPES; mt < MIGRATE_TYPES; mt++)
		reserved += zone_free_of_type(zone, mt);
	WRITE_ONCE(zone->watermark[WATERMARK_HIGH], zone_free_pages(zone) - reserved - 100);
	take_off_boosts();
	EXPECT_OK(t, frag_policy_set(policy));
	EXPECT_OK(t, kswapd_start());
	kswapd_wake(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL);
	enough += before;
	EXPECT(t, wait_for(has_progressed, &progress) && wait_for(has_freed, &enough));
	kswapd_stop();
	free_pages(block, 0);
	return vm_event_read(VM_EVENT_pgsteal_kswapd) - before;
}

/* Regression: free pages that movable requests get only by mixing kept the zone above its high mark for good. */
KTEST(kswapd, free_pages_out_of_place_do_not_count_for_who_minds_mixing)
{
	if (!ktest_hosted() || memory.nodes[0].kswapd.thread) {
		ktest_skip(t, "needs a machine where nobody else frees memory");
		return;
	}
	ktest_defer(t, restore, (void *)frag_policy_get()->name);
	read_file(t, 2, GFP_KERNEL);
	EXPECT_EQ(t, freed_out_of_place(t, "nofragment", 0), 0u);
	EXPECT(t, freed_out_of_place(t, "boost", PAGEBLOCK_PAGES / 2) >= PAGEBLOCK_PAGES / 2);
}
