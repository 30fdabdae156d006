/*
 * stall: who can wait, and asks for something that kswapd is bound to free, waits rather than mix badly (patch 5).
 *
 * On its first attempt in the slow path a movable request that may reclaim does not take blocks below
 * fragment_stall_order from another type. If nothing else is left on the node, it raises the boost by the fast step and
 * sleeps until kswapd has made progress, 20 ms at most; then it tries again without restrictions. Unmovable,
 * reclaimable and atomic requests never stall: kswapd is not bound to free pages in their pageblocks. Nor does who
 * frees memory for others.
 */
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/kswapd.h"
#include "mm/policy/policy.h"
#include "mm/trace.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

#define STALL_NS (20 * NS_PER_MS)
/* One pageblock, and one more for each type with per-CPU lists, twice. */
#define FAST_STEP_PAGES ((1u + 2 * MIGRATE_PCPTYPES) * PAGEBLOCK_PAGES)

static uint32_t restrictions(const struct alloc_request *request)
{
	if (request->stage == ALLOC_SLOW && request->mt == MIGRATE_MOVABLE && request_may_reclaim(request) &&
	    fragment_stall_order() && !memalloc_inside())
		return ALLOC_NOSMALL | ALLOC_LOCAL;
	return frag_restrict_first_walk(request);
}

static struct zone *preferred_zone(const struct alloc_request *request)
{
	for (struct zone **at = request->node->zonelist; *at; at++)
		if ((*at)->type <= request->highest)
			return *at;
	return NULL;
}

static void stall(const struct alloc_request *request)
{
	struct zone *zone = preferred_zone(request);
	struct kswapd *kswapd;
	uint64_t start, progress, ns;

	if (!zone)
		return;
	spin_lock(&zone->lock);
	watermark_boost_locked(zone, FAST_STEP_PAGES);
	spin_unlock(&zone->lock);
	kswapd = &memory.nodes[zone->node].kswapd;
	progress = READ_ONCE(kswapd->progress);
	kswapd_wake(&memory.nodes[zone->node], request->gfp, 0, zone->type);
	start = time_ns();
	wait_event_timeout(&kswapd->pfmemalloc_wait, READ_ONCE(kswapd->progress) != progress || thread_should_stop(),
			   STALL_NS);
	ns = time_ns() - start;
	vm_event(fragment_stall);
	vm_events(fragment_stall_us, ns / NS_PER_US);
	if (ns)
		TRACE(mm_fragmentation_stall, .nid = zone->node, .duration = (uint32_t)(ns / NS_PER_US));
}

const struct frag_policy frag_policy_stall = {
	.name = "stall",
	.restrictions = restrictions,
	.fragmenting = frag_boost,
	.stall = stall,
};
FRAG_POLICY(frag_policy_stall);
