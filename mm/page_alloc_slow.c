/*
 * The page allocator's slow path: no zone gave anything above its low mark.
 *
 * kswapd is woken, and the request tried with what its flags allow, down to a part of the min mark; a policy may let it
 * stall once. Then it gets memory back, if it may: by compaction, by reclaim, from CPUs' magazines (before mixing,
 * where the policy minds that), from the atomic reserve, at last from those who keep some for this (mm/oom.h). A thread
 * that is itself freeing memory does none of that, and is marked for as long (memalloc_enter()).
 */
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "mm/compaction.h"
#include "mm/highatomic.h"
#include "mm/hinting.h"
#include "mm/oom.h"
#include "mm/page_alloc_internal.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/reclaim.h"
#include "mm/vmstat.h"

#define MAX_ROUNDS 16u /* of getting memory back that somebody else then takes */

/* A request that may not fail gives others that long to free something, before it ends the run. */
#define LAST_WAITS   200u
#define LAST_WAIT_NS (10 * NS_PER_MS)

static void wake_kswapds(const struct alloc_request *request)
{
	int last = -1;

	if (!(request->gfp & GFP_KSWAPD_RECLAIM))
		return;
	for (struct zone **at = request->node->zonelist; *at; at++) {
		if (!zone_is_eligible(*at, request) || (*at)->node == last)
			continue;
		last = (*at)->node;
		kswapd_wake(&memory.nodes[last], request->gfp, request->order, request->highest);
	}
}

static void drain_zones(const struct alloc_request *request)
{
	for (struct zone **at = request->node->zonelist; *at; at++)
		if (zone_is_eligible(*at, request))
			pcp_drain_all(*at);
}

static bool unreserve_something(const struct alloc_request *request)
{
	for_each_zone(zone) if (highatomic_unreserve(zone, request->mt)) return true;
	return false;
}

/* Before who could not mix so far may, what CPUs keep goes back: it may have, or make, a block of his own type. */
static struct page *drain_rather_than_mix(struct alloc_request *request)
{
	if (!(request->flags & ALLOC_NOFRAGMENT))
		return NULL;
	drain_zones(request);
	return page_alloc_attempt(request, ALLOC_SLOW_AGAIN);
}

/* What needs neither sleep nor anybody's help. */
static struct page *last_attempt(struct alloc_request *request)
{
	struct page *page = drain_rather_than_mix(request);

	if (page)
		return page;
	page = page_alloc_attempt(request, ALLOC_LAST);
	if (page)
		return page;
	drain_zones(request);
	page = page_alloc_attempt(request, ALLOC_LAST);
	while (!page && request_may_reclaim(request) && unreserve_something(request))
		page = page_alloc_attempt(request, ALLOC_LAST);
	return page;
}

/* The block that was made is kept for this request: others are about who would take it apart. */
static struct page *compact_and_retry(struct alloc_request *request, bool sync)
{
	struct compact_capture capture = {.mt = request->mt};

	if (!request->order ||
	    compaction_direct(request->node, request->order, request->highest, sync, &capture) != COMPACT_SUCCESS)
		return NULL;
	if (!capture.zone)
		return page_alloc_attempt(request, ALLOC_SLOW_AGAIN);
	pcp_adopt(capture.zone, capture.index, request->order, request->owner);
	return page_alloc_prepare(capture.zone, capture.index, request);
}

/* One round: move pages out of the way, then free some. */
static struct page *reclaim_and_retry(struct alloc_request *request, bool sync, uint64_t *freed)
{
	struct page *page = compact_and_retry(request, sync);

	*freed = 0;
	if (page)
		return page;
	*freed = reclaim_direct(request->node, request->gfp, request->order, request->highest);
	if (*freed)
		store_relaxed(&request->node->kswapd.failures, 0);
	return page_alloc_attempt(request, ALLOC_SLOW_AGAIN);
}

static bool is_costly(const struct alloc_request *request)
{
	return request->order > COSTLY_ORDER && !(request->gfp & GFP_NOFAIL);
}

