/*
 * Magazines of blocks, per zone and CPU.
 *
 * The array holds indices, not list links, so that freeing a page that is cold in the cache does not touch its
 * structure: of the page only its tag byte is read and written. What is taken out was put in last and is warm; what
 * a full magazine drains is its oldest, coldest batch, from the bottom.
 */
#include "mm/pcp.h"

#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/fallback.h"
#include "mm/highatomic.h"
#include "mm/trace.h"

/* While others use them, who may see one new and one old. */
static void set_limits(struct zone *zone, unsigned int class, uint64_t high, uint64_t batch)
{
	WRITE_ONCE(zone->pcp_limits[class].high, (uint16_t)high);
	WRITE_ONCE(zone->pcp_limits[class].batch, (uint16_t)MAX(batch, 1ul));
}

/*
 * A magazine holds at most a thousandth of the zone, one of whole pageblocks a 256th: they are worth their batches, and
 * those go in pairs, blocks of the top order. Where a single one is all it could hold there is none: it would only keep
 * a pageblock from its neighbour.
 */
void pcp_set_limits(struct zone *zone)
{
	for (unsigned int class = 0; class < PCP_CLASSES; class ++) {
		unsigned int order = class < PCP_SMALL_ORDERS ? class : PAGEBLOCK_ORDER;
		uint64_t share = zone->managed_pages / (class < PCP_SMALL_ORDERS ? 1024 : 256) >> order;
		uint64_t high = MIN(share, (uint64_t)pcp_capacity(order));
		uint64_t batch = high / (class < PCP_SMALL_ORDERS ? 4 : 2);

		if (order == PAGEBLOCK_ORDER && high == 1)
			high = 0;
		set_limits(zone, class, high, order == PAGEBLOCK_ORDER && batch > 1 ? ALIGN_UP(batch, 2ul) : batch);
	}
}

void pcp_set_high(struct zone *zone, uint64_t fraction)
{
	uint64_t high = fraction ? zone->managed_pages / fraction / zone->nr_cpus : UINT64_MAX;

	pcp_set_limits(zone);
	high = MIN(high, (uint64_t)pcp_limits(zone, 0).high);
	set_limits(zone, 0, high, high / 4);
}

void pcp_init(struct zone *zone)
{
	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++) {
		memset(&zone->pcps[cpu], 0, offsetof(struct pcp, items));
		cpu_claim_init(&zone->pcps[cpu].claim, "pcp");
	}
}

/* The magazines of this CPU; preemption is off until pcp_leave(). */
static ALWAYS_INLINE struct pcp *pcp_enter(struct zone *zone)
{
	struct pcp *pcp;

	preempt_disable();
	pcp = &zone->pcps[cpu_id()];
	cpu_claim_enter(&pcp->claim);
	return pcp;
}

/* ---- taking -------------------------------------------------------------------------------------------------------
 */

uint32_t pcp_take(struct zone *zone, unsigned int order, enum migratetype mt, enum page_owner owner)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index = ZONE_INDEX_NONE;

	(void)pcp_pop(zone, pcp, order, mt, owner, &index);
	pcp_leave(pcp);
	return index;
}

uint32_t pcp_take_pages(struct zone *zone, enum migratetype mt, enum page_owner owner, uint32_t count,
			struct page **pages)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index, taken = 0;

	while (taken < count && pcp_pop(zone, pcp, 0, mt, owner, &index))
		pages[taken++] = zone_page(zone, index);
	pcp_leave(pcp);
	return taken;
}

static ALWAYS_INLINE uint32_t take_batch(struct zone *zone, unsigned int order, enum migratetype mt, uint32_t *items,
					 uint32_t count)
{
	uint32_t taken = 0;

	if (order == 0)
		return buddy_take_pages_locked(zone, mt, items, count);
	if (order == PAGEBLOCK_ORDER)
		return buddy_take_pageblocks_locked(zone, mt, items, count);
	while (taken < count) {
		items[taken] = buddy_take_locked(zone, order, mt);
		if (items[taken] == ZONE_INDEX_NONE)
			break;
		taken++;
	}
	return taken;
}

/* Movable requests keep the free pages of CMA areas at half of the zone's. */
static bool cma_comes_first(const struct zone *zone, enum migratetype mt)
{
	return mt == MIGRATE_MOVABLE && zone->cma_pages && zone_free_of_type(zone, MIGRATE_CMA) > zone->free_pages / 2;
}

