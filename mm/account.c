/*
 * Accounting: how many pages there are, and whose.
 *
 * Nothing is counted twice. Free pages are on the zones' lists or on per-CPU lists; owned ones are in the counters
 * that each CPU keeps beside its lists, of which only the sum means something; the rest is reserved. memory_check()
 * holds this against the tags, page by page.
 */
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/daemon.h"
#include "mm/hinting.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/watermark.h"

const char *page_owner_name(enum page_owner owner)
{
	static const char *const names[NR_PAGE_OWNERS] = {
		[PAGE_OWNER_NONE] = "free",
		[PAGE_OWNER_RESERVED] = "reserved",
		[PAGE_OWNER_KERNEL] = "kernel",
		[PAGE_OWNER_SLAB] = "slab",
		[PAGE_OWNER_PAGE_TABLE] = "page_table",
		[PAGE_OWNER_STACK] = "stack",
		[PAGE_OWNER_DRIVER] = "driver",
		[PAGE_OWNER_BALLOON] = "balloon",
		[PAGE_OWNER_PAGE_CACHE] = "page_cache",
		[PAGE_OWNER_ANON] = "anon",
		[PAGE_OWNER_DMABUF] = "dmabuf",
		[PAGE_OWNER_WORKLOAD] = "workload",
		[PAGE_OWNER_TEST] = "test",
		[PAGE_OWNER_HINTED] = "hinted",
	};

	return owner < NR_PAGE_OWNERS ? names[owner] : "?";
}

static void add_zone(const struct zone *zone, struct memory_info *info)
{
	info->total += zone->managed_pages;
	info->free += zone_free_pages(zone) + pcp_pages(zone);
	info->by_owner[PAGE_OWNER_RESERVED] += zone->present_pages - zone->managed_pages;
	info->by_owner[PAGE_OWNER_HINTED] += READ_ONCE(zone->hinted_pages);
	info->available += READ_ONCE(zone->hinted_pages);
	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
		for (unsigned int owner = 0; owner < NR_PAGE_OWNERS; owner++)
			info->by_owner[owner] += (uint64_t)READ_ONCE(zone->pcps[cpu].owned_pages[owner]);
}

void memory_info_get(struct memory_info *info)
{
	uint64_t reserve = memory_reserve_pages();

	*info = (struct memory_info){0};
	for_each_zone(zone) add_zone(zone, info);
	info->by_owner[PAGE_OWNER_NONE] = info->free;
	info->cached = info->by_owner[PAGE_OWNER_PAGE_CACHE];
	info->available += info->free + info->cached;
	info->available -= MIN(info->available, reserve);
}

uint64_t memory_reserve_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += watermark_pages(zone, WATERMARK_HIGH);
	return pages;
}

int memory_check(void)
{
	int result = 0;

	page_hinting_hold();
	daemons_hold();
	for_each_zone(zone) result = zone_check(zone) ? -EINVAL : result;
	daemons_release();
	page_hinting_release();
	return result;
}
