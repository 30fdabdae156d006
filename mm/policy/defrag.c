/*
 * defrag: whole free pageblocks are what memory is managed by; mixing is what happens instead of failing.
 *
 * Every zone keeps some pageblocks free as a whole, and kswapd and kcompactd produce new ones as they are used up.
 * Requests that cannot move take a whole pageblock when theirs are full, so they never mix. Movable ones do not break
 * into that reserve as long as they can get something by reclaim: they live off the pages that reclaim frees in their
 * own pageblocks. Only the last stage, or an atomic request's second one, lifts all restrictions.
 */
#include "mm/policy/policy.h"

#include "mm/kswapd.h"
#include "mm/watermark.h"

static uint32_t restrictions(const struct alloc_request *request)
{
	bool movable = request->mt == MIGRATE_MOVABLE && request->order < PAGEBLOCK_ORDER;
	uint32_t keep = ALLOC_NOFRAGMENT | (movable ? ALLOC_KEEP_WHOLE : 0);

	switch (request->stage) {
	case ALLOC_FAST:
		return keep | ALLOC_LOCAL;
	case ALLOC_FAST_AGAIN:
	case ALLOC_SLOW:
		return keep;
	case ALLOC_SLOW_AGAIN:
		return ALLOC_NOFRAGMENT;
	case ALLOC_LAST:
		break;
	}
	return 0;
}

/* Enough for the requests that come while more is being made: a 64th of the zone, within 4 and 64 pageblocks. */
static uint64_t whole_pages_wanted(const struct zone *zone)
{
	uint64_t blocks = zone->managed_pages / PAGEBLOCK_PAGES, wanted = MIN(blocks / 64, 64ul);

	if (blocks < 64)
		return 0;
	return MAX(wanted, 4ul) * PAGEBLOCK_PAGES;
}

static const struct frag_policy defrag = {
	.name = "defrag",
	.restrictions = restrictions,
	.fragmenting = frag_boost,
	.whole_pages_wanted = whole_pages_wanted,
};
FRAG_POLICY(defrag);
