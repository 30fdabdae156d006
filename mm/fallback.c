/*
 * Falling back, by the rules of spec "fragmentation" (Linux 4.20).
 *
 * The largest block of another type goes first, so that one fallback serves many later requests; and then the whole
 * pageblock is claimed if it pays: if the block is at least half a pageblock's order, or if the request is one
 * that cannot move. A movable request that may not claim takes the smallest sufficient block instead: it does
 * little harm, for it can be moved away again.
 *
 * Claimed or not, the free blocks of a pageblock stay on one type's lists. But where Linux moves the free pages over
 * even if the pageblock keeps its type, the zone notes it here: what cannot move is in it now, and the next requests
 * of that type are served from the same one, not from the next largest block, which lies in yet another pageblock.
 * That is no further fallback, and no policy has a say in it.
 */
#include "mm/fallback.h"

#include "mm/buddy.h"
#include "mm/policy/policy.h"
#include "mm/trace.h"
#include "mm/vmstat.h"

static const uint8_t fallback_types[MIGRATE_PCPTYPES][2] = {
	[MIGRATE_UNMOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE},
	[MIGRATE_MOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE},
	[MIGRATE_RECLAIMABLE] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE},
};

static bool may_claim(unsigned int have, enum migratetype mt)
{
	return have >= PAGEBLOCK_ORDER / 2 || mt != MIGRATE_MOVABLE;
}

/* A type that has a block of this order, in the order of preference; MIGRATE_TYPES if none has. */
static unsigned int find_type(const struct zone *zone, unsigned int have, enum migratetype mt)
{
	for (unsigned int at = 0; at < ARRAY_SIZE(fallback_types[mt]); at++)
		if (zone->free_blocks[have][fallback_types[mt][at]])
			return fallback_types[mt][at];
	return MIGRATE_TYPES;
}

/* Owners whose pages can be moved; what LRU and movable-operations flags say elsewhere. */
static bool owner_is_movable(enum page_owner owner)
{
	return owner == PAGE_OWNER_PAGE_CACHE || owner == PAGE_OWNER_ANON || owner == PAGE_OWNER_BALLOON;
}

/* Under the zone's lock; tags of pages that are not free may change meanwhile. */
static unsigned int count_movable_pages(const struct zone *zone, uint32_t number)
{
	const uint8_t *tags = &zone->tags[number * PAGEBLOCK_PAGES];
	unsigned int pages = 0;

	if (!(zone->pageblocks[number].flags & PAGEBLOCK_TAGGED))
		return 0;
	for (unsigned int at = 0; at < PAGEBLOCK_PAGES; at++) {
		uint8_t tag = load_relaxed(&tags[at]);

		if (owner_is_movable(TAG_OWNER(tag)))
			pages += 1u << TAG_ORDER(tag);
	}
	return pages;
}

/* Pages in use that the new type would not mind: they count towards the half that a claim needs. */
static unsigned int compatible_pages(const struct zone *zone, uint32_t number, enum migratetype mt)
{
	const struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int movable = count_movable_pages(zone, number);

	if (mt == MIGRATE_MOVABLE)
		return movable;
	if (pageblock->migratetype == MIGRATE_MOVABLE)
		return PAGEBLOCK_PAGES - pageblock->free_pages - movable;
	return 0;
}

/* The pageblock changes its type, its free blocks with it, if enough of it is free or fits. */
static bool try_claim(struct zone *zone, uint32_t number, enum migratetype mt)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (pageblock->free_pages + compatible_pages(zone, number, mt) < PAGEBLOCK_PAGES / 2)
		return false;
	buddy_set_migratetype_locked(zone, number, mt);
	return true;
}

static void claim_whole(struct zone *zone, uint32_t number, unsigned int have, enum migratetype mt)
{
	if (have == MAX_ORDER)
		buddy_set_migratetype_locked(zone, number + 1, mt);
	buddy_set_migratetype_locked(zone, number, mt);
}

