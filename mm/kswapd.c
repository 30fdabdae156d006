/*
 * kswapd: frees memory ahead of need.
 *
 * A run has two tasks. Zones below their high marks are reclaimed for until they are above, with rising effort; real
 * need comes first. Then the pages of the boosts that were there at the start are freed on top, each in its own zone
 * (where somebody just had to mix types), and gently: clean pages only, and with little effort; these boosts are taken
 * off, and kcompactd makes whole pageblocks of what was freed.
 *
 * The marks count all free pages. If most of them lie where something does not move, a zone is above its high mark and
 * has nothing for movable requests, each of which then mixes. For a policy that minds, a run begins when every zone of
 * the node is below its low mark without them, and also frees pages, as gently, until one is above the high mark
 * without them (but for more of them than the greatest boost). The whole pageblocks that a policy keeps come on top:
 * they are for others.
 *
 * Who waits on pfmemalloc_wait is woken when the node can serve direct reclaim again (half of the min marks), when
 * progress was made on a boost without raising the effort, and at the end of a run.
 */
#include "mm/kswapd.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mm/compaction.h"
#include "mm/daemon.h"
#include "mm/policy/policy.h"
#include "mm/reclaim.h"
#include "mm/trace.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

#define MAX_FAILURES	    16u
#define PAGES_PER_PASS	    32u
#define LEAST_GENTLE_EFFORT (RECLAIM_PRIORITY_FIRST - 2)
#define GENTLE_REST_NS	    (10 * NS_PER_MS) /* after being gentle brought nothing more */

struct run {
	struct node *node;
	unsigned int order;
	enum zone_type highest;
	uint64_t boosts[NR_ZONE_TYPES];	    /* as they were at the start */
	uint64_t boost_left[NR_ZONE_TYPES]; /* pages to free for their sake */
	bool boosted;			    /* there were any */
	uint32_t given_up;		    /* zones, as bits, where being gentle brings nothing more */
};

static struct node *node_of(struct kswapd *kswapd)
{
	return container_of(kswapd, struct node, kswapd);
}

#define for_each_zone_of(node, highest, zone)                     \
	for (unsigned int _type = 0; _type <= (highest); _type++) \
		for (struct zone *zone = (node)->zones[_type]; zone; zone = NULL)

/* Some zone could serve the request and stay above its high mark; the boost is a task of its own. */
static bool is_balanced(const struct run *run)
{
	bool has_zone = false;

	for_each_zone_of(run->node, run->highest, zone)
	{
		has_zone |= zone->managed_pages > 0;
		if (zone->managed_pages &&
		    watermark_ok(zone, run->order, READ_ONCE(zone->watermark[WATERMARK_HIGH]), run->highest))
			return true;
	}
	return !has_zone;
}

static bool can_serve_direct_reclaim(const struct run *run)
{
	uint64_t reserve = 0, free = 0;

	for_each_zone_of(run->node, ZONE_NORMAL, zone)
	{
		reserve += READ_ONCE(zone->watermark[WATERMARK_MIN]);
		free += zone_free_pages(zone);
	}
	return free > reserve / 2;
}

static void wake_sleepers(struct kswapd *kswapd)
{
	atomic_inc(&kswapd->progress);
	wake_up_all(&kswapd->pfmemalloc_wait);
}

static void note_boosts(struct run *run)
{
	for_each_zone_of(run->node, NR_ZONE_TYPES - 1, zone)
	{
		uint64_t boost = READ_ONCE(zone->watermark_boost);

		run->boosts[zone->type] = run->boost_left[zone->type] = boost;
		run->boosted |= boost > 0;
	}
}

/* What the policy keeps as whole pageblocks. */
static uint64_t whole_pages_wanted(const struct zone *zone, const struct frag_policy *policy)
{
	return policy->whole_pages_wanted ? policy->whole_pages_wanted(zone) : 0;
}

/*
 * Free pages that movable requests lack below @mark, beside the boost: neither what is out of place nor what is kept
 * whole or for others is for them.
 */
static uint64_t lacks_in_place(const struct zone *zone, enum watermark mark, const struct frag_policy *policy)
{
	uint64_t not_theirs = zone_free_out_of_place(zone), needed;

	if (!policy->whole_pages_wanted) /* then they may mix, if need be */
		not_theirs = MIN(not_theirs, watermark_boost_limit(zone));
	needed = READ_ONCE(zone->watermark[mark]) + not_theirs + whole_pages_wanted(zone, policy) +
		 READ_ONCE(zone->lowmem_reserve[ZONE_MOVABLE]);
	return needed - MIN(needed, zone_free_pages(zone));
}

/* Its reserve keeps movable requests out, however much is free. */
static bool is_closed(const struct zone *zone)
{
	return READ_ONCE(zone->lowmem_reserve[ZONE_MOVABLE]) >= zone->managed_pages / 2;
}

