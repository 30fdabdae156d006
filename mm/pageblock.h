/*
 * A pageblock: 2 MiB of page frames, the unit in which the allocator keeps its books.
 *
 * One bit a page says free. The free blocks of the buddy system are not stored but follow from the bits: they are
 * the largest aligned runs of ones. Freeing sets bits, and what merges merges by itself; what remains to be done is to
 * count the runs per order, for the zone's lists. A page that is freed twice finds its bit set.
 *
 * A pageblock that is free as a whole, or allocated as a whole, does not need its bits (nor tags, nor page
 * structures); they are prepared when it is first split.
 * No locking of their own: the zone's lock protects everything in here.
 */
#pragma once

#include "mm/page.h"

#define PAGEBLOCK_WORDS	     (PAGEBLOCK_PAGES / 64)
#define PAGEBLOCK_WORD_ORDER 6u /* pages of a word of bits */

enum pageblock_flags {
	PAGEBLOCK_PRESENT = 1,	/* some of it is memory of this zone */
	PAGEBLOCK_RESERVED = 2, /* all of it is, and none was ever given to the allocator */
	PAGEBLOCK_TAGGED = 4,	/* the tags of all its pages are valid */
	PAGEBLOCK_READY = 8,	/* so are the page structures */
	PAGEBLOCK_MAPPED = 16,	/* the bits are valid; else all pages are free or none is */
	PAGEBLOCK_TOLD = 32,	/* mm/tracker/freelist.c: the host was told of what is free */
};

struct pageblock {
	uint64_t map[PAGEBLOCK_WORDS];	  /* a bit per free page, where PAGEBLOCK_MAPPED */
	uint16_t blocks[PAGEBLOCK_ORDER]; /* free blocks of each order below a pageblock's */
	uint16_t free_pages;
	uint8_t flags;
	uint8_t migratetype;   /* enum migratetype: whose lists its free blocks are on */
	uint8_t whole_order;   /* free as a whole: 9, or 10 together with its neighbour; else 0 */
	uint8_t isolated_type; /* the type to return to, while MIGRATE_ISOLATE */
	uint8_t compact_skip;  /* compaction found nothing to move here: not again before it forgets */
} ALIGNED(128);

/* All words of a run of at least PAGEBLOCK_WORD_ORDER are @value. */
bool pageblock_words_are(const struct pageblock *pageblock, unsigned int first, unsigned int order, uint64_t value);

static inline uint64_t pageblock_run_mask(unsigned int first, unsigned int order)
{
	return ((1ull << (1u << order)) - 1) << first % 64;
}

/* Runs are 2^@order pages from @first, aligned, within the pageblock; @order is below PAGEBLOCK_ORDER. */
static inline bool pageblock_run_is_free(const struct pageblock *pageblock, unsigned int first, unsigned int order)
{
	if (order < PAGEBLOCK_WORD_ORDER)
		return !(~pageblock->map[first / 64] & pageblock_run_mask(first, order));
	return pageblock_words_are(pageblock, first, order, ~0ull);
}

static inline bool pageblock_run_is_taken(const struct pageblock *pageblock, unsigned int first, unsigned int order)
{
	if (order < PAGEBLOCK_WORD_ORDER)
		return !(pageblock->map[first / 64] & pageblock_run_mask(first, order));
	return pageblock_words_are(pageblock, first, order, 0);
}

/* A run that was taken. */
static inline void pageblock_run_set_free(struct pageblock *pageblock, unsigned int first, unsigned int order)
{
	if (order < PAGEBLOCK_WORD_ORDER) {
		pageblock->map[first / 64] |= pageblock_run_mask(first, order);
		return;
	}
	for (unsigned int at = 0; at < 1u << (order - PAGEBLOCK_WORD_ORDER); at++)
		pageblock->map[first / 64 + at] = ~0ull;
}

/* [@first, @first + @pages) within the pageblock. */
void pageblock_set_taken(struct pageblock *pageblock, unsigned int first, unsigned int pages);
void pageblock_fill(struct pageblock *pageblock, bool free);
/* Free blocks of each order below PAGEBLOCK_ORDER, as the bits say. */
void pageblock_count(const struct pageblock *pageblock, uint16_t counts[PAGEBLOCK_ORDER]);
/* The first page of the first free block of exactly this order at or after @from; PAGEBLOCK_PAGES if there is none. */
unsigned int pageblock_find(const struct pageblock *pageblock, unsigned int order, unsigned int from);
