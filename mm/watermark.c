/*
 * Watermarks by the well-known rules.
 *
 * min: min_free_kbytes, shared out by size; low and high: above it by a quarter of min, or by
 * watermark_scale_factor of the zone if that is more, once and twice. Requests that could have been served from a
 * higher zone leave lowmem_reserve behind in a lower one: 1/ratio of all memory above it.
 */
#include "mm/watermark.h"

#include "mm/memory.h"

struct watermark_settings watermark_settings = {
	.scale_factor = 10,
	.boost_factor = 15000,
	.lowmem_reserve_ratio = {[ZONE_DMA] = 256, [ZONE_DMA32] = 256, [ZONE_NORMAL] = 32},
};

static uint64_t square_root(uint64_t of)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= of)
			root += bit;
	return root;
}

uint64_t watermark_default_min_free_kbytes(uint64_t lowmem_kbytes)
{
	uint64_t kbytes = square_root(lowmem_kbytes * 16);

	kbytes = MIN(kbytes, 65536ul);
	return MAX(kbytes, 128ul);
}

static uint64_t managed_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += zone->managed_pages;
	return pages;
}

static void set_marks(struct zone *zone, uint64_t min_pages, uint64_t all_pages)
{
	uint64_t min = all_pages ? min_pages * zone->managed_pages / all_pages : 0;
	uint64_t step = MAX(min / 4, zone->managed_pages * watermark_settings.scale_factor / 10000);

	WRITE_ONCE(zone->watermark[WATERMARK_MIN], min);
	WRITE_ONCE(zone->watermark[WATERMARK_LOW], min + step);
	WRITE_ONCE(zone->watermark[WATERMARK_HIGH], min + 2 * step);
}

/* Of the same node: what is above @zone, up to @type. */
static void set_reserves(struct zone *zone)
{
	struct node *node = &memory.nodes[zone->node];
	uint64_t above = 0, ratio = watermark_settings.lowmem_reserve_ratio[zone->type];

	for (unsigned int type = zone->type + 1; type < NR_ZONE_TYPES; type++) {
		above += node->zones[type] ? node->zones[type]->managed_pages : 0;
		WRITE_ONCE(zone->lowmem_reserve[type], ratio ? above / ratio : 0);
	}
}

void watermark_set_all(void)
{
	uint64_t all_pages = managed_pages();

	if (!watermark_settings.min_free_kbytes)
		watermark_settings.min_free_kbytes = watermark_default_min_free_kbytes(all_pages * (PAGE_SIZE / 1024));
	for_each_zone(zone)
	{
		set_marks(zone, watermark_settings.min_free_kbytes / (PAGE_SIZE / 1024), all_pages);
		set_reserves(zone);
	}
}

uint64_t watermark_pages(const struct zone *zone, enum watermark mark)
{
	return READ_ONCE(zone->watermark[mark]) + READ_ONCE(zone->watermark_boost);
}

uint64_t watermark_boost_limit(const struct zone *zone)
{
	uint64_t factor = READ_ONCE(watermark_settings.boost_factor);

	if (!factor || zone->managed_pages < 4 * PAGEBLOCK_PAGES)
		return 0;
	return MAX(READ_ONCE(zone->watermark[WATERMARK_HIGH]) * factor / 10000, (uint64_t)PAGEBLOCK_PAGES);
}

void watermark_boost_locked(struct zone *zone, uint64_t pages)
{
	if (watermark_boost_limit(zone))
		WRITE_ONCE(zone->watermark_boost, MIN(zone->watermark_boost + pages, watermark_boost_limit(zone)));
}

/* What a request may use beside the common types, as bits. */
#define ALSO(mt) (1u << (mt))

/* Free pages that this request cannot have. */
static uint64_t out_of_reach(const struct zone *zone, uint32_t also)
{
	uint64_t pages = 0;

	if (unlikely(READ_ONCE(zone->nr_isolated_pageblocks)))
		pages += zone_free_of_type(zone, MIGRATE_ISOLATE);
	if (unlikely(READ_ONCE(zone->nr_highatomic_pageblocks)) && !(also & ALSO(MIGRATE_HIGHATOMIC)))
		pages += zone_free_of_type(zone, MIGRATE_HIGHATOMIC);
	if (unlikely(READ_ONCE(zone->cma_pages)) && !(also & ALSO(MIGRATE_CMA)))
		pages += zone_free_of_type(zone, MIGRATE_CMA);
	return pages;
}

static bool has_block(const struct zone *zone, unsigned int order, uint32_t also)
{
	for (; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
			if ((mt < MIGRATE_PCPTYPES || (also & ALSO(mt))) && READ_ONCE(zone->free_blocks[order][mt]))
				return true;
	return false;
}

static bool is_ok(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest, uint32_t also)
{
	uint64_t free = zone_free_pages(zone),
		 needed = (1ull << order) + mark + READ_ONCE(zone->lowmem_reserve[highest]);

	if (free < needed + out_of_reach(zone, also))
		return false;
	return order == 0 || has_block(zone, order, also);
}

bool watermark_ok(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest)
{
	return is_ok(zone, order, mark, highest, 0);
}

bool watermark_ok_movable(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest)
{
	return is_ok(zone, order, mark, highest, ALSO(MIGRATE_CMA));
}

bool watermark_ok_atomic(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest)
{
	return is_ok(zone, order, mark, highest, ALSO(MIGRATE_HIGHATOMIC));
}