/* Before falling back they use what is left of them. */
static ALWAYS_INLINE uint32_t take_batch_or_cma(struct zone *zone, unsigned int order, enum migratetype mt,
						uint32_t *items, uint32_t count)
{
	bool cma_first = unlikely(cma_comes_first(zone, mt));
	uint32_t taken = take_batch(zone, order, cma_first ? MIGRATE_CMA : mt, items, count);

	if (taken || mt != MIGRATE_MOVABLE || !zone->cma_pages)
		return taken;
	return take_batch(zone, order, cma_first ? mt : MIGRATE_CMA, items, count);
}

/* One fallback at most: if it claimed a pageblock, the rest of the batch comes from there. */
static ALWAYS_INLINE uint32_t take_batch_or_fall_back(struct zone *zone, const struct alloc_request *request,
						      unsigned int order, uint32_t *items, uint32_t count)
{
	uint32_t taken = take_batch_or_cma(zone, order, request->mt, items, count);

	if (taken)
		return taken;
	items[0] = fallback_take_locked(zone, request);
	if (items[0] == ZONE_INDEX_NONE)
		return 0;
	return 1 + take_batch(zone, order, request->mt, items + 1, count - 1);
}

#define BLOCKS_AHEAD 12u

/*
 * Whole pageblocks come lowest first, so the next requests will probably get those behind this one, and each will
 * write a page structure and a tag, and the refill a pageblock, that nobody has looked at for long.
 */
static ALWAYS_INLINE void expect_next(const struct zone *zone, uint32_t index)
{
	uint32_t later = index + BLOCKS_AHEAD * PAGEBLOCK_PAGES;

	if (later >= zone->spanned_pages)
		return;
	__builtin_prefetch(zone_page(zone, later), 1);
	__builtin_prefetch(&zone->tags[later], 1);
	__builtin_prefetch(&zone->pageblocks[later / PAGEBLOCK_PAGES].flags, 1);
}

#define MOST_AT_ONCE (PCP_SINGLE / 4) /* the largest batch */

/* A batch; a magazine of whole pageblocks, which has room for few, fills up, in pairs: half of it is gone at once. */
static ALWAYS_INLINE uint32_t blocks_to_refill(const struct zone *zone, unsigned int order)
{
	struct pcp_limits limits = pcp_limits(zone, order);

	return order == PAGEBLOCK_ORDER ? MAX(ALIGN_DOWN((uint32_t)limits.high, 2u), 1u) : limits.batch;
}

/* A batch is taken in rising order, and the magazine gives its lowest first. */
static ALWAYS_INLINE void refill(struct zone *zone, struct pcp *pcp, const struct alloc_request *request,
				 unsigned int order)
{
	enum migratetype mt = request->mt;
	uint32_t *items = pcp_items(pcp, order, mt);
	uint32_t batch[MOST_AT_ONCE], taken, want = blocks_to_refill(zone, order);

	spin_lock(&zone->lock);
	taken = take_batch_or_fall_back(zone, request, order, batch, want);
	spin_unlock(&zone->lock);
	for (uint32_t at = 0; at < taken; at++) {
		uint32_t index = batch[at];

		/* Its structure will be written when it is handed out: let the misses of a batch overlap. */
		__builtin_prefetch(zone_page(zone, index), 1);
		if (order == PAGEBLOCK_ORDER)
			expect_next(zone, index);
		store_relaxed(&zone->tags[index], TAG_PCP);
		trace_page_alloc_zone_locked(zone_page(zone, index), order, mt, true);
		items[taken - 1 - at] = (uint32_t)zone->start_pfn + index;
	}
	WRITE_ONCE(pcp->count[pcp_list(order, mt)], (uint16_t)taken);
	pcp->refilled_batches++;
}

static NOINLINE void refill_list(struct zone *zone, struct pcp *pcp, const struct alloc_request *request)
{
	if (request->order == PAGEBLOCK_ORDER)
		refill(zone, pcp, request, PAGEBLOCK_ORDER);
	else
		refill(zone, pcp, request, request->order);
}

uint32_t pcp_refill_and_take(struct zone *zone, const struct alloc_request *request)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index = ZONE_INDEX_NONE;

	if (!pcp->count[pcp_list(request->order, request->mt)])
		refill_list(zone, pcp, request);
	(void)pcp_pop(zone, pcp, request->order, request->mt, request->owner, &index);
	pcp_leave(pcp);
	return index;
}

/* An atomic request may use what is reserved for such; then its own type's lists; then the others'. */
static uint32_t take_from_buddy_locked(struct zone *zone, const struct alloc_request *request)
{
	uint32_t index = ZONE_INDEX_NONE;

	if (request->flags & ALLOC_HIGHATOMIC)
		index = buddy_take_locked(zone, request->order, MIGRATE_HIGHATOMIC);
	if (index == ZONE_INDEX_NONE)
		take_batch_or_fall_back(zone, request, request->order, &index, 1);
	if (index != ZONE_INDEX_NONE && (request->flags & ALLOC_MAY_RESERVE))
		highatomic_reserve_locked(zone, index);
	return index;
}

