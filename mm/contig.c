/*
 * Taking a range of page frames.
 *
 * Its pageblocks are isolated, so that what is or becomes free in them stays free; the per-CPU lists are drained; what
 * is allocated moves out; and when all is free the pages are taken, and the pageblocks return to their type. Whatever
 * was not to be had, or came back at the last moment from a CPU that had seen the old type, makes another try; after a
 * few the caller hears -EBUSY, and everything is as it was, if in other places.
 */
#include "mm/contig.h"

#include "kernel/kasan.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/isolation.h"
#include "mm/memory.h"
#include "mm/migrate.h"
#include "mm/pcp.h"

#define CONTIG_TRIES 5u

struct contig {
	struct zone *zone;
	uint32_t first, end; /* indices in the zone */
	enum page_owner owner;
	struct migrate migrate;
};

/* The part of a pageblock that lies in the range. */
#define for_each_part(contig, from, to)                                                            \
	for (uint32_t from = (contig)->first, to;                                                  \
	     from < (contig)->end &&                                                               \
	     (to = MIN(ALIGN_DOWN(from, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES, (contig)->end), true); \
	     from = to)

/* ---- isolating ----------------------------------------------------------------------------------------------------
 */

static void unisolate(const struct contig *contig, uint32_t end)
{
	spin_lock(&contig->zone->lock);
	for (uint32_t number = contig->first / PAGEBLOCK_PAGES; number * PAGEBLOCK_PAGES < end; number++)
		isolation_end_locked(contig->zone, number);
	spin_unlock(&contig->zone->lock);
}

static int isolate(const struct contig *contig)
{
	for_each_part(contig, from, to)
	{
		int error = -EBUSY;

		spin_lock(&contig->zone->lock);
		if (isolation_can_empty_locked(contig->zone, from, to, MAX_ORDER))
			error = isolation_begin_locked(contig->zone, from / PAGEBLOCK_PAGES);
		spin_unlock(&contig->zone->lock);
		if (error) {
			if (from > contig->first)
				unisolate(contig, from);
			return error;
		}
	}
	return 0;
}

/* ---- emptying -----------------------------------------------------------------------------------------------------
 */

static void find_targets(struct contig *contig)
{
	for (uint32_t at = 0; at < contig->migrate.count; at++) {
		struct migrate_block *block = &contig->migrate.blocks[at];

		block->to = alloc_pages_node(contig->zone->node, GFP_USER | GFP_NOWARN | GFP_OWNER(block->owner),
					     block->order);
	}
}

/* The first page of the block that reaches into the range from before it; the range's own first page if none does. */
static uint32_t first_block_locked(const struct contig *contig)
{
	for (unsigned int order = 1; order < NR_ORDERS; order++) {
		uint32_t start = ALIGN_DOWN(contig->first, 1u << order);
		uint8_t tag = zone_tag(contig->zone, start);

		if (TAG_OWNER(tag) != PAGE_OWNER_NONE && start + (1u << TAG_ORDER(tag)) > contig->first)
			return start;
	}
	return contig->first;
}

static void empty_part(struct contig *contig, uint32_t from, uint32_t to)
{
	while (from < to) {
		spin_lock(&contig->zone->lock);
		from = migrate_collect_locked(&contig->migrate, from, to);
		spin_unlock(&contig->zone->lock);
		migrate_isolate(&contig->migrate);
		find_targets(contig);
		migrate_batch(&contig->migrate, MIGRATE_TRIES_SYNC);
	}
}

static void empty(struct contig *contig)
{
	uint32_t start;

	pcp_drain_all(contig->zone);
	spin_lock(&contig->zone->lock);
	start = first_block_locked(contig);
	spin_unlock(&contig->zone->lock);
	if (start < contig->first)
		empty_part(contig, start, start + 1);
	for_each_part(contig, from, to) empty_part(contig, from, to);
	pcp_drain_all(contig->zone);
}

/* ---- taking -------------------------------------------------------------------------------------------------------
 */

static void put_back(const struct contig *contig, uint32_t end)
{
	spin_lock(&contig->zone->lock);
	for (uint32_t index = contig->first; index < end; index++)
		buddy_free_locked(contig->zone, index, 0);
	spin_unlock(&contig->zone->lock);
}

static bool take(const struct contig *contig)
{
	for_each_part(contig, from, to)
	{
		bool taken;

		spin_lock(&contig->zone->lock);
		taken = buddy_take_range_locked(contig->zone, from, to - from);
		spin_unlock(&contig->zone->lock);
		if (!taken) {
			put_back(contig, from);
			return false;
		}
	}
	return true;
}

static int isolate_and_take(struct contig *contig)
{
	int error = isolate(contig);

	if (error)
		return error;
	empty(contig);
	error = take(contig) ? 0 : -EBUSY;
	unisolate(contig, contig->end);
	return error;
}

static void hand_out(const struct contig *contig, uint32_t gfp)
{
	for (uint32_t index = contig->first; index < contig->end; index++) {
		struct page *page = zone_page(contig->zone, index);

		pcp_adopt(contig->zone, index, 0, contig->owner);
		page_fill(page);
		kasan_unpoison(page_address(page), PAGE_SIZE);
		if (gfp & GFP_ZERO)
			memset(page_address(page), 0, PAGE_SIZE);
	}
}

static bool is_within(const struct zone *zone, uint64_t first_pfn, uint64_t end_pfn)
{
	if (first_pfn >= end_pfn)
		return false;
	for (uint64_t pfn = first_pfn; pfn < end_pfn; pfn++)
		if (zone_of_pfn(pfn) != zone || !pfn_valid(pfn))
			return false;
	return true;
}

int alloc_contig_range(uint64_t first_pfn, uint64_t end_pfn, uint32_t gfp)
{
	struct zone *zone = zone_of_pfn(first_pfn);
	struct contig contig = {.zone = zone, .owner = gfp >> 24 ? gfp >> 24 : PAGE_OWNER_KERNEL};
	int error = -EBUSY;

	if (!zone || !is_within(zone, first_pfn, end_pfn))
		return -EINVAL;
	contig.first = (uint32_t)(first_pfn - zone->start_pfn);
	contig.end = (uint32_t)(end_pfn - zone->start_pfn);
	contig.migrate = (struct migrate){.zone = zone, .max_order = MAX_ORDER};
	for (unsigned int round = 0; round < CONTIG_TRIES && error; round++) {
		if (round)
			sleep_ns(NS_PER_MS << round);
		error = isolate_and_take(&contig);
	}
	if (!error)
		hand_out(&contig, gfp);
	return error;
}

void free_contig_range(uint64_t first_pfn, uint64_t pages)
{
	for (uint64_t pfn = first_pfn; pfn < first_pfn + pages; pfn++)
		free_pages(pfn_to_page(pfn), 0);
}
