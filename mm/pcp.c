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
#include "mm/trace.h"

#include <arch/cpu.h>

static const uint16_t class_capacity[PCP_CLASSES] = {256, 32, 32, 32, 8};
/* Where the items of a class's first list begin. */
static const uint16_t class_items[PCP_CLASSES] = {0, 768, 864, 960, 1056};

static unsigned int class_of(unsigned int order)
{
	return order < PCP_SMALL_ORDERS ? order : PCP_SMALL_ORDERS;
}

static unsigned int list_of(unsigned int order, enum migratetype mt)
{
	return class_of(order) * MIGRATE_PCPTYPES + mt;
}

static uint32_t *items_of(struct pcp *pcp, unsigned int order, enum migratetype mt)
{
	unsigned int class = class_of(order);

	return &pcp->items[class_items[class] + mt * class_capacity[class]];
}

/* All magazines of a CPU together hold at most about 1 % of a small zone. */
struct pcp_limits pcp_limits(const struct zone *zone, unsigned int order)
{
	unsigned int capacity = class_capacity[class_of(order)];
	uint64_t share = zone->managed_pages / 1024 >> order;
	unsigned int high = (unsigned int)MIN(share, (uint64_t)capacity);

	return (struct pcp_limits){.high = (uint16_t)high, .batch = (uint16_t)MAX(high / 4, 1u)};
}

void pcp_init(struct zone *zone)
{
	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++) {
		memset(&zone->pcps[cpu], 0, offsetof(struct pcp, items));
		spin_lock_init(&zone->pcps[cpu].lock, "pcp");
	}
}

/* The magazines of this CPU; preemption is off until pcp_leave(). */
static struct pcp *pcp_enter(struct zone *zone)
{
	struct pcp *pcp;

	preempt_disable();
	pcp = &zone->pcps[cpu_id()];
	spin_lock(&pcp->lock);
	return pcp;
}

static void pcp_leave(struct pcp *pcp)
{
	spin_unlock(&pcp->lock);
	preempt_enable();
}

/* ---- taking ------------------------------------------------------------------------------------------------------- */

static void hand_out(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order, enum page_owner owner)
{
	store_relaxed(&zone->tags[index], TAG(owner, order));
	pcp->owned_pages[owner] += 1 << order;
	pcp->allocated_pages += 1u << order;
}

static uint32_t pop(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt, enum page_owner owner)
{
	uint16_t *count = &pcp->count[list_of(order, mt)];
	uint32_t index;

	if (!*count)
		return ZONE_INDEX_NONE;
	index = items_of(pcp, order, mt)[--*count];
	hand_out(zone, pcp, index, order, owner);
	return index;
}

uint32_t pcp_take(struct zone *zone, unsigned int order, enum migratetype mt, enum page_owner owner)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index = pop(zone, pcp, order, mt, owner);

	pcp_leave(pcp);
	return index;
}

static uint32_t take_batch(struct zone *zone, unsigned int order, enum migratetype mt, uint32_t *items, uint32_t count)
{
	uint32_t taken = 0;

	if (order == 0)
		return buddy_take_pages_locked(zone, mt, items, count);
	while (taken < count) {
		items[taken] = buddy_take_locked(zone, order, mt);
		if (items[taken] == ZONE_INDEX_NONE)
			break;
		taken++;
	}
	return taken;
}

/* One fallback at most: if it claimed a pageblock, the rest of the batch comes from there. */
static uint32_t take_batch_or_fall_back(struct zone *zone, unsigned int order, enum migratetype mt, uint32_t *items,
					uint32_t count)
{
	uint32_t taken = take_batch(zone, order, mt, items, count);

	if (taken)
		return taken;
	items[0] = fallback_take_locked(zone, order, mt);
	if (items[0] == ZONE_INDEX_NONE)
		return 0;
	return 1 + take_batch(zone, order, mt, items + 1, count - 1);
}

/* From a batch taken in rising order to a magazine that gives the lowest first. */
static void reverse(uint32_t *items, uint32_t count)
{
	for (uint32_t at = 0; at < count / 2; at++) {
		uint32_t item = items[at];

		items[at] = items[count - 1 - at];
		items[count - 1 - at] = item;
	}
}

static void refill(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt)
{
	uint32_t *items = items_of(pcp, order, mt);
	uint32_t taken, want = pcp_limits(zone, order).batch;

	spin_lock(&zone->lock);
	taken = take_batch_or_fall_back(zone, order, mt, items, want);
	spin_unlock(&zone->lock);
	for (uint32_t at = 0; at < taken; at++) {
		store_relaxed(&zone->tags[items[at]], TAG_PCP);
		trace_page_alloc_zone_locked(zone_page(zone, items[at]), order, mt, true);
	}
	reverse(items, taken);
	pcp->count[list_of(order, mt)] = (uint16_t)taken;
	pcp->refilled_batches++;
}