uint32_t pcp_bypass_take(struct zone *zone, const struct alloc_request *request)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index;

	spin_lock(&zone->lock);
	index = take_from_buddy_locked(zone, request);
	spin_unlock(&zone->lock);
	if (index != ZONE_INDEX_NONE) {
		trace_page_alloc_zone_locked(zone_page(zone, index), request->order, request->mt, false);
		pcp_hand_out(zone, pcp, index, request->order, request->owner);
	}
	pcp_leave(pcp);
	return index;
}

uint32_t pcp_bypass_take_many(struct zone *zone, const struct alloc_request *request, uint32_t *indices, uint32_t count)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t taken;

	spin_lock(&zone->lock);
	taken = take_batch_or_cma(zone, request->order, request->mt, indices, count);
	spin_unlock(&zone->lock);
	for (uint32_t at = 0; at < taken; at++) {
		trace_page_alloc_zone_locked(zone_page(zone, indices[at]), request->order, request->mt, false);
		pcp_hand_out(zone, pcp, indices[at], request->order, request->owner);
	}
	pcp_leave(pcp);
	return taken;
}

void pcp_adopt(struct zone *zone, uint32_t index, unsigned int order, enum page_owner owner)
{
	struct pcp *pcp = pcp_enter(zone);

	pcp_hand_out(zone, pcp, index, order, owner);
	pcp_leave(pcp);
}

/* ---- giving -------------------------------------------------------------------------------------------------------
 */

/* The oldest @count blocks of a magazine go back. */
static ALWAYS_INLINE void drain(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt,
				uint32_t count)
{
	uint32_t *items = pcp_items(pcp, order, mt);
	uint16_t *held = &pcp->count[pcp_list(order, mt)];

	for (uint32_t at = 0; at < count; at++) {
		items[at] -= (uint32_t)zone->start_pfn;
		store_relaxed(&zone->tags[items[at]], TAG_NONE);
		trace_page_pcpu_drain(zone_page(zone, items[at]), order, mt);
	}
	spin_lock(&zone->lock);
	if (order == 0)
		buddy_free_pages_locked(zone, items, count);
	else if (order == PAGEBLOCK_ORDER)
		buddy_free_pageblocks_locked(zone, items, count);
	else
		for (uint32_t at = 0; at < count; at++)
			buddy_free_locked(zone, items[at], order);
	spin_unlock(&zone->lock);
	WRITE_ONCE(*held, (uint16_t)(*held - count));
	memmove(items, items + count, *held * sizeof(*items));
	pcp->drained_batches++;
}

static NOINLINE void drain_list(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt,
				uint32_t count)
{
	if (order == PAGEBLOCK_ORDER)
		drain(zone, pcp, PAGEBLOCK_ORDER, mt, count);
	else
		drain(zone, pcp, order, mt, count);
}

static void NORETURN panic_bad_free(const struct zone *zone, uint32_t index, unsigned int order, uint8_t tag)
{
	uint64_t pfn = zone->start_pfn + index;

	if (tag == TAG_PCP)
		panic("double free: pfn 0x%lx order %u is free already, on a per-CPU list", pfn, order);
	if (TAG_OWNER(tag) == PAGE_OWNER_NONE)
		panic("double free: pfn 0x%lx order %u is free already, or no block begins there", pfn, order);
	panic("bad free: pfn 0x%lx was allocated with order %u and is freed with order %u", pfn, TAG_ORDER(tag), order);
}

/* A batch of the @held, and one more rather than tear a block of the top order apart. */
static ALWAYS_INLINE uint32_t batch_to_drain(const uint32_t *items, unsigned int order, uint32_t batch, uint32_t held)
{
	if (batch >= held)
		return held;
	return batch + (order == PAGEBLOCK_ORDER && IS_ALIGNED(items[batch - 1], 1u << MAX_ORDER) &&
			items[batch] == items[batch - 1] + PAGEBLOCK_PAGES);
}

static ALWAYS_INLINE void push_or_drain(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order,
					enum migratetype mt)
{
	uint16_t held = pcp->count[pcp_list(order, mt)];
	struct pcp_limits limits = pcp_limits(zone, order);

