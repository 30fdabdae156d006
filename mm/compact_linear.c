/*
 * The linear scan: sources from the bottom up, targets from the top down, as Linux does.
 *
 * A pageblock in which nothing was found to move is marked and skipped until the hints are forgotten. Targets are
 * movable pageblocks that are in use already: whole free ones are what compaction is for. The free scanner has a
 * position for each order, as the books say at a glance whether a pageblock has a block of that order; there are no
 * hints for it to keep.
 */
#include "mm/buddy.h"
#include "mm/compaction_internal.h"

static bool is_movable_type(const struct pageblock *pageblock)
{
	return pageblock->migratetype == MIGRATE_MOVABLE || pageblock->migratetype == MIGRATE_CMA;
}

static void linear_begin(struct compact_run *run)
{
	struct zone_compaction *hints = &run->zone->compaction;
	uint32_t target;

	spin_lock(&run->zone->lock);
	target = run->zone->nr_pageblocks - 1;
	if (!run->ignore_hints && hints->source[run->sync] < hints->target) {
		run->linear.source = hints->source[run->sync];
		target = hints->target;
	}
	run->linear.from_start = !run->linear.source;
	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++)
		run->linear.target[order] = target;
	spin_unlock(&run->zone->lock);
}

static bool is_source(const struct compact_run *run, const struct pageblock *pageblock)
{
	if (!compact_is_partial(pageblock) || pageblock->migratetype == MIGRATE_ISOLATE)
		return false;
	if (pageblock->compact_skip && !run->ignore_hints)
		return false;
	return run->sync || is_movable_type(pageblock);
}

static uint32_t linear_next_source(struct compact_run *run)
{
	uint32_t end = run->linear.target[0], found = COMPACT_NONE;

	while (found == COMPACT_NONE && run->linear.source < end && compact_lock(run)) {
		for (uint32_t visits = 0; visits < COMPACT_VISITS && run->linear.source < end; visits++)
			if (is_source(run, &run->zone->pageblocks[run->linear.source++])) {
				found = run->linear.source - 1;
				break;
			}
		spin_unlock(&run->zone->lock);
	}
	return found;
}

/* Looks at the free scanner's pageblock; goes down if it has no such block. */
static uint32_t take_or_go_down(struct compact_run *run, unsigned int order)
{
	uint32_t *target = &run->linear.target[order], index = ZONE_INDEX_NONE;
	const struct pageblock *pageblock = &run->zone->pageblocks[*target];

	run->free_scanned++;
	if (compact_is_partial(pageblock) && is_movable_type(pageblock))
		index = buddy_take_within_locked(run->zone, *target, order);
	if (index == ZONE_INDEX_NONE)
		--*target;
	return index;
}

static uint32_t linear_take_target(struct compact_run *run, unsigned int order)
{
	uint32_t index = ZONE_INDEX_NONE, source = run->linear.source - 1;

	while (index == ZONE_INDEX_NONE && run->linear.target[order] > source && compact_lock(run)) {
		for (uint32_t visits = 0; visits < COMPACT_VISITS && index == ZONE_INDEX_NONE; visits++) {
			if (run->linear.target[order] <= source)
				break;
			index = take_or_go_down(run, order);
		}
		spin_unlock(&run->zone->lock);
	}
	return index;
}

static void linear_source_done(struct compact_run *run, uint32_t number, bool found)
{
	struct pageblock *pageblock = &run->zone->pageblocks[number];

	spin_lock(&run->zone->lock);
	run->emptied += pageblock->whole_order != 0;
	if (!found)
		pageblock->compact_skip = 1;
	spin_unlock(&run->zone->lock);
}

/* Where the scanners met the next run begins anew; and it looks everywhere again if this one had begun there. */
static void linear_end(struct compact_run *run)
{
	struct zone_compaction *hints = &run->zone->compaction;
	bool met = run->linear.source >= run->linear.target[0] && !run->contended;
	uint32_t source = met || !run->linear.source ? 0 : run->linear.source - 1;

	if (met && run->linear.from_start)
		compact_forget_hints(run->zone);
	spin_lock(&run->zone->lock);
	hints->source[false] = source;
	if (run->sync)
		hints->source[true] = source;
	hints->target = met ? run->zone->nr_pageblocks - 1 : run->linear.target[0];
	spin_unlock(&run->zone->lock);
}

const struct compact_scan compact_linear = {
	.name = "linear",
	.begin = linear_begin,
	.next_source = linear_next_source,
	.take_target = linear_take_target,
	.source_done = linear_source_done,
	.end = linear_end,
};
