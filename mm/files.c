/*
 * What a user sees of physical memory, under Linux's names and in Linux's formats: /proc/meminfo, buddyinfo,
 * pagetypeinfo, zoneinfo and vmstat; and /proc/pageowners, ours: every page by who holds it.
 *
 * Only figures that exist here are shown; where a tool expects a line that we have nothing for, it says 0.
 */
#include "kernel/vfile.h"

#include "lib/errno.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/pcp.h"
#include "mm/slab.h"
#include "mm/trace.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

/* ---- /proc/meminfo ------------------------------------------------------------------------------------------------
 */

static void show_kb(struct sink *out, const char *name, uint64_t pages)
{
	sink_printf(out, "%-16s%8lu kB\n", name, (pages * (PAGE_SIZE / 1024)));
}

static uint64_t cma_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += READ_ONCE(zone->cma_pages);
	return pages;
}

static uint64_t free_cma_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += zone_free_of_type(zone, MIGRATE_CMA);
	return pages;
}

/* Of the slabs' pages, though the two figures were not read at the same time. */
static uint64_t reclaimable_slabs(const struct memory_info *info)
{
	return MIN(slab_reclaimable_pages(), info->by_owner[PAGE_OWNER_SLAB]);
}

static void show_lists(struct sink *out)
{
	uint64_t inactive_anon = lru_pages(LRU_INACTIVE_ANON), active_anon = lru_pages(LRU_ACTIVE_ANON);
	uint64_t inactive_file = lru_pages(LRU_INACTIVE_FILE), active_file = lru_pages(LRU_ACTIVE_FILE);

	show_kb(out, "Active:", active_anon + active_file);
	show_kb(out, "Inactive:", inactive_anon + inactive_file);
	show_kb(out, "Active(anon):", active_anon);
	show_kb(out, "Inactive(anon):", inactive_anon);
	show_kb(out, "Active(file):", active_file);
	show_kb(out, "Inactive(file):", inactive_file);
	show_kb(out, "Unevictable:", lru_pages(LRU_UNEVICTABLE));
}

static int meminfo_show(struct sink *out, void *context UNUSED)
{
	struct page_cache_info cache;
	struct memory_info info;
	uint64_t reclaimable;

	page_cache_info_get(&cache);
	memory_info_get(&info);
	reclaimable = reclaimable_slabs(&info);
	show_kb(out, "MemTotal:", info.total);
	show_kb(out, "MemFree:", info.free);
	show_kb(out, "MemAvailable:", info.available);
	show_kb(out, "Buffers:", 0);
	show_kb(out, "Cached:", info.cached);
	show_kb(out, "SwapCached:", 0);
	show_lists(out);
	show_kb(out, "SwapTotal:", 0);
	show_kb(out, "SwapFree:", 0);
	show_kb(out, "Dirty:", cache.dirty_pages);
	show_kb(out, "Writeback:", 0);
	show_kb(out, "AnonPages:", info.by_owner[PAGE_OWNER_ANON]);
	show_kb(out, "KReclaimable:", reclaimable);
	show_kb(out, "Slab:", info.by_owner[PAGE_OWNER_SLAB]);
	show_kb(out, "SReclaimable:", reclaimable);
	show_kb(out, "SUnreclaim:", info.by_owner[PAGE_OWNER_SLAB] - reclaimable);
	show_kb(out, "KernelStack:", info.by_owner[PAGE_OWNER_STACK]);
	show_kb(out, "PageTables:", info.by_owner[PAGE_OWNER_PAGE_TABLE]);
	show_kb(out, "CmaTotal:", cma_pages());
	show_kb(out, "CmaFree:", free_cma_pages());
	show_kb(out, "Balloon:", info.by_owner[PAGE_OWNER_BALLOON]);
	return 0;
}

/* ---- /proc/buddyinfo, pagetypeinfo --------------------------------------------------------------------------------
 */

static uint64_t free_blocks(const struct zone *zone, unsigned int order)
{
	uint64_t blocks = 0;

	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
		blocks += READ_ONCE(zone->free_blocks[order][mt]);
	return blocks;
}

