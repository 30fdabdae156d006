/*
 * Per-CPU lists: magazines of blocks in front of a zone's buddy lists, for small orders and for whole pageblocks.
 *
 * A magazine is an array of frame numbers, last in first out; when it is empty or full, a batch moves under the
 * zone's lock. Pages in it are allocated as far as the buddy system is concerned, and tagged TAG_PCP.
 * The same structure counts what its CPU allocated and freed, and for whom, so that a page is accounted for in the
 * same cache lines that serve it.
 *
 * Locking: a CPU's magazines are its own, another may claim them to drain them (kernel/cpu_claim.h).
 */
#pragma once

#include "kernel/cpu_claim.h"
#include "mm/zone.h"

struct alloc_request;

#define PCP_LISTS (PCP_CLASSES * MIGRATE_PCPTYPES)
/* The most that a magazine holds: of single pages, of other small blocks, of whole pageblocks. */
#define PCP_SINGLE 256u
#define PCP_SMALL  32u
#define PCP_WHOLE  8u
#define PCP_ITEMS  (MIGRATE_PCPTYPES * (PCP_SINGLE + (PCP_SMALL_ORDERS - 1) * PCP_SMALL + PCP_WHOLE))

struct pcp {
	struct cpu_claim claim; /* for claimants zone->lock comes behind its lock */
	uint16_t count[PCP_LISTS];
	uint64_t allocated_pages, freed_pages; /* ever, by this CPU from this zone */
	int64_t owned_pages[NR_PAGE_OWNERS];   /* allocated less freed: only the sum over CPUs means something */
	uint64_t drained_batches, refilled_batches;
	uint32_t items[PCP_ITEMS]; /* pfns */
} CACHE_LINE_ALIGNED;

static inline unsigned int pcp_class(unsigned int order)
{
	return order < PCP_SMALL_ORDERS ? order : PCP_SMALL_ORDERS;
}

static inline bool pcp_serves(unsigned int order)
{
	return order < PCP_SMALL_ORDERS || order == PAGEBLOCK_ORDER;
}

static ALWAYS_INLINE unsigned int pcp_list(unsigned int order, enum migratetype mt)
{
	return pcp_class(order) * MIGRATE_PCPTYPES + mt;
}

static ALWAYS_INLINE unsigned int pcp_capacity(unsigned int order)
{
	return order == 0 ? PCP_SINGLE : order == PAGEBLOCK_ORDER ? PCP_WHOLE : PCP_SMALL;
}

/* A class behind the other, in it the types. */
static ALWAYS_INLINE uint32_t *pcp_items(struct pcp *pcp, unsigned int order, enum migratetype mt)
{
	uint32_t *items = pcp->items + mt * pcp_capacity(order);

	return order ? items + MIGRATE_PCPTYPES * (PCP_SINGLE + (pcp_class(order) - 1) * PCP_SMALL) : items;
}

void pcp_init(struct zone *zone);
/* The limits of a zone's magazines follow from its size. */
void pcp_set_limits(struct zone *zone);
/* The same, but a CPU's single pages are at most 1/@fraction of the zone, shared out among the CPUs; 0: no such limit.
 */
void pcp_set_high(struct zone *zone, uint64_t fraction);
static inline struct pcp_limits pcp_limits(const struct zone *zone, unsigned int order)
{
	const struct pcp_limits *limits = &zone->pcp_limits[pcp_class(order)];

	return (struct pcp_limits){READ_ONCE(limits->high), READ_ONCE(limits->batch)};
}
/* A block from the magazine for @owner; ZONE_INDEX_NONE if it is empty. @order is one that pcp_serves(). */
uint32_t pcp_take(struct zone *zone, unsigned int order, enum migratetype mt, enum page_owner owner);
/* This CPU's magazine has one, if the thread stays here and nobody drains it: worth entering it for. */
static inline bool pcp_has(const struct zone *zone, unsigned int order, enum migratetype mt)
{
	return READ_ONCE(zone->pcps[cpu_id()].count[pcp_list(order, mt)]);
}
/* The same, first filling the magazine from the buddy lists. */
uint32_t pcp_refill_and_take(struct zone *zone, const struct alloc_request *request);
/* Any order, straight from the buddy lists. */
uint32_t pcp_bypass_take(struct zone *zone, const struct alloc_request *request);
/* Up to @count of them at once, off its own type's lists (and CMA areas') alone; how many. */
uint32_t pcp_bypass_take_many(struct zone *zone, const struct alloc_request *request, uint32_t *indices,
			      uint32_t count);
/* A block that was taken from the buddy lists becomes @owner's: for who chose it himself. */
void pcp_adopt(struct zone *zone, uint32_t index, unsigned int order, enum page_owner owner);
/* Up to @count single pages from the magazine, at once; how many there were. */
uint32_t pcp_take_pages(struct zone *zone, enum migratetype mt, enum page_owner owner, uint32_t count,
			struct page **pages);
/* Gives back a block of any order. A panic if it is not an allocated block of that order. */
void pcp_give(struct zone *zone, uint32_t index, unsigned int order);
/* The same for single pages, at once. */
void pcp_give_pages(struct zone *zone, struct page **pages, uint32_t count);
/* The same, straight to the buddy lists, where it merges at once. */
void pcp_bypass_give(struct zone *zone, uint32_t index, unsigned int order);
/*
 * Everything on @cpu's magazines, or on all CPUs', goes back to the buddy lists. Any CPU may call; with interrupts off
 * it reaches its own only.
 */
