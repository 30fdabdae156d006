/*
 * The buddy system within pageblocks.
 *
 * Below the pageblock's order everything happens within one pageblock, in its bits: a block that is freed sets them,
 * and as long as its buddy's bits are all ones too, the buddy's run leaves the count of its order and the next larger
 * order is tried. Thus a free touches the pageblock's two cache lines and never a page structure. At the pageblock's
 * order the pageblock is free as a whole and its bits no longer matter: mm/buddy_whole.c.
 *
 * block_in() and block_out() are the only places that change counts and lists one block at a time, recount() does it
 * for a pageblock whose bits have changed; everything else is composed of them.
 */
#include "mm/buddy_internal.h"

#include "kernel/panic.h"
#include "mm/fallback.h"
#include "mm/hinting.h"

static ALWAYS_INLINE void block_in(struct zone *zone, struct pageblock *pageblock, unsigned int order)
{
	unsigned int mt = pageblock->migratetype;

	if (pageblock->blocks[order]++ == 0)
		block_set_add(&zone->shape, zone_set(zone, order, mt), (uint32_t)(pageblock - zone->pageblocks));
	buddy_count_blocks(zone, order, mt, 1);
}

static ALWAYS_INLINE void block_out(struct zone *zone, struct pageblock *pageblock, unsigned int order)
{
	unsigned int mt = pageblock->migratetype;

	if (--pageblock->blocks[order] == 0)
		block_set_remove(&zone->shape, zone_set(zone, order, mt), (uint32_t)(pageblock - zone->pageblocks));
	buddy_count_blocks(zone, order, mt, -1);
}

/* ---- taking -------------------------------------------------------------------------------------------------------
 */

/* A free pageblock gets valid bits, all ones; it is on no list any more. */
static void split_whole(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	buddy_whole_detach(zone, number);
	pageblock_fill(pageblock, true);
	WRITE_ONCE(pageblock->flags, pageblock->flags | PAGEBLOCK_MAPPED);
}

/* Takes a block of order @have off its pageblock's list, its bits still set; the first page's index. */
static uint32_t detach_within(struct zone *zone, uint32_t number, unsigned int have)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (unlikely(!(pageblock->flags & PAGEBLOCK_READY)))
		zone_prepare_pageblock(zone, number);
	if (have >= PAGEBLOCK_ORDER) {
		split_whole(zone, number);
		return number * PAGEBLOCK_PAGES;
	}
	block_out(zone, pageblock, have);
	return number * PAGEBLOCK_PAGES + pageblock_find(pageblock, have, 0);
}

static uint32_t detach_first(struct zone *zone, unsigned int have, enum migratetype mt)
{
	return detach_within(zone, block_set_first(&zone->shape, zone_set(zone, have, mt)), have);
}

/* [@index, @index + @taken) leaves the detached block of 2^have pages; the rest goes back in aligned pieces. */
static void cut_block(struct zone *zone, uint32_t index, unsigned int have, uint32_t taken)
{
	struct pageblock *pageblock = &zone->pageblocks[index / PAGEBLOCK_PAGES];
	uint32_t end = index + (1u << MIN(have, PAGEBLOCK_ORDER));

	pageblock_set_taken(pageblock, index % PAGEBLOCK_PAGES, taken);
	pageblock->free_pages -= taken;
	buddy_free_pages_changed(zone, -(int64_t)taken);
	for (uint32_t at = index + taken; at < end; at += 1u << __builtin_ctz(at))
		block_in(zone, pageblock, (unsigned int)__builtin_ctz(at));
}

uint32_t buddy_take_from_locked(struct zone *zone, unsigned int have, enum migratetype mt, unsigned int order)
{
	uint32_t index;

	if (order >= PAGEBLOCK_ORDER)
		return buddy_whole_take(zone, have, mt, order);
	index = detach_first(zone, have, mt);
	cut_block(zone, index, have, 1u << order);
	return index;
}

unsigned int buddy_order_at_locked(const struct zone *zone, uint32_t index)
{
	const struct pageblock *pageblock = &zone->pageblocks[index / PAGEBLOCK_PAGES];
	unsigned int at = index % PAGEBLOCK_PAGES, order = 0;

	if (pageblock->whole_order)
		return pageblock->whole_order;
	if (!(pageblock->flags & PAGEBLOCK_MAPPED) || !pageblock_run_is_free(pageblock, at, 0))
		return NR_ORDERS;
	while (order + 1 < PAGEBLOCK_ORDER && pageblock_run_is_free(pageblock, ALIGN_DOWN(at, 2u << order), order + 1))
		order++;
	return order;
}

