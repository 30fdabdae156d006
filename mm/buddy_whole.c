/*
 * The buddy system above pageblocks: those that are free as a whole, alone or as a pair, a block of the top order.
 *
 * Neither has bits, tags or page structures that anybody looks at; all there is to know is in whole_order, and in the
 * sets of their order and type. A pair goes by its lower pageblock's number. Two neighbours that may mix are never
 * free side by side without being a pair.
 *
 * whole_in() and whole_out() are the only places that change counts and lists.
 */
#include "mm/buddy_internal.h"
#include "mm/hinting.h"

static void whole_in(struct zone *zone, uint32_t number, unsigned int order)
{
	unsigned int mt = zone->pageblocks[number].migratetype;

	WRITE_ONCE(zone->pageblocks[number].whole_order, (uint8_t)order);
	if (order == MAX_ORDER)
		WRITE_ONCE(zone->pageblocks[number + 1].whole_order, MAX_ORDER);
	block_set_add(&zone->shape, zone_set(zone, order, mt), number);
	buddy_count_blocks(zone, order, mt, 1);
}

static void whole_out(struct zone *zone, uint32_t number)
{
	unsigned int mt = zone->pageblocks[number].migratetype, order = zone->pageblocks[number].whole_order;

	WRITE_ONCE(zone->pageblocks[number].whole_order, 0);
	if (order == MAX_ORDER)
		WRITE_ONCE(zone->pageblocks[number + 1].whole_order, 0);
	block_set_remove(&zone->shape, zone_set(zone, order, mt), number);
	buddy_count_blocks(zone, order, mt, -1);
}

/* Free memory of these types may change type; that of the others is set apart. */
static bool may_mix(unsigned int a, unsigned int b)
{
	return a == b || (a < MIGRATE_PCPTYPES && b < MIGRATE_PCPTYPES);
}

/* ---- taking --------------------------------------------------------------------------------------------------------
 */

void buddy_whole_detach(struct zone *zone, uint32_t number)
{
	unsigned int order = zone->pageblocks[number].whole_order;

	whole_out(zone, order == MAX_ORDER ? number & ~1u : number);
	if (order == MAX_ORDER)
		whole_in(zone, number ^ 1, PAGEBLOCK_ORDER);
}

static void whole_taken(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	pageblock->free_pages = 0;
	/* Only the first tag of a block is ever read while the pageblock is not prepared. */
	if (!(pageblock->flags & PAGEBLOCK_TAGGED))
		zone->tags[number * PAGEBLOCK_PAGES] = TAG_NONE;
	buddy_free_pages_changed(zone, -(int64_t)PAGEBLOCK_PAGES);
}

void buddy_whole_take_block(struct zone *zone, uint32_t number)
{
	unsigned int order = zone->pageblocks[number].whole_order;

	whole_out(zone, number);
	if (order == MAX_ORDER)
		whole_taken(zone, number + 1);
	whole_taken(zone, number);
}

uint32_t buddy_whole_take(struct zone *zone, unsigned int have, enum migratetype mt, unsigned int order)
{
	uint32_t number = block_set_first(&zone->shape, zone_set(zone, have, mt));

	if (order == MAX_ORDER) {
		buddy_whole_take_block(zone, number);
	} else {
		buddy_whole_detach(zone, number);
		whole_taken(zone, number);
	}
	return number * PAGEBLOCK_PAGES;
}

uint32_t buddy_take_pageblocks_locked(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t count)
{
	uint32_t taken = 0;

	while (taken + 2 <= count && zone->free_blocks[MAX_ORDER][mt]) {
		indices[taken] = buddy_whole_take(zone, MAX_ORDER, mt, MAX_ORDER);
		indices[taken + 1] = indices[taken] + PAGEBLOCK_PAGES;
		taken += 2;
	}
	while (taken < count) {
		indices[taken] = buddy_take_locked(zone, PAGEBLOCK_ORDER, mt);
		if (indices[taken] == ZONE_INDEX_NONE)
			break;
		taken++;
	}
	return taken;
}

/* ---- freeing -------------------------------------------------------------------------------------------------------
 */

void buddy_whole_freed(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number], *buddy = &zone->pageblocks[number ^ 1];

	WRITE_ONCE(pageblock->flags, pageblock->flags & ~PAGEBLOCK_MAPPED);
	pageblock->free_pages = PAGEBLOCK_PAGES;
	if ((number ^ 1) < zone->nr_pageblocks && buddy->whole_order == PAGEBLOCK_ORDER &&
	    may_mix(pageblock->migratetype, buddy->migratetype)) {
		whole_out(zone, number ^ 1);
		WRITE_ONCE(buddy->migratetype, pageblock->migratetype);
		whole_in(zone, number & ~1u, MAX_ORDER);
	} else {
		whole_in(zone, number, PAGEBLOCK_ORDER);
	}
}

/* Both halves of a block of the top order, of one type. */
static void pair_freed(struct zone *zone, uint32_t number)
{
	for (uint32_t at = number; at < number + 2; at++) {
		struct pageblock *pageblock = &zone->pageblocks[at];

		WRITE_ONCE(pageblock->flags, pageblock->flags & ~PAGEBLOCK_MAPPED);
		pageblock->free_pages = PAGEBLOCK_PAGES;
	}
	whole_in(zone, number, MAX_ORDER);
}

void buddy_whole_free(struct zone *zone, uint32_t index, unsigned int order)
{
	uint32_t number = index / PAGEBLOCK_PAGES;
	const struct pageblock *pageblock = &zone->pageblocks[number];
	bool pair = order == MAX_ORDER;

	if (pageblock[0].free_pages || (pair && pageblock[1].free_pages))
		buddy_panic_double_free(zone, index, order);
	if (pair && pageblock[0].migratetype == pageblock[1].migratetype) {
		pair_freed(zone, number);
	} else {
		buddy_whole_freed(zone, number);
		if (pair)
			buddy_whole_freed(zone, number + 1);
	}
	buddy_free_pages_changed(zone, 1 << order);
	if (unlikely(order >= zone->hinting_order))
		page_hinting_enqueue(zone, index, order);
}

void buddy_free_pageblocks_locked(struct zone *zone, const uint32_t *indices, uint32_t count)
{
	for (uint32_t at = 0; at < count; at++) {
		bool pair = at + 1 < count && IS_ALIGNED(indices[at], 1u << MAX_ORDER) &&
			    indices[at + 1] == indices[at] + PAGEBLOCK_PAGES;

		buddy_whole_free(zone, indices[at], PAGEBLOCK_ORDER + pair);
		at += pair;
	}
}

void buddy_add_whole_locked(struct zone *zone, uint32_t first_number, uint32_t end_number)
{
	uint32_t number = first_number;

	buddy_free_pages_changed(zone, (int64_t)(end_number - first_number) * PAGEBLOCK_PAGES);
	while (number < end_number) {
		if ((number & 1) || number + 1 == end_number) {
			buddy_whole_freed(zone, number++);
			continue;
		}
		zone->pageblocks[number].free_pages = PAGEBLOCK_PAGES;
		zone->pageblocks[number + 1].free_pages = PAGEBLOCK_PAGES;
		whole_in(zone, number, MAX_ORDER);
		number += 2;
	}
}