	if (held >= limits.high)
		drain_list(zone, pcp, order, mt, batch_to_drain(pcp_items(pcp, order, mt), order, limits.batch, held));
	pcp_push(zone, pcp, zone->start_pfn + index, order, mt);
}

static NOINLINE void give_to_buddy(struct zone *zone, uint32_t index, unsigned int order)
{
	store_relaxed(&zone->tags[index], TAG_NONE);
	spin_lock(&zone->lock);
	buddy_free_locked(zone, index, order);
	spin_unlock(&zone->lock);
}

static void count_given(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order)
{
	uint8_t tag = load_relaxed(&zone->tags[index]);

	if (unlikely(!pcp_tag_is_held(tag, order)))
		panic_bad_free(zone, index, order, tag);
	pcp_take_back(pcp, tag, order);
}

void pcp_bypass_give(struct zone *zone, uint32_t index, unsigned int order)
{
	struct pcp *pcp = pcp_enter(zone);

	count_given(zone, pcp, index, order);
	give_to_buddy(zone, index, order);
	pcp_leave(pcp);
}

static ALWAYS_INLINE void give(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order)
{
	unsigned int mt = READ_ONCE(zone->pageblocks[index / PAGEBLOCK_PAGES].migratetype);

	count_given(zone, pcp, index, order);
	if (pcp_serves(order) && mt < MIGRATE_PCPTYPES && pcp_limits(zone, order).high)
		push_or_drain(zone, pcp, index, order, mt);
	else
		give_to_buddy(zone, index, order);
}

void pcp_give(struct zone *zone, uint32_t index, unsigned int order)
{
	struct pcp *pcp = pcp_enter(zone);

	if (order == PAGEBLOCK_ORDER)
		give(zone, pcp, index, PAGEBLOCK_ORDER);
	else
		give(zone, pcp, index, order);
	pcp_leave(pcp);
}

#define GIVE_AHEAD 8u /* pages whose tag and pageblock are on their way to the cache while others are given back */

void pcp_give_pages(struct zone *zone, struct page **pages, uint32_t count)
{
	struct pcp *pcp = pcp_enter(zone);

	for (uint32_t at = 0; at < count; at++) {
		uint32_t later = zone_index(zone, pages[MIN(at + GIVE_AHEAD, count - 1)]);

		__builtin_prefetch(&zone->tags[later], 1);
		__builtin_prefetch(&zone->pageblocks[later / PAGEBLOCK_PAGES].migratetype);
		give(zone, pcp, zone_index(zone, pages[at]), 0);
	}
	pcp_leave(pcp);
}

static void drain_order(struct zone *zone, struct pcp *pcp, unsigned int order)
{
	for (unsigned int mt = 0; mt < MIGRATE_PCPTYPES; mt++)
		if (pcp->count[pcp_list(order, mt)])
			drain_list(zone, pcp, order, mt, pcp->count[pcp_list(order, mt)]);
}

static void drain_lists(struct zone *zone, struct pcp *pcp)
{
	for (unsigned int order = 0; order < PCP_SMALL_ORDERS; order++)
		drain_order(zone, pcp, order);
	drain_order(zone, pcp, PAGEBLOCK_ORDER);
}

/* Without a lock: a page that comes in just now may be missed. */
static bool is_empty(const struct pcp *pcp)
{
	for (unsigned int list = 0; list < PCP_LISTS; list++)
		if (READ_ONCE(pcp->count[list]))
			return false;
	return true;
}

static void drain_own(struct zone *zone)
{
	struct pcp *pcp = pcp_enter(zone);

	drain_lists(zone, pcp);
	pcp_leave(pcp);
}

void pcp_drain(struct zone *zone, unsigned int cpu)
{
	struct pcp *pcp = &zone->pcps[cpu];

	if (is_empty(pcp))
		return;
	preempt_disable();
	if (cpu == cpu_id()) {
		drain_own(zone);
	} else if (cpu_irqs_enabled()) {
		cpu_claim_begin(&pcp->claim, cpu);
		drain_lists(zone, pcp);
		cpu_claim_end(&pcp->claim);
	}
	preempt_enable();
}

void pcp_drain_all(struct zone *zone)
{
	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
		pcp_drain(zone, cpu);
}

uint64_t pcp_pages(const struct zone *zone)
{
	uint64_t pages = 0;

	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
		for (unsigned int list = 0; list < PCP_LISTS; list++) {
			unsigned int class = list / MIGRATE_PCPTYPES;
			unsigned int order = class < PCP_SMALL_ORDERS ? class : PAGEBLOCK_ORDER;

			pages += (uint64_t)READ_ONCE(zone->pcps[cpu].count[list]) << order;
		}
	return pages;
}
