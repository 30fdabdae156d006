/*
 * boost: every mixing below a pageblock's order makes kswapd free a pageblock's worth of pages (patch 4).
 *
 * The next request then probably finds a pageblock that can be claimed as a whole, or pages of its own type.
 */
#include "mm/policy/policy.h"

#include "mm/kswapd.h"
#include "mm/watermark.h"

void frag_boost(struct zone *zone, const struct alloc_request *request)
{
	watermark_boost_locked(zone, PAGEBLOCK_PAGES);
	if (request->gfp & GFP_KSWAPD_RECLAIM)
		kswapd_wake(&memory.nodes[zone->node], request->gfp, 0, zone->type);
}

static const struct frag_policy boost = {
	.name = "boost",
	.restrictions = frag_restrict_first_walk,
	.fragmenting = frag_boost,
};
FRAG_POLICY(boost);