uint32_t buddy_isolate_locked(struct zone *zone, uint32_t index, unsigned int order)
{
	uint32_t first = ALIGN_DOWN(index, 1u << order), number = first / PAGEBLOCK_PAGES;

	if (order < PAGEBLOCK_ORDER) {
		block_out(zone, &zone->pageblocks[number], order);
		cut_block(zone, first, order, 1u << order);
		return first;
	}
	buddy_whole_take_block(zone, number);
	return first;
}

static unsigned int smallest_order(const struct zone *zone, unsigned int order, enum migratetype mt)
{
	while (order < NR_ORDERS && !zone->free_blocks[order][mt])
		order++;
	return order;
}

uint32_t buddy_take_locked(struct zone *zone, unsigned int order, enum migratetype mt)
{
	unsigned int have = smallest_order(zone, order, mt);

	return have < NR_ORDERS ? buddy_take_from_locked(zone, have, mt, order) : ZONE_INDEX_NONE;
}

#define CRUMBS 3u /* orders of blocks that are good for single pages and for little else */

/*
 * Single pages fill up the lowest pageblock, the smallest of its blocks first, so that the others empty and become
 * whole (the workload frag shows what that brings). But where less than a 16th of the zone is free, larger blocks are
 * left to larger requests, which would soon have to mix, as long as there are crumbs anywhere.
 */
static unsigned int orders_for_pages(const struct zone *zone)
{
	return zone_free_pages(zone) < zone->managed_pages / 16 ? CRUMBS : PAGEBLOCK_ORDER;
}

/* The lowest pageblock of @mt with blocks of these orders, else with the next larger; BLOCK_SET_NONE: none but whole.
 */
static uint32_t pageblock_for_pages(const struct zone *zone, enum migratetype mt, unsigned int orders)
{
	uint32_t lowest = BLOCK_SET_NONE;

	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++) {
		uint32_t number = block_set_first(&zone->shape, zone_set(zone, order, mt));

		if (order >= orders && lowest != BLOCK_SET_NONE)
			break;
		lowest = MIN(lowest, number); /* none is the largest */
	}
	return lowest;
}

uint32_t buddy_take_pages_locked(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t count)
{
	unsigned int orders = orders_for_pages(zone);
	uint32_t taken = 0;

	while (taken < count) {
		uint32_t number = pageblock_for_pages(zone, mt, orders), index, pages;
		unsigned int have = 0;

		if (number == BLOCK_SET_NONE)
			have = smallest_order(zone, PAGEBLOCK_ORDER, mt);
		else
			while (!zone->pageblocks[number].blocks[have])
				have++;
		if (have == NR_ORDERS)
			break;
		pages = 1u << MIN(have, PAGEBLOCK_ORDER);
		pages = MIN(pages, count - taken);
		index = number == BLOCK_SET_NONE ? detach_first(zone, have, mt) : detach_within(zone, number, have);
		cut_block(zone, index, have, pages);
		for (uint32_t at = 0; at < pages; at++)
			indices[taken++] = index + at;
	}
	return taken;
}

uint32_t buddy_take_within_locked(struct zone *zone, uint32_t number, unsigned int order)
{
	const struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int have = order;
	uint32_t index;

	while (have < PAGEBLOCK_ORDER && !pageblock->blocks[have])
		have++;
	if (have == PAGEBLOCK_ORDER)
		return ZONE_INDEX_NONE;
	index = detach_within(zone, number, have);
	cut_block(zone, index, have, 1u << order);
	return index;
}

/* The pageblock's bits have changed: its counts and lists follow. */
static void recount(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int mt = pageblock->migratetype;
	uint16_t counts[PAGEBLOCK_ORDER];

	pageblock_count(pageblock, counts);
	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++) {
		uint16_t before = pageblock->blocks[order];

		if (before == counts[order])
			continue;
		if (!before)
			block_set_add(&zone->shape, zone_set(zone, order, mt), number);
		else if (!counts[order])
			block_set_remove(&zone->shape, zone_set(zone, order, mt), number);
		buddy_count_blocks(zone, order, mt, counts[order] - before);
		pageblock->blocks[order] = counts[order];
	}
}