void pcp_drain(struct zone *zone, unsigned int cpu);
void pcp_drain_all(struct zone *zone);
/* Pages on all magazines; exact only while nobody uses them. */
uint64_t pcp_pages(const struct zone *zone);

/* ---- the common case, inline ---------------------------------------------------------------------------------------
 *
 * For an @order that the compiler knows, where this CPU's magazine has a block, or room for one, and nobody claims it.
 * Else nothing is changed, and pcp_take() and pcp_give() know what to do. No calls in here: whoever makes none before
 * the uncommon case has no registers to save.
 */

/* True: *@pcp are this CPU's magazines, preemption is off, until pcp_leave(). */
static ALWAYS_INLINE bool pcp_try_enter(const struct zone *zone, struct pcp **pcp)
{
	int cpu;

	preempt_disable();
	cpu = cpu_id_if_known();
	*pcp = &zone->pcps[cpu];
	if (likely(cpu >= 0) && likely(cpu_claim_try_enter(&(*pcp)->claim)))
		return true;
	preempt_enable();
	return false;
}

static ALWAYS_INLINE void pcp_leave(struct pcp *pcp)
{
	cpu_claim_leave(&pcp->claim);
	preempt_enable();
}

/* The counters are read by others at any time. */
static ALWAYS_INLINE void pcp_count_owned(struct pcp *pcp, enum page_owner owner, int pages)
{
	int64_t *owned = &pcp->owned_pages[owner];

	WRITE_ONCE(*owned, *owned + pages);
}

/* The tag says whose it is from now on. */
static ALWAYS_INLINE void pcp_hand_out(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order,
				       enum page_owner owner)
{
	store_relaxed(&zone->tags[index], TAG(owner, order));
	pcp_count_owned(pcp, owner, 1 << order);
	WRITE_ONCE(pcp->allocated_pages, pcp->allocated_pages + (1u << order));
}

/* False: the magazine is empty. */
static ALWAYS_INLINE bool pcp_pop(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt,
				  enum page_owner owner, uint32_t *index)
{
	uint16_t *held = &pcp->count[pcp_list(order, mt)];
	unsigned int count = *held;

	if (unlikely(!count))
		return false;
	*index = pcp_items(pcp, order, mt)[--count] - (uint32_t)zone->start_pfn;
	WRITE_ONCE(*held, (uint16_t)count);
	pcp_hand_out(zone, pcp, *index, order, owner);
	return true;
}

/* False: it is not the common case. */
static ALWAYS_INLINE bool pcp_take_common(struct zone *zone, unsigned int order, enum migratetype mt,
					  enum page_owner owner, uint32_t *index)
{
	struct pcp *pcp;
	bool taken;

	if (unlikely(!pcp_try_enter(zone, &pcp)))
		return false;
	taken = pcp_pop(zone, pcp, order, mt, owner, index);
	pcp_leave(pcp);
	return taken;
}

/* It was allocated with this order, and belongs to somebody: TAG(1..15, @order). */
static ALWAYS_INLINE bool pcp_tag_is_held(unsigned int tag, unsigned int order)
{
	return tag - TAG(1, order) < 15;
}

static ALWAYS_INLINE void pcp_take_back(struct pcp *pcp, unsigned int tag, unsigned int order)
{
	pcp_count_owned(pcp, TAG_OWNER(tag), -(1 << order));
	WRITE_ONCE(pcp->freed_pages, pcp->freed_pages + (1u << order));
}

/* There is room. */
static ALWAYS_INLINE void pcp_push(struct zone *zone, struct pcp *pcp, uint64_t pfn, unsigned int order,
				   enum migratetype mt)
{
	uint16_t *held = &pcp->count[pcp_list(order, mt)];
	unsigned int count = *held;

	store_relaxed(&zone->tags[pfn - zone->start_pfn], TAG_PCP);
	pcp_items(pcp, order, mt)[count] = (uint32_t)pfn;
	WRITE_ONCE(*held, (uint16_t)(count + 1));
}

/* False: there is no room, or the block is not what it is said to be. */
static ALWAYS_INLINE bool pcp_push_if_room(struct zone *zone, struct pcp *pcp, uint64_t pfn, unsigned int order,
					   enum migratetype mt)
{
	unsigned int tag = load_relaxed(&zone->tags[pfn - zone->start_pfn]);

	if (unlikely(!pcp_tag_is_held(tag, order) ||
		     pcp->count[pcp_list(order, mt)] >= READ_ONCE(zone->pcp_limits[pcp_class(order)].high)))
		return false;
	pcp_take_back(pcp, tag, order);
	pcp_push(zone, pcp, pfn, order, mt);
	return true;
}

/* False: it is not the common case. */
static ALWAYS_INLINE bool pcp_give_common(struct zone *zone, uint64_t pfn, unsigned int order)
{
	uint64_t index = pfn - zone->start_pfn;
	enum migratetype mt = READ_ONCE(zone->pageblocks[index / PAGEBLOCK_PAGES].migratetype);
	struct pcp *pcp;
	bool given;

	if (unlikely(!pcp_try_enter(zone, &pcp)))
		return false;
	/* A branch, which is predicted, instead of an address that waits for what may be a miss. */
	if (likely(mt == MIGRATE_MOVABLE))
		given = pcp_push_if_room(zone, pcp, pfn, order, MIGRATE_MOVABLE);
	else
		given = mt < MIGRATE_PCPTYPES && pcp_push_if_room(zone, pcp, pfn, order, mt);
	pcp_leave(pcp);
	return given;
}