static int buddyinfo_show(struct sink *out, void *context UNUSED)
{
	for_each_zone(zone)
	{
		sink_printf(out, "Node %d, zone %8s ", zone->node, zone->name);
		for (unsigned int order = 0; order < NR_ORDERS; order++)
			sink_printf(out, "%6lu ", free_blocks(zone, order));
		sink_printf(out, "\n");
	}
	return 0;
}

static void show_free_by_type(struct sink *out, const struct zone *zone)
{
	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++) {
		sink_printf(out, "Node %4d, zone %8s, type %12s ", zone->node, zone->name, migratetype_name(mt));
		for (unsigned int order = 0; order < NR_ORDERS; order++)
			sink_printf(out, "%6u ", READ_ONCE(zone->free_blocks[order][mt]));
		sink_printf(out, "\n");
	}
}

static void show_pageblocks(struct sink *out, const struct zone *zone)
{
	uint64_t blocks[MIGRATE_TYPES] = {0};

	for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
		if (READ_ONCE(zone->pageblocks[number].flags) & PAGEBLOCK_PRESENT)
			blocks[READ_ONCE(zone->pageblocks[number].migratetype)]++;
	sink_printf(out, "Node %d, zone %8s ", zone->node, zone->name);
	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
		sink_printf(out, "%12lu ", blocks[mt]);
	sink_printf(out, "\n");
}

static int pagetypeinfo_show(struct sink *out, void *context UNUSED)
{
	sink_printf(out, "Page block order: %u\nPages per block:  %u\n\n", PAGEBLOCK_ORDER, PAGEBLOCK_PAGES);
	sink_printf(out, "%-43s ", "Free pages count per migrate type at order");
	for (unsigned int order = 0; order < NR_ORDERS; order++)
		sink_printf(out, "%6u ", order);
	sink_printf(out, "\n");
	for_each_zone(zone) show_free_by_type(out, zone);
	sink_printf(out, "\n%-23s", "Number of blocks type ");
	for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
		sink_printf(out, "%12s ", migratetype_name(mt));
	sink_printf(out, "\n");
	for_each_zone(zone) show_pageblocks(out, zone);
	return 0;
}

/* ---- /proc/zoneinfo -----------------------------------------------------------------------------------------------
 */

static void show_marks(struct sink *out, const struct zone *zone)
{
	sink_printf(out, "\n  pages free     %lu", zone_free_pages(zone));
	sink_printf(out, "\n        boost    %lu", READ_ONCE(zone->watermark_boost));
	sink_printf(out, "\n        min      %lu", watermark_pages(zone, WATERMARK_MIN));
	sink_printf(out, "\n        low      %lu", watermark_pages(zone, WATERMARK_LOW));
	sink_printf(out, "\n        high     %lu", watermark_pages(zone, WATERMARK_HIGH));
	sink_printf(out, "\n        spanned  %lu", zone->spanned_pages);
	sink_printf(out, "\n        present  %lu", zone->present_pages);
	sink_printf(out, "\n        managed  %lu", zone->managed_pages);
	sink_printf(out, "\n        cma      %lu", READ_ONCE(zone->cma_pages));
	sink_printf(out, "\n        protection: (");
	for (unsigned int type = 0; type < NR_ZONE_TYPES; type++)
		sink_printf(out, "%s%lu", type ? ", " : "", READ_ONCE(zone->lowmem_reserve[type]));
	sink_printf(out, ")");
}

static void show_pageset(struct sink *out, const struct zone *zone, uint32_t cpu)
{
	struct pcp_limits limits = pcp_limits(zone, 0);
	uint32_t count = 0;

	for (unsigned int list = 0; list < MIGRATE_PCPTYPES; list++)
		count += READ_ONCE(zone->pcps[cpu].count[list]);
	sink_printf(out, "\n    cpu: %u", cpu);
	sink_printf(out, "\n              count: %u\n              high:  %u\n              batch: %u", count,
		    limits.high, limits.batch);
}

