/*
 * The scan by fullness: whole free pageblocks for the fewest moved pages.
 *
 * A pageblock costs as many moves as it has pages in use, so those with the fewest are emptied first, at the top of
 * memory first among equals, since allocations gather at the bottom. It is done whole or not at all: only a pageblock
 * in which everything can move is begun, and it is isolated meanwhile, so that nobody fills it up again. What moves
 * goes to the fullest pageblocks, which are the last that one would empty; best of all to those that cannot be emptied
 * anyway.
 *
 * The order comes from a survey of the pageblocks' free_pages, one pass over their books for each 32 sources.
 */
#include "mm/buddy.h"
#include "mm/compaction_internal.h"
#include "mm/isolation.h"
#include "mm/pcp.h"

/* Keeps the lowest ranks; of equals the first, or the last if @late. */
static void rank(struct compact_ranking *ranking, uint32_t number, uint32_t value, bool late)
{
	uint32_t at = ranking->count;

	if (at == COMPACT_RANKED) {
		if (value > ranking->entries[at - 1].rank || (value == ranking->entries[at - 1].rank && !late))
			return;
		at--;
	} else {
		ranking->count++;
	}
	for (; at > ranking->next && value + !late <= ranking->entries[at - 1].rank; at--)
		ranking->entries[at] = ranking->entries[at - 1];
	ranking->entries[at].number = number;
	ranking->entries[at].rank = value;
}

static void survey_pageblock(struct compact_run *run, uint32_t number)
{
	const struct pageblock *pageblock = &run->zone->pageblocks[number];
	bool movable = pageblock->migratetype == MIGRATE_MOVABLE;

	if (!compact_is_partial(pageblock) || pageblock->migratetype >= MIGRATE_PCPTYPES)
		return;
	if (pageblock->free_pages && !pageblock->compact_skip && (movable || run->sync))
		rank(&run->fullest.sources, number, PAGEBLOCK_PAGES - pageblock->free_pages, true);
	if (pageblock->free_pages && movable) {
		rank(&run->fullest.targets, number, pageblock->compact_skip ? 0 : pageblock->free_pages, false);
		run->fullest.spare += pageblock->free_pages;
	}
}

static void survey(struct compact_run *run)
{
	struct zone *zone = run->zone;

	run->fullest.sources = run->fullest.targets = (struct compact_ranking){0};
	run->fullest.spare = 0;
	for (uint32_t number = 0; number < zone->nr_pageblocks && compact_lock(run);) {
		for (uint32_t visits = 0; visits < COMPACT_VISITS && number < zone->nr_pageblocks; visits++)
			survey_pageblock(run, number++);
		spin_unlock(&zone->lock);
	}
}

static void fullest_begin(struct compact_run *run)
{
	if (run->ignore_hints)
		compact_forget_hints(run->zone);
	pcp_drain_all(run->zone);
	survey(run);
}

/*
 * Isolates the pageblock if all of it can move; else it is not looked at again before the hints are forgotten, and
 * takes what others have to give away.
 */
static bool begin_source_locked(struct compact_run *run, uint32_t number)
{
	struct pageblock *pageblock = &run->zone->pageblocks[number];

	if (!compact_is_partial(pageblock) || pageblock->compact_skip)
		return false;
	if (isolation_can_empty_locked(run->zone, number * PAGEBLOCK_PAGES, (number + 1) * PAGEBLOCK_PAGES,
				       run->migrate.max_order) &&
	    isolation_begin_locked(run->zone, number) == 0)
		return true;
	pageblock->compact_skip = 1;
	if (pageblock->migratetype == MIGRATE_MOVABLE)
		rank(&run->fullest.targets, number, 0, false);
	return false;
}

static uint32_t fullest_next_source(struct compact_run *run)
{
	struct compact_ranking *sources = &run->fullest.sources;

	for (;;) {
		bool begun;
		uint32_t at;

		if (sources->next == sources->count) {
			if (!sources->count)
				return COMPACT_NONE;
			survey(run);
			continue;
		}
		at = sources->next++;
		/* Its own free pages apart there must be room for all that is in use; the next need even more. */
		if (run->fullest.spare < PAGEBLOCK_PAGES || !compact_lock(run))
			return COMPACT_NONE;
		begun = begin_source_locked(run, sources->entries[at].number);
		spin_unlock(&run->zone->lock);
		if (!begun)
			continue;
		run->fullest.spare -= PAGEBLOCK_PAGES - sources->entries[at].rank;
		return sources->entries[at].number;
	}
}

/* From the pageblocks of the survey, the fullest first. */
static uint32_t take_ranked_locked(struct compact_run *run, unsigned int order)
{
	struct compact_ranking *targets = &run->fullest.targets;
	uint32_t index = ZONE_INDEX_NONE;

	for (uint32_t at = targets->next; at < targets->count && index == ZONE_INDEX_NONE; at++) {
		const struct pageblock *pageblock = &run->zone->pageblocks[targets->entries[at].number];
		bool usable = compact_is_partial(pageblock) && pageblock->migratetype == MIGRATE_MOVABLE;

		run->free_scanned++;
		if (usable)
			index = buddy_take_within_locked(run->zone, targets->entries[at].number, order);
		if (at == targets->next && (!usable || !pageblock->free_pages))
			targets->next++;
	}
	return index;
}

/* From anywhere but whole free pageblocks. */
static uint32_t take_smallest_locked(struct compact_run *run, unsigned int order)
{
	for (unsigned int have = order; have < PAGEBLOCK_ORDER; have++)
		if (run->zone->free_blocks[have][MIGRATE_MOVABLE])
			return buddy_take_from_locked(run->zone, have, MIGRATE_MOVABLE, order);
	return ZONE_INDEX_NONE;
}

static uint32_t fullest_take_target(struct compact_run *run, unsigned int order)
{
	uint32_t index;

	if (!compact_lock(run))
		return ZONE_INDEX_NONE;
	index = take_ranked_locked(run, order);
	if (index == ZONE_INDEX_NONE)
		index = take_smallest_locked(run, order);
	if (index != ZONE_INDEX_NONE)
		run->fullest.spare -= MIN(run->fullest.spare, 1ul << order);
	spin_unlock(&run->zone->lock);
	return index;
}

static void fullest_source_done(struct compact_run *run, uint32_t number, bool found UNUSED)
{
	struct pageblock *pageblock = &run->zone->pageblocks[number];
	bool whole;

	spin_lock(&run->zone->lock);
	whole = pageblock->whole_order != 0;
	spin_unlock(&run->zone->lock);
	/* Freed by its owner meanwhile, a page may have come to rest on a per-CPU list. */
	if (!whole)
		pcp_drain_all(run->zone);
	spin_lock(&run->zone->lock);
	whole = pageblock->whole_order != 0;
	isolation_end_locked(run->zone, number);
	pageblock->compact_skip = !whole;
	if (whole)
		compact_capture_from_locked(run, number);
	spin_unlock(&run->zone->lock);
	run->emptied += whole;
}

static void fullest_end(struct compact_run *run)
{
	if (!run->contended && run->fullest.sources.next == run->fullest.sources.count)
		compact_forget_hints(run->zone);
}

const struct compact_scan compact_fullest = {
	.name = "fullest",
	.whole_or_nothing = true,
	.begin = fullest_begin,
	.next_source = fullest_next_source,
	.take_target = fullest_take_target,
	.source_done = fullest_source_done,
	.end = fullest_end,
};
