/*
 * Per-CPU lists: magazines of blocks in front of a zone's buddy lists, for small orders and for whole pageblocks.
 *
 * A magazine is an array of page indices, last in first out; when it is empty or full, a batch moves under the
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
#define PCP_ITEMS 1080u /* see class_items in pcp.c */

struct pcp {
	struct cpu_claim claim; /* for claimants zone->lock comes behind its lock */
	uint16_t count[PCP_LISTS];
	uint64_t allocated_pages, freed_pages; /* ever, by this CPU from this zone */
	int64_t owned_pages[NR_PAGE_OWNERS];   /* allocated less freed: only the sum over CPUs means something */
	uint64_t drained_batches, refilled_batches;
	uint32_t items[PCP_ITEMS];
} CACHE_LINE_ALIGNED;

static inline unsigned int pcp_class(unsigned int order)
{
	return order < PCP_SMALL_ORDERS ? order : PCP_SMALL_ORDERS;
}

static inline bool pcp_serves(unsigned int order)
{
	return order < PCP_SMALL_ORDERS || order == PAGEBLOCK_ORDER;
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
/* The same, first filling the magazine from the buddy lists. */
uint32_t pcp_refill_and_take(struct zone *zone, const struct alloc_request *request);
/* Any order, straight from the buddy lists. */
uint32_t pcp_bypass_take(struct zone *zone, const struct alloc_request *request);
/* Up to @count of them at once, off its own type's lists (and CMA areas') alone; how many. */
uint32_t pcp_bypass_take_many(struct zone *zone, const struct alloc_request *request, uint32_t *indices,
			      uint32_t count);
/* A block that was taken from the buddy lists becomes @owner's: for who chose it himself. */
void pcp_adopt(struct zone *zone, uint32_t index, unsigned int order, enum page_owner owner);
/* Gives back a block of any order. A panic if it is not an allocated block of that order. */
void pcp_give(struct zone *zone, uint32_t index, unsigned int order);
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