/* None of the node's zones has enough for movable requests. */
static bool node_lacks_in_place(const struct node *node, enum watermark mark, const struct frag_policy *policy)
{
	for_each_zone_of(node, NR_ZONE_TYPES - 1, zone)
	{
		if (!is_closed(zone) && !lacks_in_place(zone, mark, policy))
			return false;
	}
	return true;
}

/* What is to be freed there for movable requests that would have to mix. */
static uint64_t pages_in_place_wanted(const struct node *node, const struct zone *zone)
{
	const struct frag_policy *policy = frag_policy_get();

	if (!policy->fragmenting || is_closed(zone) || !node_lacks_in_place(node, WATERMARK_HIGH, policy))
		return 0;
	return lacks_in_place(zone, WATERMARK_HIGH, policy);
}

/* Pages to be freed gently. */
static uint64_t gentle_pages(const struct run *run, enum zone_type type)
{
	const struct zone *zone = run->node->zones[type];

	if (!zone || (run->given_up & (1u << type)))
		return 0;
	return MAX(run->boost_left[type], pages_in_place_wanted(run->node, zone));
}

/* The highest zone where there are some; NR_ZONE_TYPES if there is none. */
static enum zone_type gentle_zone(const struct run *run)
{
	for (enum zone_type type = NR_ZONE_TYPES; type-- > 0;)
		if (gentle_pages(run, type))
			return type;
	return NR_ZONE_TYPES;
}

/* Boosts that came meanwhile stay, for the next run. */
static void take_off_boosts(const struct run *run)
{
	for_each_zone_of(run->node, NR_ZONE_TYPES - 1, zone)
	{
		spin_lock(&zone->lock);
		WRITE_ONCE(zone->watermark_boost,
			   zone->watermark_boost - MIN(zone->watermark_boost, run->boosts[zone->type]));
		spin_unlock(&zone->lock);
	}
}

/* Small orders are made by freeing; large ones are kcompactd's business once there is something to move to. */
static uint64_t pages_wanted(const struct run *run)
{
	uint64_t wanted = 0;

	for_each_zone_of(run->node, run->highest, zone) wanted +=
		MAX(READ_ONCE(zone->watermark[WATERMARK_HIGH]), (uint64_t)PAGES_PER_PASS);
	return wanted;
}

/*
 * One pass, gently for the sake of @zone if that is one; true if it freed what it was to free, so that the next one
 * need not try harder.
 */
static bool pass(struct run *run, enum zone_type zone, unsigned int priority, uint64_t *freed)
{
	bool gently = zone < NR_ZONE_TYPES;
	uint64_t *left = &run->boost_left[gently ? zone : 0];
	struct reclaim reclaim = {
		.node = run->node,
		.lowest = gently ? zone : 0,
		.highest = gently ? zone : run->highest,
		.order = run->order,
		.priority = priority,
		.wanted = gently ? MIN(gentle_pages(run, zone), (uint64_t)PAGEBLOCK_PAGES) : pages_wanted(run),
		.by_kswapd = true,
		.gently = gently,
	};

	reclaim_node(&reclaim);
	*freed += reclaim.reclaimed;
	if (gently)
		*left -= MIN(*left, reclaim.reclaimed);
	if (can_serve_direct_reclaim(run) || (gently && reclaim.reclaimed))
		wake_sleepers(&run->node->kswapd);
	return reclaim.reclaimed >= reclaim.wanted || (gently && reclaim.reclaimed);
}

static void balance(struct run *run)
{
	enum zone_type task = NR_ZONE_TYPES; /* the zone for whose sake it is gentle; none while it balances them */
	unsigned int priority = RECLAIM_PRIORITY_FIRST;
	uint64_t freed = 0;

	note_boosts(run);
	vm_event(pageoutrun);
	while (!thread_should_stop()) {
		bool balanced = is_balanced(run);
		enum zone_type next = balanced ? gentle_zone(run) : NR_ZONE_TYPES;

		if (balanced && next == NR_ZONE_TYPES)
			break;
		if (next != task) { /* another task begins, or comes between */
			task = next;
			priority = RECLAIM_PRIORITY_FIRST;
		}
		if (!pass(run, task, priority, &freed)) {
			if (!balanced && priority == 1)
				break;
			if (balanced && priority == LEAST_GENTLE_EFFORT)
				run->given_up |= 1u << task;
			priority--;
		}
		if (run->order && !balanced && freed >= 2ull << run->order)
			run->order = 0; /* enough is free: the rest is a matter of moving */
	}
	run->order = 0; /* whether there are single pages is what decides about success */
	if (freed)
		store_relaxed(&run->node->kswapd.failures, 0);
	else if (!is_balanced(run))
		atomic_inc(&run->node->kswapd.failures);
	if (run->boosted)
		take_off_boosts(run);
	if (run->given_up)
		WRITE_ONCE(run->node->kswapd.rest_until_ns, time_ns() + GENTLE_REST_NS);
}