/* In the node's first zone only. */
static void show_per_node(struct sink *out, const struct zone *zone)
{
	const struct node *node = &memory.nodes[zone->node];

	for (unsigned int type = 0; type < zone->type; type++)
		if (node->zones[type])
			return;
	sink_printf(out, "\n  per-node stats");
	for (enum lru_list list = 0; list < NR_LRU_LISTS; list++)
		sink_printf(out, "\n      nr_%s %lu", lru_list_name(list), READ_ONCE(node->lru.pages[list]));
	sink_printf(out, "\n      nr_isolated  %lu", READ_ONCE(node->lru.isolated));
}

static int zoneinfo_show(struct sink *out, void *context UNUSED)
{
	for_each_zone(zone)
	{
		sink_printf(out, "Node %d, zone %8s", zone->node, zone->name);
		show_per_node(out, zone);
		show_marks(out, zone);
		sink_printf(out, "\n      %-12s %lu", "nr_free_pages", zone_free_pages(zone));
		sink_printf(out, "\n      %-12s %lu", "nr_free_cma", zone_free_of_type(zone, MIGRATE_CMA));
		sink_printf(out, "\n  pagesets");
		for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
			show_pageset(out, zone, cpu);
		sink_printf(out, "\n  node_unreclaimable:  0\n  start_pfn:           %lu\n", zone->start_pfn);
	}
	return 0;
}

/* ---- /proc/vmstat, pageowners -------------------------------------------------------------------------------------
 */

static int vmstat_show(struct sink *out, void *context UNUSED)
{
	static const char *const names[NR_VM_EVENTS] = {
#define X(name) #name,
		VM_EVENTS(X)
#undef X
	};
	struct page_cache_info cache;
	struct memory_info info;
	uint64_t reclaimable;

	page_cache_info_get(&cache);
	memory_info_get(&info);
	reclaimable = reclaimable_slabs(&info);
	sink_printf(out, "nr_free_pages %lu\n", info.free);
	for (enum lru_list list = 0; list < NR_LRU_LISTS; list++)
		sink_printf(out, "nr_%s %lu\n", lru_list_name(list), lru_pages(list));
	sink_printf(out, "nr_free_cma %lu\n", free_cma_pages());
	sink_printf(out, "nr_anon_pages %lu\n", info.by_owner[PAGE_OWNER_ANON]);
	sink_printf(out, "nr_file_pages %lu\n", info.cached);
	sink_printf(out, "nr_dirty %lu\nnr_writeback 0\n", cache.dirty_pages);
	sink_printf(out, "nr_slab_reclaimable %lu\n", reclaimable);
	sink_printf(out, "nr_slab_unreclaimable %lu\n", info.by_owner[PAGE_OWNER_SLAB] - reclaimable);
	sink_printf(out, "nr_kernel_stack %lu\n", (info.by_owner[PAGE_OWNER_STACK] * (PAGE_SIZE / 1024)));
	sink_printf(out, "nr_page_table_pages %lu\n", info.by_owner[PAGE_OWNER_PAGE_TABLE]);
	for (unsigned int event = 0; event < NR_VM_EVENTS; event++)
		sink_printf(out, "%s %lu\n", names[event], vm_event_read(event));
	return 0;
}

static int pageowners_show(struct sink *out, void *context UNUSED)
{
	struct memory_info info;

	memory_info_get(&info);
	for (unsigned int owner = 0; owner < NR_PAGE_OWNERS; owner++)
		sink_printf(out, "%-12s %12lu\n", page_owner_name(owner), info.by_owner[owner]);
	return 0;
}

static const struct {
	const char *path;
	struct vfile_ops ops;
} files[] = {
	{"/proc/meminfo", {.show = meminfo_show}},
	{"/proc/buddyinfo", {.show = buddyinfo_show}},
	{"/proc/pagetypeinfo", {.show = pagetypeinfo_show}},
	{"/proc/zoneinfo", {.show = zoneinfo_show}},
	{"/proc/vmstat", {.show = vmstat_show}},
	{"/proc/pageowners", {.show = pageowners_show}},
};

int memory_files_init(void)
{
	memory_trace_init();
	for (size_t at = 0; at < ARRAY_SIZE(files); at++) {
		int error = vfile_add(files[at].path, &files[at].ops, NULL);

		if (error)
			return error;
	}
	return reclaim_files_init();
}
