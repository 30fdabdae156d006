/*
 * Compaction of a zone: the run, and whether to run at all.
 *
 * A run asks its scan for a pageblock to empty, collects a batch of blocks there, has them isolated by their owners,
 * asks the scan for targets, and migrates; until there is a block of the wanted order, or the scan says that it is
 * done. The zone's lock is taken for one batch, or some tens of pageblocks' books, at a time, never while anything is
 * copied.
 *
 * Whether to run: not if there is a block already; not without room to move things to; not if the fragmentation index
 * says that what is missing is memory; and not if it failed lately. After the n-th failure in a row 2^n requests, at
 * most 64, are turned away (deferral); not smaller orders than the one that failed, nor who asks to wait.
 */
#include "mm/compaction_internal.h"

#include <arch/cpu.h>

#include "kernel/thread.h"
#include "mm/buddy.h"
#include "mm/compaction_trace.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

#define DEFER_SHIFT_MAX 6u
#define LOCK_TRIES	256u
#define COSTLY_ORDER	3u /* above it a failure may be due to fragmentation */

/* ---- one run ------------------------------------------------------------------------------------------------------
 */

bool compact_lock(struct compact_run *run)
{
	if (run->sync) {
		spin_lock(&run->zone->lock);
		return true;
	}
	/* It is never held for long: a try or two more cost less than what the caller does next, which is to reclaim.
	 */
	for (unsigned int tries = 0; !run->contended && tries < LOCK_TRIES; tries++) {
		if (spin_trylock(&run->zone->lock))
			return true;
		cpu_relax();
	}
	run->contended = true;
	return false;
}

void compact_forget_hints(struct zone *zone)
{
	for (uint32_t number = 0; number < zone->nr_pageblocks;) {
		spin_lock(&zone->lock);
		for (uint32_t visits = 0; visits < COMPACT_VISITS && number < zone->nr_pageblocks; visits++)
			zone->pageblocks[number++].compact_skip = 0;
		spin_unlock(&zone->lock);
	}
}

static bool has_block(const struct zone *zone, unsigned int order)
{
	for (; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_PCPTYPES; mt++)
			if (READ_ONCE(zone->free_blocks[order][mt]))
				return true;
	return false;
}

static bool is_captured(const struct compact_run *run)
{
	return run->capture && run->capture->zone;
}

static void set_captured(struct compact_run *run, uint32_t index)
{
	run->capture->zone = run->zone;
	run->capture->index = index;
}

void compact_capture_from_locked(struct compact_run *run, uint32_t number)
{
	uint32_t index = number * PAGEBLOCK_PAGES;

	if (!run->capture || is_captured(run) || run->order > PAGEBLOCK_ORDER)
		return;
	if (run->order == PAGEBLOCK_ORDER)
		buddy_set_migratetype_locked(run->zone, number, run->capture->mt);
	if (run->zone->pageblocks[number].migratetype == run->capture->mt &&
	    buddy_take_range_locked(run->zone, index, 1u << run->order))
		set_captured(run, index);
}

/* From whatever has come onto the lists. */
static void capture_any(struct compact_run *run)
{
	uint32_t index;

	if (!run->capture || is_captured(run))
		return;
	spin_lock(&run->zone->lock);
	index = buddy_take_locked(run->zone, run->order, run->capture->mt);
	spin_unlock(&run->zone->lock);
	if (index != ZONE_INDEX_NONE)
		set_captured(run, index);
}

static bool is_reached(const struct compact_run *run)
{
	if (is_captured(run))
		return true;
	if (run->order == COMPACT_ALL)
		return (run->wanted && run->emptied >= run->wanted) ||
		       (run->score_goal && compaction_score(run->zone) <= run->score_goal);
	return has_block(run->zone, run->order);
}

static const char *result_name(enum compact_result result)
{
	static const char *const names[] = {"skipped", "deferred", "complete", "contended", "success"};

	return names[result];
}

/* Blocks that get no target go back when the batch is migrated. */
static void find_targets(struct compact_run *run)
{
	uint32_t first = UINT32_MAX, end = 0;
	uint64_t scanned = run->free_scanned, taken = 0;

	for (uint32_t at = 0; at < run->migrate.count; at++) {
		struct migrate_block *block = &run->migrate.blocks[at];
		uint32_t index = run->scan->take_target(run, block->order);

		if (index == ZONE_INDEX_NONE)
			continue;
		block->to = migrate_prepare_target(run->zone, index, block);
		taken += 1u << block->order;
		first = MIN(first, index);
		end = MAX(end, index + (1u << block->order));
	}
	trace_compaction_isolated(freepages, run->zone, first, end, run->free_scanned - scanned, taken);
	vm_events(compact_isolated, taken);
}

