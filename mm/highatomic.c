/*
 * The reserve for atomic requests. What is in it is known by the pageblocks' type alone.
 */
#include "mm/highatomic.h"

#include "mm/buddy.h"

/* A hundredth of the zone, but one pageblock at least where there are a few. */
static uint64_t most_pageblocks(const struct zone *zone)
{
	uint64_t blocks = zone->managed_pages / PAGEBLOCK_PAGES;

	return blocks < 8 ? 0 : MAX(blocks / 100, 1ul);
}

void highatomic_reserve_locked(struct zone *zone, uint32_t index)
{
	uint32_t number = index / PAGEBLOCK_PAGES;

	if (zone->nr_highatomic_pageblocks >= most_pageblocks(zone) ||
	    zone->pageblocks[number].migratetype >= MIGRATE_PCPTYPES)
		return;
	buddy_set_migratetype_locked(zone, number, MIGRATE_HIGHATOMIC);
	WRITE_ONCE(zone->nr_highatomic_pageblocks, zone->nr_highatomic_pageblocks + 1);
}

/* The first pageblock on one of the reserve's lists, the largest blocks first. */
static uint32_t find_reserved(const struct zone *zone)
{
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		if (zone->free_blocks[order][MIGRATE_HIGHATOMIC])
			return block_set_first(&zone->shape, zone_set(zone, order, MIGRATE_HIGHATOMIC));
	return BLOCK_SET_NONE;
}

bool highatomic_unreserve(struct zone *zone, enum migratetype mt)
{
	uint32_t number;

	if (!READ_ONCE(zone->nr_highatomic_pageblocks))
		return false;
	spin_lock(&zone->lock);
	number = find_reserved(zone);
	if (number != BLOCK_SET_NONE) {
		/* Two that were joined are counted as two. */
		unsigned int count = zone->pageblocks[number].whole_order == MAX_ORDER ? 2 : 1;

		for (unsigned int at = 0; at < count; at++)
			buddy_set_migratetype_locked(zone, number + at, mt);
		WRITE_ONCE(zone->nr_highatomic_pageblocks, zone->nr_highatomic_pageblocks - count);
	}
	spin_unlock(&zone->lock);
	return number != BLOCK_SET_NONE;
}
