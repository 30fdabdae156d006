/*
 * Between mm/buddy.c, blocks within a pageblock, and mm/buddy_whole.c, pageblocks that are free as a whole. Under the
 * zone's lock.
 */
#pragma once

#include "mm/buddy.h"

/* These, types and flags are also read without the lock. */
static inline void buddy_count_blocks(struct zone *zone, unsigned int order, unsigned int mt, int change)
{
	WRITE_ONCE(zone->free_blocks[order][mt], zone->free_blocks[order][mt] + (uint32_t)change);
}

static inline void buddy_free_pages_changed(struct zone *zone, int64_t pages)
{
	WRITE_ONCE(zone->free_pages, zone->free_pages + (uint64_t)pages);
}

void NORETURN buddy_panic_double_free(const struct zone *zone, uint32_t index, unsigned int order);

/* Takes a free pageblock off its list; a neighbour that was joined to it stays free alone. */
void buddy_whole_detach(struct zone *zone, uint32_t number);
/* All pages of a pageblock are free: it joins its neighbour if that is free too. */
void buddy_whole_freed(struct zone *zone, uint32_t number);
/* Takes the free block that begins with this pageblock, whatever its order. */
void buddy_whole_take_block(struct zone *zone, uint32_t number);
/* As buddy_take_from_locked() and buddy_free_locked(), for the orders from a pageblock's on. */
uint32_t buddy_whole_take(struct zone *zone, unsigned int have, enum migratetype mt, unsigned int order);
void buddy_whole_free(struct zone *zone, uint32_t index, unsigned int order);
