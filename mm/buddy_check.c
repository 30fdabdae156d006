/*
 * Verification of the buddy system: everything that is stored twice must agree.
 *
 * The bits are the truth. From them the blocks of every order are counted anew, per pageblock and for the zone, and
 * compared with the counts and the lists. A fault is one line; checking goes on, so that one run shows them all.
 */
#include "mm/buddy.h"

#include "kernel/printk.h"
#include "lib/errno.h"

struct buddy_count {
	uint32_t blocks[NR_ORDERS][MIGRATE_TYPES];
	uint64_t pages;
	bool faulty;
};

#define FAULT(count, zone, number, fmt, ...)                                                              \
	do {                                                                                              \
		(count)->faulty = true;                                                                   \
		pr_err("buddy_check: zone %s pageblock %u: " fmt, (zone)->name, (number), ##__VA_ARGS__); \
	} while (0)

static void expect_listed(const struct zone *zone, uint32_t number, unsigned int order, bool expected,
			  struct buddy_count *count)
{
	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++) {
		bool want = expected && mt == zone->pageblocks[number].migratetype;

		if (block_set_has(zone_set(zone, order, mt), number) != want)
			FAULT(count, zone, number, "order %u %s %s list", order, want ? "missing on" : "wrongly on",
			      migratetype_name(mt));
	}
}

static void check_whole(const struct zone *zone, uint32_t number, struct buddy_count *count)
{
	const struct pageblock *pageblock = &zone->pageblocks[number], *buddy = &zone->pageblocks[number ^ 1];
	unsigned int order = pageblock->whole_order;
	bool has_buddy = (number ^ 1) < zone->nr_pageblocks;

	if (pageblock->free_pages != PAGEBLOCK_PAGES || (pageblock->flags & PAGEBLOCK_MAPPED))
		FAULT(count, zone, number, "free as a whole, but %u pages are", pageblock->free_pages);
	if (order == MAX_ORDER &&
	    (!has_buddy || buddy->whole_order != MAX_ORDER || buddy->migratetype != pageblock->migratetype))
		FAULT(count, zone, number, "half of a pair whose other half is not");
	if (order == PAGEBLOCK_ORDER && has_buddy && buddy->whole_order == PAGEBLOCK_ORDER &&
	    pageblock->migratetype < MIGRATE_PCPTYPES && buddy->migratetype < MIGRATE_PCPTYPES)
		FAULT(count, zone, number, "not merged with its free neighbour");
	if (order == PAGEBLOCK_ORDER || !(number & 1))
		count->blocks[order][pageblock->migratetype]++;
}

static void check_split(const struct zone *zone, uint32_t number, struct buddy_count *count)
{
	const struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int free_pages = 0;

	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++) {
		unsigned int blocks = 0, at = 0;

		while ((at = pageblock_find(pageblock, order, at)) < PAGEBLOCK_PAGES) {
			at += 1u << order;
			blocks++;
		}
		if (blocks != pageblock->blocks[order])
			FAULT(count, zone, number, "order %u: %u free blocks by its bits, %u by its count", order,
			      blocks, pageblock->blocks[order]);
		free_pages += blocks << order;
		count->blocks[order][pageblock->migratetype] += blocks;
		expect_listed(zone, number, order, blocks, count);
	}
	if (free_pages != pageblock->free_pages)
		FAULT(count, zone, number, "%u free pages by its bits, %u by its count", free_pages,
		      pageblock->free_pages);
}

static void check_empty(const struct zone *zone, uint32_t number, struct buddy_count *count)
{
	if (zone->pageblocks[number].free_pages)
		FAULT(count, zone, number, "no valid bits, but %u free pages", zone->pageblocks[number].free_pages);
	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++)
		expect_listed(zone, number, order, false, count);
}

static void check_pageblock(const struct zone *zone, uint32_t number, struct buddy_count *count)
{
	const struct pageblock *pageblock = &zone->pageblocks[number];
	unsigned int whole = pageblock->whole_order;

	if (whole)
		check_whole(zone, number, count);
	else if (pageblock->flags & PAGEBLOCK_MAPPED)
		check_split(zone, number, count);
	else
		check_empty(zone, number, count);
	expect_listed(zone, number, PAGEBLOCK_ORDER, whole == PAGEBLOCK_ORDER, count);
	expect_listed(zone, number, MAX_ORDER, whole == MAX_ORDER && !(number & 1), count);
	count->pages += pageblock->free_pages;
}

static void check_totals(const struct zone *zone, struct buddy_count *count)
{
	for (unsigned int order = 0; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++) {
			if (count->blocks[order][mt] != zone->free_blocks[order][mt])
				FAULT(count, zone, 0, "order %u %s: %u blocks found, the zone says %u", order,
				      migratetype_name(mt), count->blocks[order][mt], zone->free_blocks[order][mt]);
			if (!block_set_is_sound(&zone->shape, zone_set(zone, order, mt)))
				FAULT(count, zone, 0, "order %u %s: the list's levels disagree", order,
				      migratetype_name(mt));
		}
	if (count->pages != zone->free_pages)
		FAULT(count, zone, 0, "%lu pages found free, the zone says %lu", count->pages, zone->free_pages);
}

int buddy_check(struct zone *zone)
{
	struct buddy_count count = {0};

	spin_lock(&zone->lock);
	for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
		check_pageblock(zone, number, &count);
	check_totals(zone, &count);
	spin_unlock(&zone->lock);
	return count.faulty ? -EINVAL : 0;
}