static bool range_is_free(const struct pageblock *pageblock, unsigned int first, unsigned int pages)
{
	if (pageblock->whole_order)
		return true;
	if (!(pageblock->flags & PAGEBLOCK_MAPPED))
		return false;
	for (unsigned int at = first; at < first + pages; at++)
		if (!pageblock_run_is_free(pageblock, at, 0))
			return false;
	return true;
}

bool buddy_take_range_locked(struct zone *zone, uint32_t index, unsigned int pages)
{
	uint32_t number = index / PAGEBLOCK_PAGES;
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (!range_is_free(pageblock, index % PAGEBLOCK_PAGES, pages))
		return false;
	if (!(pageblock->flags & PAGEBLOCK_READY))
		zone_prepare_pageblock(zone, number);
	if (pageblock->whole_order)
		split_whole(zone, number);
	pageblock_set_taken(pageblock, index % PAGEBLOCK_PAGES, pages);
	pageblock->free_pages -= pages;
	buddy_free_pages_changed(zone, -(int64_t)pages);
	recount(zone, number);
	return true;
}

/* ---- freeing ------------------------------------------------------------------------------------------------------
 */

void buddy_panic_double_free(const struct zone *zone, uint32_t index, unsigned int order)
{
	panic("double free: pfn 0x%lx order %u in zone %s is free already", (zone->start_pfn + index), order,
	      zone->name);
}

void buddy_unfold_taken_locked(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (!(pageblock->flags & PAGEBLOCK_READY))
		zone_prepare_pageblock(zone, number);
	pageblock_fill(pageblock, false);
	WRITE_ONCE(pageblock->flags, pageblock->flags | PAGEBLOCK_MAPPED);
}

/* Below a pageblock's order. Most blocks are single pages, few merge far, and nothing in here leaves two cache lines.
 */
static ALWAYS_INLINE void free_within(struct zone *zone, uint32_t index, unsigned int order)
{
	struct pageblock *pageblock = &zone->pageblocks[index / PAGEBLOCK_PAGES];
	unsigned int at = index % PAGEBLOCK_PAGES;

	if (unlikely(pageblock->whole_order))
		buddy_panic_double_free(zone, index, order);
	if (unlikely(!(pageblock->flags & PAGEBLOCK_MAPPED)))
		buddy_unfold_taken_locked(zone, index / PAGEBLOCK_PAGES);
	if (unlikely(!pageblock_run_is_taken(pageblock, at, order)))
		buddy_panic_double_free(zone, index, order);

	pageblock_run_set_free(pageblock, at, order);
	pageblock->free_pages += 1u << order;
	buddy_free_pages_changed(zone, 1 << order);
	for (; order < PAGEBLOCK_ORDER && pageblock_run_is_free(pageblock, at ^ 1u << order, order); order++) {
		block_out(zone, pageblock, order);
		at &= ~(1u << order);
	}
	if (order < PAGEBLOCK_ORDER)
		block_in(zone, pageblock, order);
	else
		buddy_whole_freed(zone, index / PAGEBLOCK_PAGES);
	if (unlikely(order >= zone->hinting_order))
		page_hinting_enqueue(zone, ALIGN_DOWN(index, 1u << order), order);
}

void buddy_free_locked(struct zone *zone, uint32_t index, unsigned int order)
{
	DEBUG_ASSERT(IS_ALIGNED(index, 1u << order), "index 0x%x order %u", index, order);
	if (order >= PAGEBLOCK_ORDER)
		buddy_whole_free(zone, index, order);
	else
		free_within(zone, index, order);
}

/* Those that became part of a block which hinting wants to know of. */
static NOINLINE void note_many(struct zone *zone, const uint32_t *indices, uint32_t count)
{
	for (uint32_t at = 0; at < count; at++)
		if (buddy_order_at_locked(zone, indices[at]) >= zone->hinting_order)
			page_hinting_enqueue(zone, indices[at], 0);
}

