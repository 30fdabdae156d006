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

/* A page that stays, between others that are free and nothing for movable requests. */
static struct page *scatter_free_pages(struct zone *zone)
{
	struct page *block = alloc_pages_node(0, GFP_KERNEL, PAGEBLOCK_ORDER);

	if (!block)
		return NULL;
	split_page(block, 0);
	for (uint64_t at = 1; at < PAGEBLOCK_PAGES; at++)
		free_pages(block + at, 0);
	pcp_drain_all(zone);
	return block;
}

/* The marks are a little below what is free but for @reserved pages; the low one even lower. */
static void raise_marks(struct zone *zone, uint64_t reserved)
{
	for (enum migratetype mt = MIGRATE_PCPTYPES; mt < MIGRATE_TYPES; mt++)
		reserved += zone_free_of_type(zone, mt);
	WRITE_ONCE(zone->watermark[WATERMARK_HIGH], zone_free_pages(zone) - reserved - 100);
	WRITE_ONCE(zone->watermark[WATERMARK_LOW], zone_free_pages(zone) - reserved - 200);
	take_off_boosts();
}

static void ask_kswapd(void)
{
	kswapd_wake(&memory.nodes[0], GFP_KERNEL, 0, ZONE_NORMAL);
}

/* Off the zone's lists: the CPUs' are empty. */
static void take_a_movable_page(void)
{
	struct page *page = alloc_pages_node(0, GFP_USER, 0);

	if (page)
		free_pages(page, 0);
}

struct situation {
	const char *policy;
	bool scattered, elsewhere; /* free pages out of place; enough of them in lower zones */
	void (*wake)(void);
	uint64_t enough; /* pages, at least, that kswapd is expected to free */
};

/* Pages that kswapd frees. */
static uint64_t freed_above_marks(struct ktest *t, struct situation now)
{
	struct zone *zone = memory.nodes[0].zones[ZONE_NORMAL];
	struct page *block = now.scattered ? scatter_free_pages(zone) : NULL;
	uint64_t before = vm_event_read(VM_EVENT_pgsteal_kswapd), least = before + now.enough;

	if (now.scattered)
		EXPECT(t, block && zone_free_out_of_place(zone) >= PAGEBLOCK_PAGES - 1);
	pcp_drain_all(zone);
	raise_marks(zone, now.scattered ? 0 : zone_free_out_of_place(zone));
	for (struct zone **at = memory.nodes[0].zonelist; *at && !now.elsewhere; at++)
		if ((*at)->type < ZONE_NORMAL)
			WRITE_ONCE((*at)->lowmem_reserve[ZONE_MOVABLE], (*at)->managed_pages);
	EXPECT_OK(t, frag_policy_set(now.policy));
	WRITE_ONCE(memory.nodes[0].kswapd.rest_until_ns, 0); /* the test before may have left nothing to free */
	EXPECT_OK(t, kswapd_start());
	now.wake();
	if (now.enough) {
		EXPECT(t, wait_for(has_freed, &least));
	} else if (now.wake == ask_kswapd) {
		uint64_t progress = READ_ONCE(memory.nodes[0].kswapd.progress);

		now.wake();
		EXPECT(t, wait_for(has_progressed, &progress));
	}
	kswapd_stop();
	if (block)
		free_pages(block, 0);
	watermark_set_all();
	return vm_event_read(VM_EVENT_pgsteal_kswapd) - before;
}

static bool is_alone(struct ktest *t)
{
	if (ktest_hosted() && !memory.nodes[0].kswapd.thread)
		return true;
	ktest_skip(t, "needs a machine where nobody else frees memory");
	return false;
}

/* Regression: free pages that movable requests get only by mixing kept the zone above its high mark for good. */
KTEST(kswapd, free_pages_out_of_place_do_not_count_for_who_minds_mixing)
{
	if (!is_alone(t))
		return;
	ktest_defer(t, restore, (void *)frag_policy_get()->name);
	read_file(t, 2, GFP_KERNEL);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"nofragment", true, false, ask_kswapd, 0}), 0u);
	EXPECT(t, freed_above_marks(t, (struct situation){"boost", true, false, ask_kswapd, PAGEBLOCK_PAGES / 2}) >=
			  PAGEBLOCK_PAGES / 2);
}

/* Regression: it slept on until movable requests had nothing and mixed, each time before it was woken. */
KTEST(kswapd, it_is_woken_before_movable_requests_have_to_mix)
{
	if (!is_alone(t))
		return;
	ktest_defer(t, restore, (void *)frag_policy_get()->name);
	read_file(t, 2, GFP_KERNEL);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"nofragment", true, false, take_a_movable_page, 0}), 0u);
	EXPECT(t, freed_above_marks(t, (struct situation){"boost", true, false, take_a_movable_page,
							  PAGEBLOCK_PAGES / 4}) >= PAGEBLOCK_PAGES / 4);
}

/* Regression: it threw away files' pages for Normal's sake while DMA32 was free, a quarter of all memory. */
KTEST(kswapd, it_sleeps_while_another_zone_has_pages_in_place)
{
	if (!is_alone(t))
		return;
	ktest_defer(t, restore, (void *)frag_policy_get()->name);
	read_file(t, 2, GFP_KERNEL);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"boost", true, true, take_a_movable_page, 0}), 0u);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"boost", true, true, ask_kswapd, 0}), 0u);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"defrag", false, true, ask_kswapd, 0}), 0u);
}

/* Regression: the high mark paid for the pageblocks that defrag keeps whole, so there never was enough for both. */
KTEST(kswapd, what_a_policy_keeps_whole_comes_on_top_of_the_mark)
{
	if (!is_alone(t))
		return;
	ktest_defer(t, restore, (void *)frag_policy_get()->name);
	read_file(t, 2, GFP_KERNEL);
	EXPECT_EQ(t, freed_above_marks(t, (struct situation){"boost", false, false, ask_kswapd, 0}), 0u);
	EXPECT(t, freed_above_marks(t, (struct situation){"defrag", false, false, ask_kswapd, PAGEBLOCK_PAGES / 2}) >=
			  PAGEBLOCK_PAGES / 2);
}