static bool claim(struct zone *zone, uint32_t number, unsigned int have, enum migratetype mt)
{
	if (have < PAGEBLOCK_ORDER)
		return may_claim(have, mt) && try_claim(zone, number, mt);
	claim_whole(zone, number, have, mt);
	return true;
}

/* May a block of this order be broken out of another type's pageblock? The policy hears of every attempt. */
static bool may_fragment(struct zone *zone, const struct alloc_request *request, unsigned int have)
{
	if (have >= PAGEBLOCK_ORDER)
		return true;
	if (request->flags & ALLOC_NOFRAGMENT)
		return false;
	if (request->policy && request->policy->fragmenting)
		request->policy->fragmenting(zone, request);
	return !(request->flags & ALLOC_NOSMALL) || have >= fragment_stall_order();
}

/* A whole pageblock is used up: time to make another, if the policy keeps some. */
static void whole_taken(struct zone *zone, const struct alloc_request *request)
{
	if (frag_policy_lacks_whole(request->policy, zone) && (request->gfp & GFP_KSWAPD_RECLAIM))
		kswapd_wake(&memory.nodes[zone->node], request->gfp, PAGEBLOCK_ORDER, zone->type);
}

/* Somebody in the pageblock is as much out of place there as one more of type @mt would be. */
static bool is_mixed(const struct zone *zone, uint32_t number, enum migratetype mt)
{
	unsigned int movable = count_movable_pages(zone, number);

	return mt == MIGRATE_MOVABLE ? movable > 0 : zone->pageblocks[number].free_pages + movable < PAGEBLOCK_PAGES;
}

/* From the pageblock that its type has mixed in, unless that was left meanwhile or is for special use. */
static uint32_t take_mixed(struct zone *zone, const struct alloc_request *request)
{
	uint32_t number = zone->mixes_in[request->mt] - 1;

	if (!zone->mixes_in[request->mt] || request->order >= PAGEBLOCK_ORDER ||
	    zone->pageblocks[number].migratetype >= MIGRATE_PCPTYPES || !is_mixed(zone, number, request->mt))
		return ZONE_INDEX_NONE;
	return buddy_take_within_locked(zone, number, request->order);
}

static uint32_t take_foreign(struct zone *zone, const struct alloc_request *request, unsigned int have,
			     enum migratetype from)
{
	uint32_t number, index;
	bool claimed;

	if (!may_fragment(zone, request, have))
		return ZONE_INDEX_NONE;
	number = block_set_first(&zone->shape, zone_set(zone, have, from));
	claimed = claim(zone, number, have, request->mt);
	index = claimed ? buddy_take_locked(zone, request->order, request->mt)
			: buddy_take_from_locked(zone, have, from, request->order);
	if (!claimed && may_claim(have, request->mt))
		zone->mixes_in[request->mt] = number + 1;
	if (have >= PAGEBLOCK_ORDER)
		whole_taken(zone, request);
	else
		vm_event(fragmenting_fallback);
	trace_page_alloc_extfrag(zone_page(zone, index), request->order, have, request->mt, from, claimed);
	return index;
}

uint32_t fallback_take_locked(struct zone *zone, const struct alloc_request *request)
{
	unsigned int from, order = request->order;
	enum migratetype mt = request->mt;
	uint32_t index;

	if (mt >= MIGRATE_PCPTYPES)
		return ZONE_INDEX_NONE;
	index = take_mixed(zone, request);
	if (index != ZONE_INDEX_NONE)
		return index;
	for (unsigned int have = NR_ORDERS; have-- > order;) {
		from = find_type(zone, have, mt);
		if (from == MIGRATE_TYPES)
			continue;
		if (may_claim(have, mt))
			return take_foreign(zone, request, have, from);
		break; /* movable, and all there is is small: the smallest then */
	}
	for (unsigned int have = order; have < NR_ORDERS; have++) {
		from = find_type(zone, have, mt);
		if (from != MIGRATE_TYPES)
			return take_foreign(zone, request, have, from);
	}
	return ZONE_INDEX_NONE;
}
