/*
 * The compaction daemons.
 *
 * What is asked for is one order and one highest zone, the largest of all askers; they are taken together when the
 * thread begins. A zone that the daemon fails in is deferred as for direct compaction. Proactive runs go by the score,
 * the percentage of free memory outside whole pageblocks: above the high mark a run begins, at the low one it ends;
 * proactiveness p puts the low mark at 100 - p, at least 5, and the high one 10 above, at most at 100: 0 is never.
 * Looks come every half second, and less and less often, down to one in half a minute, while they bring nothing.
 */
#include "mm/kcompactd.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mm/compaction_internal.h"
#include "mm/compaction_trace.h"
#include "mm/daemon.h"
#include "mm/pcp.h"
#include "mm/vmstat.h"

#define LOOK_SOONEST_NS (500 * NS_PER_MS)
#define LOOK_LATEST_NS	(32 * NS_PER_S)

/* ---- on demand ----------------------------------------------------------------------------------------------------
 */

static void compact_on_demand(struct node *node, unsigned int order, enum zone_type highest)
{
	trace_compaction_daemon(kcompactd_wake, node->id, order, highest);
	vm_event(compact_daemon_wake);
	for (unsigned int type = 0; type <= highest && !thread_should_stop(); type++) {
		struct zone *zone = node->zones[type];

		if (!zone || compaction_deferred(zone, order))
			continue;
		if (compact_zone_for(zone, order, highest, true, NULL, true) == COMPACT_NOTHING)
			pcp_drain_all(zone);
		compaction_keep_whole(zone);
	}
}

static bool take_request(struct kcompactd *kcompactd, unsigned int *order, enum zone_type *highest)
{
	bool asked;

	spin_lock(&kcompactd->lock);
	asked = kcompactd->asked;
	*order = kcompactd->order;
	*highest = kcompactd->highest;
	WRITE_ONCE(kcompactd->asked, false);
	kcompactd->order = 0;
	kcompactd->highest = 0;
	spin_unlock(&kcompactd->lock);
	return asked;
}

void kcompactd_wake(struct node *node, unsigned int order, enum zone_type highest)
{
	struct kcompactd *kcompactd = &node->kcompactd;

	if (!order || !READ_ONCE(kcompactd->thread))
		return;
	spin_lock(&kcompactd->lock);
	kcompactd->order = MAX(kcompactd->order, order);
	kcompactd->highest = MAX(kcompactd->highest, highest);
	WRITE_ONCE(kcompactd->asked, true);
	spin_unlock(&kcompactd->lock);
	if (wake_up(&kcompactd->wait))
		trace_compaction_daemon(wakeup_kcompactd, node->id, order, highest);
}

/* ---- proactively --------------------------------------------------------------------------------------------------
 */

uint64_t compaction_score_target(void)
{
	uint64_t proactiveness = (uint64_t)READ_ONCE(compaction_settings.proactiveness.value);

	return MAX(100 - proactiveness, 5ul);
}

/* The zones' scores, weighted by size. */
static uint64_t node_score(const struct node *node)
{
	uint64_t score = 0, pages = 0;

	for (unsigned int type = 0; type < NR_ZONE_TYPES; type++) {
		if (!node->zones[type])
			continue;
		score += compaction_score(node->zones[type]) * node->zones[type]->present_pages;
		pages += node->zones[type]->present_pages;
	}
	return pages ? score / pages : 0;
}

static void compact_proactively(struct node *node)
{
	for (unsigned int type = 0; type < NR_ZONE_TYPES && !thread_should_stop(); type++)
		if (node->zones[type])
			compaction_proactive(node->zones[type]);
}

/* True if the node's memory was too fragmented and is less so now. */
static bool look(struct node *node)
{
	uint64_t score = node_score(node), high = MIN(compaction_score_target() + 10, 100ul);

	if (score <= high)
		return false;
	compact_proactively(node);
	return node_score(node) < score;
}

/* ---- the thread ---------------------------------------------------------------------------------------------------
 */

static bool is_wanted(struct kcompactd *kcompactd)
{
	return READ_ONCE(kcompactd->asked) || READ_ONCE(kcompactd->look) || thread_should_stop();
}

/* Sleeps until there is something to do, or for @pause_ns. */
static void wait_and_look(struct node *node, uint64_t *pause_ns)
{
	struct kcompactd *kcompactd = &node->kcompactd;
	bool looked_for;

	TRACE(mm_compaction_kcompactd_sleep, .node = node->id);
	wait_event_timeout(&kcompactd->wait, is_wanted(kcompactd), *pause_ns);
	looked_for = atomic_exchange(&kcompactd->look, false);
	if (READ_ONCE(kcompactd->asked) || thread_should_stop() || !daemon_work_begin())
		return;
	/* A machine that is idle, or beyond help, shall not be woken often. */
	*pause_ns = look(node) || looked_for ? LOOK_SOONEST_NS : MIN(2 * *pause_ns, LOOK_LATEST_NS);
	daemon_work_end();
}

static int kcompactd_run(void *argument)
{
	struct node *node = argument;
	uint64_t pause_ns = LOOK_SOONEST_NS;

	memalloc_enter();
	while (!thread_should_stop()) {
		enum zone_type highest;
		unsigned int order;

		if (!take_request(&node->kcompactd, &order, &highest)) {
			wait_and_look(node, &pause_ns);
			continue;
		}
		if (!daemon_work_begin())
			break;
		compact_on_demand(node, order, highest);
		daemon_work_end();
		pause_ns = LOOK_SOONEST_NS;
	}
	return 0;
}

void kcompactd_init(struct kcompactd *kcompactd)
{
	*kcompactd = (struct kcompactd){0};
	wait_queue_init(&kcompactd->wait);
	spin_lock_init(&kcompactd->lock, "kcompactd");
}

int kcompactd_start(struct node *node)
{
	char name[THREAD_NAME_SIZE];
	struct thread *thread;

	format(name, sizeof(name), "kcompactd%d", node->id);
	thread = thread_spawn(name, kcompactd_run, node);
	if (IS_ERR(thread))
		return -ENOMEM;
	WRITE_ONCE(node->kcompactd.thread, thread);
	return 0;
}

void kcompactd_look(struct node *node)
{
	WRITE_ONCE(node->kcompactd.look, true);
	wake_up(&node->kcompactd.wait);
}

void kcompactd_stop(struct node *node)
{
	struct thread *thread = node->kcompactd.thread;

	if (!thread)
		return;
	WRITE_ONCE(node->kcompactd.thread, NULL);
	thread_stop(thread);
	thread_join(thread);
}
