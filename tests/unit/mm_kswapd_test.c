/*
 * kswapd: it works boosts off, wakes those who wait, and leaves nothing running behind.
 */
#include "mm/kswapd.h"

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "mm/memory.h"
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