static bool lacks_whole_pageblocks(const struct node *node)
{
	for_each_zone_of(node, NR_ZONE_TYPES - 1,
			 zone) if (frag_policy_lacks_whole(frag_policy_get(), zone)) return true;
	return false;
}

static void run_once(struct kswapd *kswapd)
{
	struct run run = {.node = node_of(kswapd)};
	unsigned int order;

	spin_lock(&kswapd->lock);
	order = run.order = kswapd->order;
	run.highest = kswapd->highest;
	WRITE_ONCE(kswapd->asked, false); /* who looks whether it is does so without the lock */
	kswapd->order = 0;
	kswapd->highest = 0;
	spin_unlock(&kswapd->lock);

	TRACE(mm_vmscan_kswapd_wake, .nid = run.node->id, .order = (int)order);
	balance(&run);
	wake_sleepers(kswapd);
	if (run.boosted || lacks_whole_pageblocks(run.node))
		order = PAGEBLOCK_ORDER;
	if (order)
		kcompactd_wake(run.node, order, run.highest);
	TRACE(mm_vmscan_kswapd_sleep, .nid = run.node->id);
}

static int kswapd_main(void *argument)
{
	struct kswapd *kswapd = argument;

	memalloc_enter();
	thread_be_urgent();
	while (!thread_should_stop()) {
		wait_event(&kswapd->wait, READ_ONCE(kswapd->asked) || thread_should_stop());
		if (thread_should_stop() || !daemon_work_begin())
			break;
		run_once(kswapd);
		daemon_work_end();
	}
	return 0;
}

/* Given up on, unless somebody has freed memory since. */
static bool is_hopeless(struct node *node)
{
	if (load_relaxed(&node->kswapd.failures) < MAX_FAILURES)
		return false;
	for_each_zone_of(node, NR_ZONE_TYPES - 1, zone)
	{
		if (zone_free_pages(zone) > READ_ONCE(zone->watermark[WATERMARK_HIGH]))
			store_relaxed(&node->kswapd.failures, 0);
	}
	return load_relaxed(&node->kswapd.failures) >= MAX_FAILURES;
}

void kswapd_wake(struct node *node, uint32_t gfp, unsigned int order, enum zone_type highest)
{
	struct kswapd *kswapd = &node->kswapd;
	bool news;

	if (!READ_ONCE(kswapd->thread) || is_hopeless(node))
		return;
	spin_lock(&kswapd->lock);
	news = !kswapd->asked;
	WRITE_ONCE(kswapd->asked, true);
	kswapd->order = MAX(kswapd->order, order);
	kswapd->highest = MAX(kswapd->highest, highest);
	spin_unlock(&kswapd->lock);
	if (news) {
		TRACE(mm_vmscan_wakeup_kswapd, .nid = node->id, .order = (int)order, .gfp_flags = gfp);
		wake_up(&kswapd->wait);
	}
}

/* More than enough, as one figure shows: most of the time it is so. */
static bool has_plenty_in_place(const struct zone *zone, const struct frag_policy *policy)
{
	uint64_t pairs = READ_ONCE(zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE]);

	return pairs << MAX_ORDER >= READ_ONCE(zone->watermark[WATERMARK_LOW]) + whole_pages_wanted(zone, policy);
}

void kswapd_before_taking(const struct zone *zone, const struct alloc_request *request)
{
	struct node *node = &memory.nodes[zone->node];
	const struct frag_policy *policy = request->policy;

	if (!policy || !policy->fragmenting || !(request->gfp & GFP_KSWAPD_RECLAIM) ||
	    has_plenty_in_place(zone, policy) || READ_ONCE(node->kswapd.asked))
		return;
	if (node_lacks_in_place(node, WATERMARK_LOW, policy) && time_ns() >= READ_ONCE(node->kswapd.rest_until_ns))
		kswapd_wake(node, request->gfp, 0, request->highest);
}

void kswapd_init(struct kswapd *kswapd)
{
	*kswapd = (struct kswapd){0};
	wait_queue_init(&kswapd->wait);
	wait_queue_init(&kswapd->pfmemalloc_wait);
	spin_lock_init(&kswapd->lock, "kswapd");
}

int kswapd_start(void)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct kswapd *kswapd = &memory.nodes[node].kswapd;
		char name[THREAD_NAME_SIZE];
		struct thread *thread;

		format(name, sizeof(name), "kswapd%u", node);
		thread = thread_spawn(name, kswapd_main, kswapd);
		if (IS_ERR(thread)) {
			kswapd_stop();
			return -ENOMEM;
		}
		WRITE_ONCE(kswapd->thread, thread);
	}
	return 0;
}

void kswapd_stop(void)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct kswapd *kswapd = &memory.nodes[node].kswapd;
		struct thread *thread = kswapd->thread;

		if (!thread)
			continue;
		WRITE_ONCE(kswapd->thread, NULL);
		thread_stop(thread);
		wake_up_all(&kswapd->wait);
		thread_join(thread);
	}
}