/* One batch from @index on; where to go on. *@all: everything in it that can move was moved. */
static uint32_t move_batch(struct compact_run *run, uint32_t index, uint32_t end, bool *all)
{
	struct migrate *migrate = &run->migrate;
	uint64_t scanned = migrate->scanned, isolated = migrate->isolated, failed;
	uint32_t next, collected;

	if (!compact_lock(run))
		return end;
	next = migrate_collect_locked(migrate, index, end);
	spin_unlock(&run->zone->lock);
	collected = migrate->count;
	migrate_isolate(migrate);
	*all &= migrate->count == collected;
	isolated = migrate->isolated - isolated;
	trace_compaction_isolated(migratepages, run->zone, index, next, migrate->scanned - scanned, isolated);
	vm_events(compact_isolated, isolated);
	if (!migrate->count)
		return next;
	find_targets(run);
	failed = migrate_batch(migrate, run->sync ? MIGRATE_TRIES_SYNC : MIGRATE_TRIES_ASYNC);
	TRACE(mm_compaction_migratepages, .migrated = isolated - failed, .failed = failed);
	*all &= !failed;
	return next;
}

static void empty_pageblock(struct compact_run *run, uint32_t number)
{
	uint64_t scanned = run->migrate.scanned, isolated = run->migrate.isolated;
	bool pieces = !run->scan->whole_or_nothing, all = true;
	uint32_t index = number * PAGEBLOCK_PAGES, end = index + PAGEBLOCK_PAGES;

	while (index < end && !run->contended && (pieces ? !is_reached(run) : all))
		index = move_batch(run, index, end, &all);
	vm_events(compact_migrate_scanned, run->migrate.scanned - scanned);
	run->scan->source_done(run, number, run->migrate.isolated != isolated);
}

static enum compact_result run_scan(struct compact_run *run)
{
	while (!is_reached(run)) {
		uint32_t number;

		if (run->contended || thread_should_stop())
			return COMPACT_CONTENDED;
		number = run->scan->next_source(run);
		if (number == COMPACT_NONE)
			return run->contended ? COMPACT_CONTENDED : COMPACT_NOTHING;
		empty_pageblock(run, number);
	}
	capture_any(run);
	return COMPACT_SUCCESS;
}

enum compact_result compact_zone(struct compact_run *run)
{
	enum compact_result result;

	run->migrate.zone = run->migrate.to_zone = run->zone;
	/* To move a block as large as what is wanted gains nothing. */
	run->migrate.max_order = MIN(run->order, PAGEBLOCK_ORDER) - 1;
	run->scan->begin(run);
	trace_compaction_run(begin, run, NULL);
	result = run_scan(run);
	run->scan->end(run);
	trace_compaction_zone(finished, run->zone, run->order, result_name(result));
	trace_compaction_run(end, run, result_name(result));
	vm_events(compact_free_scanned, run->free_scanned);
	if (run->by_daemon) {
		vm_events(compact_daemon_migrate_scanned, run->migrate.scanned);
		vm_events(compact_daemon_free_scanned, run->free_scanned);
	}
	return result;
}

/* ---- whether to run -----------------------------------------------------------------------------------------------
 */

bool compaction_deferred(struct zone *zone, unsigned int order)
{
	struct zone_compaction *state = &zone->compaction;
	bool deferred = false;

	spin_lock(&zone->lock);
	if (state->defer_shift && order >= state->order_failed) {
		deferred = ++state->considered < 1u << state->defer_shift;
		if (!deferred)
			state->considered = 1u << state->defer_shift;
	}
	spin_unlock(&zone->lock);
	if (deferred)
		trace_compaction_defer(deferred, zone, order);
	return deferred;
}

static void defer(struct zone *zone, unsigned int order)
{
	struct zone_compaction *state = &zone->compaction;

	spin_lock(&zone->lock);
	state->order_failed = state->defer_shift ? MIN(state->order_failed, order) : order;
	state->considered = 0;
	state->defer_shift = MIN(state->defer_shift + 1, DEFER_SHIFT_MAX);
	spin_unlock(&zone->lock);
	trace_compaction_defer(defer_compaction, zone, order);
}

static void defer_reset(struct zone *zone, unsigned int order)
{
	spin_lock(&zone->lock);
	zone->compaction.considered = 0;
	zone->compaction.defer_shift = 0;
	zone->compaction.order_failed = MAX(zone->compaction.order_failed, order + 1);
	spin_unlock(&zone->lock);
	trace_compaction_defer(defer_reset, zone, order);
}

static enum compact_result suitable(const struct zone *zone, unsigned int order, enum zone_type highest)
{
	uint64_t mark = watermark_pages(zone, order > COSTLY_ORDER ? WATERMARK_LOW : WATERMARK_MIN);
	int index = -1;

