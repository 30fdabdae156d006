/*
 * Charging pages: what happens once there is a group. See mm/memcg.h.
 */
#include "mm/memcg.h"

#include "mm/lru.h"
#include "mm/memory.h"
#include "mm/migrate.h"
#include "mm/vm/device.h"

const struct memcg_ops *memcg_ops;

void memcg_register(const struct memcg_ops *ops)
{
	store_release(&memcg_ops, ops);
}

struct mem_cgroup *memcg_get_current(void)
{
	const struct memcg_ops *ops = load_acquire(&memcg_ops);

	return ops ? ops->get_current() : NULL;
}

enum memcg_count memcg_kind_of(const struct page *page)
{
	if (page_is(page, PAGE_HUGE))
		return MEMCG_ANON_THP;
	return page_owner_is_anon(page) ? MEMCG_ANON : MEMCG_FILE;
}

int memcg_charge_page(struct mem_cgroup *memcg, struct page *page, bool reclaim)
{
	int error = memcg_ops->charge(memcg, memcg_kind_of(page), 1ul << page_map_order(page), reclaim);

	if (!error)
		page->memcg = memcg;
	return error;
}

int memcg_charge_current(struct page *page, bool reclaim)
{
	struct mem_cgroup *memcg = memcg_get_current();
	int error = memcg_charge(memcg, page, reclaim);

	memcg_put(memcg);
	return error;
}

void memcg_batch_add(struct memcg_batch *batch, struct page *page, uint64_t pages)
{
	enum memcg_count kind = memcg_kind_of(page);

	if (batch->memcg != page->memcg || batch->kind != kind) {
		memcg_batch_end(batch);
		*batch = (struct memcg_batch){.memcg = page->memcg, .kind = kind};
	}
	batch->pages += pages;
	page->memcg = NULL;
}

void memcg_hand_over_page(struct page *from, struct page *to)
{
	to->memcg = from->memcg;
	lru_set_memcg(from, NULL);
}

static void look_at_pageblock(const struct zone *zone, uint32_t index, void (*look)(struct page *page, uint64_t pages))
{
	uint32_t end = index + PAGEBLOCK_PAGES;
	uint8_t tag;

	for (; index < end && migrate_find_locked(zone, &index, end, &tag); index += 1u << TAG_ORDER(tag)) {
		struct page *page = zone_page(zone, index);

		if ((TAG_OWNER(tag) == PAGE_OWNER_ANON || TAG_OWNER(tag) == PAGE_OWNER_PAGE_CACHE) && page->memcg)
			look(page, 1ul << TAG_ORDER(tag));
	}
}

void memcg_for_each_page(void (*look)(struct page *page, uint64_t pages))
{
	for_each_zone(zone) for (uint32_t index = 0; index < zone->nr_pageblocks * PAGEBLOCK_PAGES;
				 index += PAGEBLOCK_PAGES)
	{
		spin_lock(&zone->lock);
		look_at_pageblock(zone, index, look);
		spin_unlock(&zone->lock);
	}
	device_for_each_page(look);
}
