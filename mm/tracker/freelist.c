/*
 * Tracker `freelist`: the free lists themselves are the index, a flag says which of their pageblocks were told.
 *
 * The flag means: nothing free here, of at least the minimum order, has not been told. Freeing such a block clears
 * it; a scan walks the lists for pageblocks without it. Costs no memory and the free path next to nothing, but each
 * scan passes everything free, told or not.
 *
 * The flag is set when the first block of a pageblock is told, before the last one is. A scan that is interrupted
 * within a pageblock goes on there by its cursor whatever the flag says; what is freed meanwhile clears it for the next
 * round.
 */
#include "mm/tracker/tracker.h"

static size_t bytes(const struct zone *zone UNUSED, unsigned int min_order UNUSED)
{
	return 0;
}

static void set_told(struct zone *zone, uint32_t index, unsigned int order, bool told)
{
	uint32_t number = index / PAGEBLOCK_PAGES, last = (index + (1u << order) - 1) / PAGEBLOCK_PAGES;

	for (; number <= last; number++) {
		struct pageblock *pageblock = &zone->pageblocks[number];
		unsigned int rest = pageblock->flags & ~PAGEBLOCK_TOLD;

		/* Other flags are read without the lock. */
		WRITE_ONCE(pageblock->flags, (uint8_t)(rest | (told ? PAGEBLOCK_TOLD : 0)));
	}
}

static void forget_told(struct tracked_zone *tracked)
{
	for (uint32_t number = 0; number < tracked->zone->nr_pageblocks; number++)
		set_told(tracked->zone, number * PAGEBLOCK_PAGES, PAGEBLOCK_ORDER, false);
}

static void freed(struct tracked_zone *tracked, uint32_t index, unsigned int order)
{
	set_told(tracked->zone, index, order, false);
}

static void isolated(struct tracked_zone *tracked, uint32_t index, unsigned int order)
{
	set_told(tracked->zone, index, order, true);
}

static void missed(struct tracked_zone *tracked UNUSED, uint32_t index UNUSED)
{
}

/* Pageblocks 64 * @word .. + 63 that are on a list of at least the minimum order. */
static uint64_t listed(const struct tracked_zone *tracked, uint32_t word)
{
	uint64_t numbers = 0;

	for (unsigned int order = tracked->min_order; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
			numbers |= zone_set(tracked->zone, order, mt)[word];
	return numbers;
}

static bool is_told(const struct zone *zone, uint32_t number)
{
	const struct pageblock *pageblock = &zone->pageblocks[number];

	if (!(pageblock->flags & PAGEBLOCK_TOLD))
		return false;
	return pageblock->whole_order != MAX_ORDER || (pageblock[1].flags & PAGEBLOCK_TOLD);
}

/* Within a pageblock that is not free as a whole; the orders rise, so the lowest block is not always first. */
static uint32_t next_within(const struct tracked_zone *tracked, uint32_t number, unsigned int from)
{
	const struct pageblock *pageblock = &tracked->zone->pageblocks[number];
	unsigned int first = PAGEBLOCK_PAGES;

	if (pageblock->whole_order)
		return from ? ZONE_INDEX_NONE : number * PAGEBLOCK_PAGES;
	for (unsigned int order = tracked->min_order; order < PAGEBLOCK_ORDER; order++)
		if (pageblock->blocks[order])
			first = MIN(first, pageblock_find(pageblock, order, from));
	return first < PAGEBLOCK_PAGES ? number * PAGEBLOCK_PAGES + first : ZONE_INDEX_NONE;
}

static uint32_t next(struct tracked_zone *tracked, uint32_t from)
{
	const struct zone *zone = tracked->zone;
	uint32_t index = ZONE_INDEX_NONE, start = DIV_ROUND_UP(from, PAGEBLOCK_PAGES);

	if (from % PAGEBLOCK_PAGES)
		index = next_within(tracked, from / PAGEBLOCK_PAGES, from % PAGEBLOCK_PAGES);
	for (uint32_t word = start / 64; index == ZONE_INDEX_NONE && word * 64 < zone->nr_pageblocks; word++) {
		uint64_t numbers = listed(tracked, word);

		if (word == start / 64)
			numbers &= ~0ull << start % 64;
		for (; numbers && index == ZONE_INDEX_NONE; numbers &= numbers - 1) {
			uint32_t number = word * 64 + (uint32_t)__builtin_ctzll(numbers);

			if (!is_told(zone, number))
				index = next_within(tracked, number, 0);
		}
	}
	return index;
}

static int check(struct tracked_zone *tracked UNUSED)
{
	return 0;
}

const struct hinting_tracker hinting_tracker_freelist = {
	.name = "freelist",
	.bytes = bytes,
	.start = forget_told,
	.stop = forget_told,
	.freed = freed,
	.next = next,
	.isolated = isolated,
	.missed = missed,
	.check = check,
};
