/*
 * The buddy system above pageblocks: those that are free as a whole, alone or as a pair, a block of the top order.
 *
 * Neither has bits, tags or page structures that anybody looks at; all there is to know is in whole_order, and in the
 * sets of their order and type. A pair goes by its lower pageblock's number. Two neighbours that may mix are never
 * free side by side without being a pair.
 *
 * whole_in(), whole_out() and take_pairs() are the only places that change counts and lists.
 */
#include "lib/atomic.h"
#include "mm/buddy_internal.h"
#include "mm/hinting.h"

static inline void whole_in(struct zone *zone, uint32_t number, unsigned int order)
{
	unsigned int mt = zone->pageblocks[number].migratetype;

	WRITE_ONCE(zone->pageblocks[number].whole_order, (uint8_t)order);
	if (order == MAX_ORDER)
		WRITE_ONCE(zone->pageblocks[number + 1].whole_order, MAX_ORDER);
	block_set_add(&zone->shape, zone_set(zone, order, mt), number);
	buddy_count_blocks(zone, order, mt, 1);
}

static inline void whole_out(struct zone *zone, uint32_t number)
{
	unsigned int mt = zone->pageblocks[number].migratetype, order = zone->pageblocks[number].whole_order;

	/* zone_tag() reads the tag next, without the lock. */
	store_release(&zone->pageblocks[number].whole_order, (uint8_t)0);
	if (order == MAX_ORDER)
		store_release(&zone->pageblocks[number + 1].whole_order, (uint8_t)0);
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

/* Before it is seen not to be free any more; what the zone counts is the caller's business. */
static inline void whole_taken(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	pageblock->free_pages = 0;
	/* Only the first tag of a block is ever read while the pageblock is not prepared. */
	if (!(pageblock->flags & PAGEBLOCK_TAGGED))
		store_relaxed(&zone->tags[number * PAGEBLOCK_PAGES], TAG_NONE);
}

void buddy_whole_take_block(struct zone *zone, uint32_t number)
{
	unsigned int order = zone->pageblocks[number].whole_order;

	if (order == MAX_ORDER)
		whole_taken(zone, number + 1);
	whole_taken(zone, number);
	whole_out(zone, number);
	buddy_free_pages_changed(zone, -(1 << order));
}

uint32_t buddy_whole_take(struct zone *zone, unsigned int have, enum migratetype mt, unsigned int order)
{
	uint32_t number = block_set_first(&zone->shape, zone_set(zone, have, mt));

	if (order == MAX_ORDER) {
		buddy_whole_take_block(zone, number);
	} else {
		whole_taken(zone, number);
		buddy_whole_detach(zone, number);
		buddy_free_pages_changed(zone, -(1 << PAGEBLOCK_ORDER));
	}
	return number * PAGEBLOCK_PAGES;
}

/* Up to @pairs blocks of the top order out of one word of their list, counted by the caller; how many. */
static uint32_t take_pairs_of_word(struct zone *zone, uint64_t *set, uint32_t word, uint32_t *indices, uint32_t pairs)
{
	uint64_t bits = set[word];
	uint32_t taken = 0;

	for (; bits && taken < pairs; taken++) {
		uint32_t number = word * 64 + (uint32_t)__builtin_ctzll(bits);

		for (uint32_t half = 0; half < 2; half++) {
			whole_taken(zone, number + half);
			store_release(&zone->pageblocks[number + half].whole_order, (uint8_t)0);
			indices[2 * taken + half] = (number + half) * PAGEBLOCK_PAGES;
		}
		bits &= bits - 1;
	}
	block_set_keep(&zone->shape, set, word, bits);
	return taken;
}

static uint32_t take_pairs(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t pairs)
{
	uint64_t *set = zone_set(zone, MAX_ORDER, mt);
	uint32_t first, taken = 0;

	while (taken < pairs && (first = block_set_first(&zone->shape, set)) != BLOCK_SET_NONE)
		taken += take_pairs_of_word(zone, set, first / 64, indices + 2 * taken, pairs - taken);
	if (taken) {
		buddy_count_blocks(zone, MAX_ORDER, mt, -(int)taken);
		buddy_free_pages_changed(zone, -((int64_t)taken << MAX_ORDER));
	}
	return taken;
}

uint32_t buddy_take_pageblocks_locked(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t count)
{
	uint32_t taken = 2 * take_pairs(zone, mt, indices, count / 2);

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
static inline void pair_freed(struct zone *zone, uint32_t number)
{
	for (uint32_t at = number; at < number + 2; at++) {
		struct pageblock *pageblock = &zone->pageblocks[at];

		WRITE_ONCE(pageblock->flags, pageblock->flags & ~PAGEBLOCK_MAPPED);
		pageblock->free_pages = PAGEBLOCK_PAGES;
	}
	whole_in(zone, number, MAX_ORDER);
}

static ALWAYS_INLINE void free_whole(struct zone *zone, uint32_t index, unsigned int order)
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

void buddy_whole_free(struct zone *zone, uint32_t index, unsigned int order)
{
	free_whole(zone, index, order);
}

void buddy_free_pageblocks_locked(struct zone *zone, const uint32_t *indices, uint32_t count)
{
	for (uint32_t at = 0; at < count; at++) {
		if (at + 1 < count && IS_ALIGNED(indices[at], 1u << MAX_ORDER) &&
		    indices[at + 1] == indices[at] + PAGEBLOCK_PAGES)
			free_whole(zone, indices[at++], MAX_ORDER);
		else
			free_whole(zone, indices[at], PAGEBLOCK_ORDER);
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
