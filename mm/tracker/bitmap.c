/*
 * Tracker `bitmap`: a bit per block of the minimum order, set when such a block is freed, cleared when it is told or
 * found to be in use. A set bit says that the block may be free; each is looked at once, however full the zone is.
 *
 * Within a pageblock the block that it merged into is marked; of two pageblocks only the one that was freed: the other
 * was told before.
 */
#include "kernel/printk.h"
#include "lib/bitmap.h"
#include "lib/errno.h"
#include "mm/tracker/tracker.h"

/* A block that the zone's end cuts off has bits too. */
static uint64_t bits_of(const struct zone *zone, unsigned int min_order)
{
	return DIV_ROUND_UP((uint64_t)zone->nr_pageblocks * PAGEBLOCK_PAGES, 1ull << min_order);
}

static size_t bytes(const struct zone *zone, unsigned int min_order)
{
	return BITMAP_WORDS(bits_of(zone, min_order)) * sizeof(uint64_t);
}

static void freed(struct tracked_zone *tracked, uint32_t index, unsigned int order)
{
	uint32_t bit = index >> tracked->min_order, end = (index + (1u << order) - 1) >> tracked->min_order;

	for (; bit <= end; bit++) {
		tracked->marked += !bitmap_test(tracked->books, bit);
		bitmap_set(tracked->books, bit);
	}
}

/* Whatever may be free is looked at once; what is reserved or was never there is not marked. */
static void start(struct tracked_zone *tracked)
{
	struct zone *zone = tracked->zone;

	for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
		if (zone->pageblocks[number].free_pages)
			freed(tracked, number * PAGEBLOCK_PAGES, PAGEBLOCK_ORDER);
}

static void stop(struct tracked_zone *tracked UNUSED)
{
}

static uint32_t next(struct tracked_zone *tracked, uint32_t from)
{
	uint64_t bits = bits_of(tracked->zone, tracked->min_order);
	uint64_t bit =
		bitmap_next_set(tracked->books, bits, (from + (1ull << tracked->min_order) - 1) >> tracked->min_order);

	return bit < bits ? (uint32_t)(bit << tracked->min_order) : ZONE_INDEX_NONE;
}

static void unmark(struct tracked_zone *tracked, uint32_t index, unsigned int order)
{
	uint32_t bit = index >> tracked->min_order, end = (index + (1u << order) - 1) >> tracked->min_order;

	for (; bit <= end; bit++) {
		tracked->marked -= bitmap_test(tracked->books, bit);
		bitmap_clear(tracked->books, bit);
	}
}

static void missed(struct tracked_zone *tracked, uint32_t index)
{
	unmark(tracked, index, 0);
}

static int check(struct tracked_zone *tracked)
{
	uint64_t set = bitmap_count(tracked->books, 0, bits_of(tracked->zone, tracked->min_order));

	if (set == tracked->marked)
		return 0;
	pr_err("page_hinting: zone %s: %lu bits are set, %lu are counted", tracked->zone->name, set, tracked->marked);
	return -EINVAL;
}

const struct hinting_tracker hinting_tracker_bitmap = {
	.name = "bitmap",
	.bytes = bytes,
	.start = start,
	.stop = stop,
	.freed = freed,
	.next = next,
	.isolated = unmark,
	.missed = missed,
	.check = check,
};