/* Rounds worth their time: the first moves only what moves at once, the second waits for what does not. */
static unsigned int patience(const struct alloc_request *request)
{
	if ((request->gfp & GFP_NORETRY) || is_costly(request))
		return request->order ? 1 : 0;
	return MAX_ROUNDS;
}

static struct page *reclaim_in_rounds(struct alloc_request *request)
{
	struct page *page = NULL;
	uint64_t freed;

	for (unsigned int round = 0; round < MAX_ROUNDS && !page; round++) {
		page = reclaim_and_retry(request, round > 0, &freed);
		if (!freed || round >= patience(request))
			break;
	}
	return page ? page : last_attempt(request);
}

static bool others_may_help(const struct alloc_request *request, unsigned int *waits)
{
	if (!(request->gfp & GFP_NOFAIL) || (*waits)++ == LAST_WAITS)
		return false;
	sleep_ns(LAST_WAIT_NS);
	return true;
}

/*
 * Until it succeeds or nothing comes back any more. Free blocks that the host is being told of are waited for; then
 * those are asked who keep memory for such times.
 */
static struct page *reclaiming_path(struct alloc_request *request)
{
	uint32_t returns = page_hinting_returns();
	unsigned int waits = 0, last_waits = 0;

	for (;;) {
		struct page *page = reclaim_in_rounds(request);

		if (page)
			return page;
		if (waits++ < MAX_ROUNDS && page_hinting_wait(&returns))
			continue;
		if ((request->gfp & GFP_NORETRY) || is_costly(request))
			return NULL;
		if (!oom_give_back(request->order) && !others_may_help(request, &last_waits)) {
			vm_event(oom_kill);
			return NULL;
		}
	}
}

static struct page *fail(const struct alloc_request *request)
{
	static struct ratelimit limit;

	if (request->gfp & GFP_NOFAIL) {
		memory_show_report();
		panic("out of memory: order %u, gfp 0x%x, and the request may not fail", request->order, request->gfp);
	}
	if (!(request->gfp & GFP_NOWARN) && ratelimit_allow(&limit, 10))
		pr_warn("page allocation failure: order %u, gfp 0x%x, node %d: returning NULL", request->order,
			request->gfp, request->node->id);
	return NULL;
}

struct page *page_alloc_slow(struct alloc_request *request)
{
	struct page *page;

	wake_kswapds(request);
	page = page_alloc_attempt(request, ALLOC_SLOW);
	if (!page && (request->flags & ALLOC_NOSMALL) && request->policy->stall) {
		request->policy->stall(request);
		page = page_alloc_attempt(request, ALLOC_SLOW_AGAIN);
	}
	if (page)
		return page;
	if (request_may_reclaim(request) && !memalloc_inside() && preemptible())
		page = reclaiming_path(request);
	else
		page = last_attempt(request);
	return page ? page : fail(request);
}

/* ---- threads that free memory --------------------------------------------------------------------------------------
 */

/* The slot's lowest bit says that the thread is inside, the others count the pages that it was credited with. */
#define INSIDE 1ul

static uintptr_t *memalloc_slot(void)
{
	struct thread *thread = thread_current();

	return thread ? (uintptr_t *)thread_slot(thread, THREAD_SLOT_ALLOC_FLAGS) : NULL;
}

uintptr_t memalloc_enter(void)
{
	uintptr_t *slot = memalloc_slot(), previous;

	if (!slot)
		return 0;
	previous = *slot;
	*slot = INSIDE;
	return previous;
}

void memalloc_leave(uintptr_t previous)
{
	uintptr_t *slot = memalloc_slot();

	if (slot)
		*slot = previous & INSIDE ? previous + (*slot & ~INSIDE) : previous;
}

bool memalloc_inside(void)
{
	uintptr_t *slot = memalloc_slot();

	return slot && (*slot & INSIDE);
}

void memalloc_credit(uint64_t pages)
{
	if (memalloc_inside())
		*memalloc_slot() += pages << 1;
}

uint64_t memalloc_credited(void)
{
	return memalloc_inside() ? *memalloc_slot() >> 1 : 0;
}