/* Pages of one pageblock, enough of them to count anew instead of merging one by one. */
static void free_many(struct zone *zone, uint32_t number, const uint32_t *indices, uint32_t count)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (pageblock->whole_order)
		buddy_panic_double_free(zone, indices[0], 0);
	if (!(pageblock->flags & PAGEBLOCK_MAPPED))
		buddy_unfold_taken_locked(zone, number);
	for (uint32_t at = 0; at < count; at++) {
		uint64_t *word = &pageblock->map[indices[at] % PAGEBLOCK_PAGES / 64], bit = 1ull << indices[at] % 64;

		if (*word & bit)
			buddy_panic_double_free(zone, indices[at], 0);
		*word |= bit;
	}
	pageblock->free_pages += count;
	buddy_free_pages_changed(zone, count);
	recount(zone, number);
	if (pageblock->free_pages == PAGEBLOCK_PAGES)
		buddy_whole_freed(zone, number);
	if (unlikely(zone->hinting_order < PAGEBLOCK_ORDER + (pageblock->whole_order != 0)))
		note_many(zone, indices, count);
}

#define FREE_MANY  12u /* pages from which it pays */
#define LOOK_AHEAD 8u  /* pages whose pageblocks are on their way to the cache while others are freed */

void buddy_free_pages_locked(struct zone *zone, const uint32_t *indices, uint32_t count)
{
	uint32_t first = 0, end;

	for (; first < count; first = end) {
		const struct pageblock *later =
			&zone->pageblocks[indices[MIN(first + LOOK_AHEAD, count - 1)] / PAGEBLOCK_PAGES];
		uint32_t number = indices[first] / PAGEBLOCK_PAGES;

		__builtin_prefetch(later, 1);
		__builtin_prefetch((const char *)later + 64, 1);
		for (end = first + 1; end < count && indices[end] / PAGEBLOCK_PAGES == number; end++)
			;
		if (end - first >= FREE_MANY)
			free_many(zone, number, indices + first, end - first);
		else
			for (uint32_t at = first; at < end; at++)
				free_within(zone, indices[at], 0);
	}
}

/* ---- types --------------------------------------------------------------------------------------------------------
 */

/* Lists of @from to lists of @to, for everything free in a pageblock that is not free as a whole. */
static void move_blocks(struct zone *zone, uint32_t number, enum migratetype to)
{
	struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int from = pageblock->migratetype;

	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++) {
		if (!pageblock->blocks[order])
			continue;
		block_set_remove(&zone->shape, zone_set(zone, order, from), number);
		block_set_add(&zone->shape, zone_set(zone, order, to), number);
		buddy_count_blocks(zone, order, from, -(int)pageblock->blocks[order]);
		buddy_count_blocks(zone, order, to, pageblock->blocks[order]);
	}
	WRITE_ONCE(pageblock->migratetype, (uint8_t)to);
}

unsigned int buddy_set_migratetype_locked(struct zone *zone, uint32_t number, enum migratetype mt)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (pageblock->migratetype == mt)
		return pageblock->free_pages;
	if (pageblock->whole_order) {
		buddy_whole_detach(zone, number);
		WRITE_ONCE(pageblock->migratetype, (uint8_t)mt);
		buddy_whole_freed(zone, number);
	} else {
		move_blocks(zone, number, mt);
	}
	return pageblock->free_pages;
}

/* ---- public -------------------------------------------------------------------------------------------------------
 */

struct page *buddy_alloc(struct zone *zone, unsigned int order, enum migratetype mt)
{
	struct alloc_request request = {.order = order, .mt = mt};
	uint32_t index;

	spin_lock(&zone->lock);
	index = buddy_take_locked(zone, order, mt);
	if (index == ZONE_INDEX_NONE)
		index = fallback_take_locked(zone, &request);
	spin_unlock(&zone->lock);
	return index == ZONE_INDEX_NONE ? NULL : zone_page(zone, index);
}

void buddy_free(struct zone *zone, struct page *page, unsigned int order)
{
	spin_lock(&zone->lock);
	buddy_free_locked(zone, zone_index(zone, page), order);
	spin_unlock(&zone->lock);
}

unsigned int buddy_blocks(struct zone *zone, unsigned int order)
{
	unsigned int blocks = 0;

	spin_lock(&zone->lock);
	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
		blocks += zone->free_blocks[order][mt];
	spin_unlock(&zone->lock);
	return blocks;
}