	if (watermark_ok(zone, order, watermark_pages(zone, WATERMARK_MIN), highest))
		return COMPACT_SUCCESS;
	/* While pages move, both copies exist. */
	if (!watermark_ok_movable(zone, 0, mark + (2ul << order), highest))
		return COMPACT_NOT_SUITABLE;
	if (order > COSTLY_ORDER)
		index = fragmentation_index(zone, order);
	if (index >= 0 && index <= READ_ONCE(compaction_settings.extfrag_threshold.value))
		return COMPACT_NOT_SUITABLE;
	return COMPACT_NOTHING;
}

/* ---- those who ask ------------------------------------------------------------------------------------------------
 */

/* A policy that keeps whole pageblocks wants them at the lowest price. */
static const struct compact_scan *chosen_scan(void)
{
	if (frag_policy_get()->whole_pages_wanted)
		return &compact_fullest;
	return READ_ONCE(compaction_settings.scan.chosen) ? &compact_fullest : &compact_linear;
}

enum compact_result compact_zone_for(struct zone *zone, unsigned int order, enum zone_type highest, bool sync,
				     struct compact_capture *capture, bool by_daemon)
{
	struct compact_run run = {
		.zone = zone,
		.order = order,
		.sync = sync,
		.by_daemon = by_daemon,
		.scan = chosen_scan(),
		.capture = capture,
	};
	enum compact_result result = suitable(zone, order, highest);

	trace_compaction_zone(suitable, zone, order, result == COMPACT_NOTHING ? "continue" : result_name(result));
	if (result == COMPACT_SUCCESS)
		capture_any(&run);
	if (result != COMPACT_NOTHING)
		return result;
	result = compact_zone(&run);
	if (result == COMPACT_SUCCESS)
		defer_reset(zone, order);
	else if (result == COMPACT_NOTHING && sync)
		defer(zone, order);
	return result;
}

static enum compact_result compact_node(struct node *node, unsigned int order, enum zone_type highest, bool sync,
					struct compact_capture *capture)
{
	enum compact_result best = COMPACT_NOT_SUITABLE;

	for (unsigned int type = highest + 1; type-- && best != COMPACT_SUCCESS;) {
		struct zone *zone = node->zones[type];
		enum compact_result result = COMPACT_DEFERRED;

		if (!zone)
			continue;
		if (sync || !compaction_deferred(zone, order))
			result = compact_zone_for(zone, order, highest, sync, capture, false);
		best = MAX(best, result);
	}
	return best;
}

enum compact_result compaction_direct(struct node *node, unsigned int order, enum zone_type highest, bool sync,
				      struct compact_capture *capture)
{
	enum compact_result result;
	uintptr_t previous;

	if (memalloc_inside() || !order)
		return COMPACT_NOT_SUITABLE;
	previous = memalloc_enter();
	result = compact_node(node, order, highest, sync, capture);
	memalloc_leave(previous);
	if (result == COMPACT_NOT_SUITABLE || result == COMPACT_DEFERRED)
		return result;
	vm_event(compact_stall);
	if (result == COMPACT_SUCCESS)
		vm_event(compact_success);
	else
		vm_event(compact_fail);
	return result;
}

static void run_everything(struct compact_run *run)
{
	uintptr_t previous = memalloc_enter();

	run->order = COMPACT_ALL;
	run->sync = true;
	run->ignore_hints = true;
	compact_zone(run);
	memalloc_leave(previous);
}

uint32_t compaction_make_pageblocks(struct zone *zone, uint32_t wanted, uint64_t *moved)
{
	struct compact_run run = {.zone = zone, .wanted = wanted, .scan = &compact_fullest};

	run_everything(&run);
	*moved = run.migrate.migrated;
	return run.emptied;
}

void compaction_keep_whole(struct zone *zone)
{
	const struct frag_policy *policy = frag_policy_get();
	uint64_t wanted = policy->whole_pages_wanted ? policy->whole_pages_wanted(zone) : 0;
	uint64_t whole = zone_whole_pages(zone), moved;

	if (whole < wanted)
		compaction_make_pageblocks(zone, (uint32_t)DIV_ROUND_UP(wanted - whole, PAGEBLOCK_PAGES), &moved);
}

void compaction_proactive(struct zone *zone)
{
	struct compact_run run = {
		.zone = zone, .scan = chosen_scan(), .score_goal = compaction_score_target(), .by_daemon = true};

	run_everything(&run);
}

void compaction_whole_zone(struct zone *zone)
{
	struct compact_run run = {.zone = zone, .scan = chosen_scan()};

	pcp_drain_all(zone);
	run_everything(&run);
}
