/*
 * Buddy allocator: blocks of 2^order pages, found by (order, migratetype).
 *
 * A list of a zone is the set of pageblocks that have a free block of that order; the block itself is found in the
 * pageblock's bits. A free block is always on the list of its pageblock's type.
 *
 * Invariants (buddy_check() verifies them):
 *   - a free block of order k starts at a multiple of 2^k;
 *   - two free buddies of one order never coexist below the top order, unless their types may not mix;
 *   - zone->free_pages equals the pages on all lists, and the bits, the counts and the lists agree.
 * Locking: functions take zone->lock; a _locked suffix means that the caller holds it. Nothing sleeps.
 */
#pragma once

#include "mm/zone.h"

/*
 * Take 2^order pages, preferring @mt; may convert a pageblock of another type.
 * Returns the first page, or NULL if no list can serve the order.
 */
struct page *buddy_alloc(struct zone *zone, unsigned int order, enum migratetype mt) MUST_CHECK;
/* Gives back what was taken, or an aligned part of it. Freeing what is free is a panic. */
void buddy_free(struct zone *zone, struct page *page, unsigned int order);
/* Free blocks of exactly this order, all types. */
unsigned int buddy_blocks(struct zone *zone, unsigned int order);
/* 0 or -EINVAL with a line per fault. */
int buddy_check(struct zone *zone) MUST_CHECK;

/* The same for the rest of mm/. A block is the index of its first page in the zone. */
uint32_t buddy_take_locked(struct zone *zone, unsigned int order, enum migratetype mt);
/* Takes the smallest block of at least @order from the list (@have, @mt), which must not be empty. */
uint32_t buddy_take_from_locked(struct zone *zone, unsigned int have, enum migratetype mt, unsigned int order);
/* Up to @count single pages of type @mt, no other; how many there were. */
uint32_t buddy_take_pages_locked(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t count);
/*
 * The same from this pageblock, which is not free as a whole, whatever its type: the smallest block that suffices.
 * ZONE_INDEX_NONE: it has none.
 */
uint32_t buddy_take_within_locked(struct zone *zone, uint32_t number, unsigned int order);
/* The same for whole pageblocks: neighbours that are free together are taken together. */
uint32_t buddy_take_pageblocks_locked(struct zone *zone, enum migratetype mt, uint32_t *indices, uint32_t count);
/* Exactly [@index, @index + @pages), within one pageblock. False, and nothing taken: not all of it is free. */
bool buddy_take_range_locked(struct zone *zone, uint32_t index, unsigned int pages);
/* The order of the free block that @index lies in; NR_ORDERS: it is not free. */
unsigned int buddy_order_at_locked(const struct zone *zone, uint32_t index);
/* Takes that block, of just that order; its first page's index. */
uint32_t buddy_isolate_locked(struct zone *zone, uint32_t index, unsigned int order);
void buddy_free_locked(struct zone *zone, uint32_t index, unsigned int order);
/* The bits, tags and page structures of a pageblock that was taken as a whole become valid: none free, nobody's. */
void buddy_unfold_taken_locked(struct zone *zone, uint32_t number);
/*
 * Gives back @count single pages: what lies in one pageblock, one behind the other in @indices, is merged at once.
 */
void buddy_free_pages_locked(struct zone *zone, const uint32_t *indices, uint32_t count);
/* The same for whole pageblocks: neighbours become a block of the top order at once. */
void buddy_free_pageblocks_locked(struct zone *zone, const uint32_t *indices, uint32_t count);
/* At boot: pageblocks that were never given to the allocator, free as a whole from now on. */
void buddy_add_whole_locked(struct zone *zone, uint32_t first_number, uint32_t end_number);
/* The pageblock's free blocks move to the lists of another type. Returns its free pages. */
unsigned int buddy_set_migratetype_locked(struct zone *zone, uint32_t number, enum migratetype mt);