uint32_t pcp_refill_and_take(struct zone *zone, unsigned int order, enum migratetype mt, enum page_owner owner)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index;

	if (!pcp->count[list_of(order, mt)])
		refill(zone, pcp, order, mt);
	index = pop(zone, pcp, order, mt, owner);
	pcp_leave(pcp);
	return index;
}

uint32_t pcp_bypass_take(struct zone *zone, unsigned int order, enum migratetype mt, enum page_owner owner)
{
	struct pcp *pcp = pcp_enter(zone);
	uint32_t index;

	spin_lock(&zone->lock);
	index = buddy_take_locked(zone, order, mt);
	if (index == ZONE_INDEX_NONE)
		index = fallback_take_locked(zone, order, mt);
	spin_unlock(&zone->lock);
	if (index != ZONE_INDEX_NONE) {
		trace_page_alloc_zone_locked(zone_page(zone, index), order, mt, false);
		hand_out(zone, pcp, index, order, owner);
	}
	pcp_leave(pcp);
	return index;
}

/* ---- giving ------------------------------------------------------------------------------------------------------- */

/* The oldest @count blocks of a magazine go back. */
static void drain_list(struct zone *zone, struct pcp *pcp, unsigned int order, enum migratetype mt, uint32_t count)
{
	uint32_t *items = items_of(pcp, order, mt);
	uint16_t *held = &pcp->count[list_of(order, mt)];

	for (uint32_t at = 0; at < count; at++) {
		store_relaxed(&zone->tags[items[at]], TAG_NONE);
		trace_page_pcpu_drain(zone_page(zone, items[at]), order, mt);
	}
	spin_lock(&zone->lock);
	for (uint32_t at = 0; at < count; at++)
		buddy_free_locked(zone, items[at], order);
	spin_unlock(&zone->lock);
	*held = (uint16_t)(*held - count);
	memmove(items, items + count, *held * sizeof(*items));
	pcp->drained_batches++;
}

static void NORETURN panic_bad_free(const struct zone *zone, uint32_t index, unsigned int order, uint8_t tag)
{
	uint64_t pfn = zone->start_pfn + index;

	if (tag == TAG_PCP)
		panic("double free: pfn 0x%lx order %u is free already, on a per-CPU list", pfn, order);
	if (TAG_OWNER(tag) == PAGE_OWNER_NONE)
		panic("double free: pfn 0x%lx order %u is free already, or no block begins there", pfn, order);
	panic("bad free: pfn 0x%lx was allocated with order %u and is freed with order %u", pfn, TAG_ORDER(tag),
	      order);
}

static void push(struct zone *zone, struct pcp *pcp, uint32_t index, unsigned int order, enum migratetype mt)
{
	uint16_t *count = &pcp->count[list_of(order, mt)];
	struct pcp_limits limits = pcp_limits(zone, order);

	store_relaxed(&zone->tags[index], TAG_PCP);
	if (*count >= limits.high)
		drain_list(zone, pcp, order, mt, limits.batch);
	items_of(pcp, order, mt)[(*count)++] = index;
}

static void give_to_buddy(struct zone *zone, uint32_t index, unsigned int order)
{
	store_relaxed(&zone->tags[index], TAG_NONE);
	spin_lock(&zone->lock);
	buddy_free_locked(zone, index, order);
	spin_unlock(&zone->lock);
}

void pcp_give(struct zone *zone, uint32_t index, unsigned int order)
{
	struct pcp *pcp = pcp_enter(zone);
	uint8_t tag = load_relaxed(&zone->tags[index]);
	unsigned int mt = READ_ONCE(zone->pageblocks[index / PAGEBLOCK_PAGES].migratetype);

	if (unlikely(TAG_OWNER(tag) == PAGE_OWNER_NONE || TAG_ORDER(tag) != order))
		panic_bad_free(zone, index, order, tag);
	pcp->owned_pages[TAG_OWNER(tag)] -= 1 << order;
	pcp->freed_pages += 1u << order;
	if (pcp_serves(order) && mt < MIGRATE_PCPTYPES && pcp_limits(zone, order).high)
		push(zone, pcp, index, order, mt);
	else
		give_to_buddy(zone, index, order);
	pcp_leave(pcp);
}

static void drain_order(struct zone *zone, struct pcp *pcp, unsigned int order)
{
	for (unsigned int mt = 0; mt < MIGRATE_PCPTYPES; mt++)
		if (pcp->count[list_of(order, mt)])
			drain_list(zone, pcp, order, mt, pcp->count[list_of(order, mt)]);
}

void pcp_drain(struct zone *zone, unsigned int cpu)
{
	struct pcp *pcp = &zone->pcps[cpu];

	spin_lock(&pcp->lock);
	for (unsigned int order = 0; order < PCP_SMALL_ORDERS; order++)
		drain_order(zone, pcp, order);
	drain_order(zone, pcp, PAGEBLOCK_ORDER);
	spin_unlock(&pcp->lock);
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
