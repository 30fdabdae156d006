/*
 * From memblock to nodes, zones and free lists.
 *
 * Memory is handled in granules of the largest block, 4 MiB, each of which belongs to one zone, so that no block ever
 * crosses a zone's border; where nodes meet within a granule, the lower one gets it. Zones that have
 * memory get their arrays from memblock, on their own node. Page structures are one array in virtual memory, mapped
 * where there is memory, and left as they are: a pageblock's are prepared when it is first split.
 */
#include "mm/memory.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/hinting_internal.h"
#include "mm/pcp.h"
#include "mm/watermark.h"

struct memory memory;

/* A piece of memory of one zone, in pages. */
struct extent {
	uint64_t first_pfn, end_pfn;
	uint32_t node;
	enum zone_type type;
};

static const uint64_t zone_end_pfn[NR_ZONE_TYPES] = {
	[ZONE_DMA] = MIB(16) >> PAGE_SHIFT,
	[ZONE_DMA32] = GIB(4) >> PAGE_SHIFT,
	[ZONE_NORMAL] = UINT64_MAX,
};

const char *zone_type_name(enum zone_type type)
{
	static const char *const names[NR_ZONE_TYPES] = {"DMA", "DMA32", "Normal", "Movable"};

	return names[type];
}

struct setup {
	struct memblock *mb;
	const struct machine *machine;
	uint64_t shared_granule_end; /* the granule that the region before reached into, and whose it is */
	uint32_t shared_node;
};

/* The next extent at or after pfn *@at. */
static bool next_extent(struct setup *setup, uint64_t *at, struct extent *extent)
{
	for (size_t r = 0; r < setup->mb->nr_memory; r++) {
		const struct memblock_region *region = &setup->mb->memory[r];
		uint64_t first = MAX(*at, DIV_ROUND_UP(region->start, PAGE_SIZE)), end = region->end / PAGE_SIZE;
		uint32_t node = (uint32_t)MAX(region->node, 0);

		if (first >= end)
			continue;
		if (first < setup->shared_granule_end) {
			end = MIN(end, setup->shared_granule_end);
			node = setup->shared_node;
		}
		extent->type = ZONE_DMA;
		while (first >= zone_end_pfn[extent->type])
			extent->type++;
		*extent = (struct extent){first, MIN(end, zone_end_pfn[extent->type]), node, extent->type};
		setup->shared_granule_end = ALIGN_UP(extent->end_pfn, 1ul << MAX_ORDER);
		setup->shared_node = node;
		*at = extent->end_pfn;
		return true;
	}
	return false;
}

#define for_each_extent(setup, extent) \
	for (uint64_t _at = ((setup)->shared_granule_end = 0); next_extent((setup), &_at, &(extent));)

static void *setup_alloc(struct setup *setup, uint64_t bytes, uint64_t align, uint32_t node)
{
	uint64_t phys = memblock_alloc(setup->mb, bytes, align, (int)node, UINT64_MAX);

	if (!phys)
		panic("memory: no room for %lu bytes of its own description", bytes);
	return phys_to_virt(phys);
}

/* ---- page structures ----------------------------------------------------------------------------------------------
 */

static struct page *page_structs(void)
{
	return (struct page *)PAGE_STRUCT_BASE;
}

/* Whole large pages, in one piece if memblock has one. */
static void map_one_range(struct setup *setup, uint64_t virt, uint64_t end, uint32_t node,
			  int (*map)(uint64_t virt, uint64_t phys, uint64_t bytes))
{
	uint64_t phys = memblock_alloc(setup->mb, end - virt, LARGE_PAGE_SIZE, (int)node, UINT64_MAX);

	if (!phys && end - virt > LARGE_PAGE_SIZE) {
		for (; virt < end; virt += LARGE_PAGE_SIZE)
			map_one_range(setup, virt, virt + LARGE_PAGE_SIZE, node, map);
		return;
	}
	if (!phys || map(virt, phys, end - virt))
		panic("memory: no room for page structures of node %u", node);
}

static void map_page_structs(struct setup *setup, int (*map)(uint64_t virt, uint64_t phys, uint64_t bytes))
{
	uint64_t mapped = 0;
	struct extent extent;

	for_each_extent(setup, extent)
	{
		uint64_t virt = ALIGN_DOWN((uint64_t)&page_structs()[extent.first_pfn], LARGE_PAGE_SIZE);
		uint64_t end = ALIGN_UP((uint64_t)&page_structs()[extent.end_pfn], LARGE_PAGE_SIZE);

		virt = MAX(virt, mapped);
		if (virt < end)
			map_one_range(setup, virt, end, extent.node, map);
		mapped = MAX(mapped, end);
	}
}

/* ---- zones --------------------------------------------------------------------------------------------------------
 */

static void span_zones(struct setup *setup, struct zone_config spans[MACHINE_MAX_NODES][NR_ZONE_TYPES])
{
	struct extent extent;

	for_each_extent(setup, extent)
	{
		struct zone_config *span = &spans[extent.node][extent.type];
		uint64_t start = ALIGN_DOWN(extent.first_pfn, 1ul << MAX_ORDER);

		ASSERT(extent.node < MACHINE_MAX_NODES, "node %u", extent.node);
		if (!span->end_pfn)
			span->start_pfn = start;
		span->end_pfn = extent.end_pfn;
		memory.nr_nodes = MAX(memory.nr_nodes, extent.node + 1);
		memory.end_granule = DIV_ROUND_UP(extent.end_pfn, 1ul << MAX_ORDER);
	}
}

static void make_zone(struct setup *setup, struct zone_config *config)
{
	struct zone *zone = &memory.zones[memory.nr_zones++];

	config->name = zone_type_name(config->type);
	config->pages = page_structs() + config->start_pfn;
	zone_init(zone, config, setup_alloc(setup, zone_metadata_bytes(config), 128, (uint32_t)config->node));
	memory.nodes[config->node].zones[config->type] = zone;
}

/* Without tables the number comes from elsewhere, and some may not come up. */
static uint32_t possible_cpus(const struct machine *machine)
{
	size_t cpus = MAX(machine->nr_cpus, machine->cpus_expected);

	cpus = MAX(cpus, 1ul);
	return (uint32_t)MIN(cpus, (size_t)MAX_CPUS);
}

static void make_zones(struct setup *setup)
{
	struct zone_config spans[MACHINE_MAX_NODES][NR_ZONE_TYPES] = {0};

	span_zones(setup, spans);
	memory.nr_nodes = MAX(memory.nr_nodes, (uint32_t)setup->machine->nr_nodes);
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		for (unsigned int type = 0; type < NR_ZONE_TYPES; type++) {
			struct zone_config *config = &spans[node][type];

			config->node = (int)node;
			config->type = type;
			config->nr_cpus = possible_cpus(setup->machine);
			if (config->end_pfn)
				make_zone(setup, config);
		}
}

static void fill_zone_map(struct setup *setup)
{
	struct extent extent;

	memory.zone_map = setup_alloc(setup, memory.end_granule * sizeof(*memory.zone_map), CACHE_LINE_BYTES, 0);
	memset(memory.zone_map, 0, memory.end_granule * sizeof(*memory.zone_map));
	for_each_extent(setup, extent)
	{
		struct zone *zone = memory.nodes[extent.node].zones[extent.type];
		uint64_t end = DIV_ROUND_UP(extent.end_pfn, 1ul << MAX_ORDER);

		for (uint64_t granule = extent.first_pfn >> MAX_ORDER; granule < end; granule++)
			memory.zone_map[granule] = zone;
		zone_add_present(zone, extent.first_pfn, extent.end_pfn);
	}
}

/* Free ranges may cross zones' borders; the map says where. */
static void release_range(uint64_t first_pfn, uint64_t end_pfn)
{
	while (first_pfn < end_pfn) {
		struct zone *zone = zone_of_pfn(first_pfn);
		uint64_t next = MIN(end_pfn, zone->start_pfn + zone->spanned_pages);
		uint64_t granule = (first_pfn >> MAX_ORDER) + 1;

		while (granule << MAX_ORDER < next && memory.zone_map[granule] == zone)
			granule++;
		next = MIN(next, granule << MAX_ORDER);
		zone_add_free(zone, first_pfn, next);
		first_pfn = next;
	}
}

static void release_free_memory(struct memblock *mb)
{
	struct memblock_region range;

	for (uint64_t at = 0; memblock_next_free(mb, &at, &range);) {
		uint64_t first = DIV_ROUND_UP(range.start, PAGE_SIZE), end = range.end / PAGE_SIZE;

		if (first < end)
			release_range(first, end);
	}
}

/* ---- where to look, in order --------------------------------------------------------------------------------------
 */

static unsigned int distance(const struct machine *machine, uint32_t from, uint32_t to)
{
	unsigned int known = machine->distance[from][to];

	return known ? known : from == to ? 10 : 20;
}

/* The nearest node not yet in @seen; of several the next in a ring, so that not all load the same one. */
static uint32_t nearest_node(const struct machine *machine, uint32_t from, uint32_t seen)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t step = 0; step < memory.nr_nodes; step++) {
		uint32_t node = (from + step) % memory.nr_nodes;

		if (!(seen & 1u << node) &&
		    (best == UINT32_MAX || distance(machine, from, node) < distance(machine, from, best)))
			best = node;
	}
	return best;
}

static void make_zonelist(const struct machine *machine, uint32_t from)
{
	struct node *node = &memory.nodes[from];
	uint32_t filled = 0, seen = 0;

	node->id = (int)from;
	kswapd_init(&node->kswapd);
	kcompactd_init(&node->kcompactd);
	lru_init(&node->lru);
	for (uint32_t count = 0; count < memory.nr_nodes; count++) {
		uint32_t next = count ? nearest_node(machine, from, seen) : from;

		seen |= 1u << next;
		for (unsigned int type = NR_ZONE_TYPES; type--;)
			if (memory.nodes[next].zones[type])
				node->zonelist[filled++] = memory.nodes[next].zones[type];
	}
	node->zonelist[filled] = NULL;
}

static void init_hinting(void)
{
	struct zone *zones[MEMORY_MAX_ZONES];

	for (uint32_t at = 0; at < memory.nr_zones; at++)
		zones[at] = &memory.zones[at];
	hinting_init(&page_hinting, zones, memory.nr_zones, true);
}

void mm_init(struct memblock *mb, const struct machine *machine,
	     int (*map_structs)(uint64_t virt, uint64_t phys, uint64_t bytes))
{
	struct setup setup = {.mb = mb, .machine = machine};

	memory = (struct memory){.map_structs = map_structs};
	if (map_structs)
		map_page_structs(&setup, map_structs);
	make_zones(&setup);
	if (!memory.nr_zones)
		panic("memory: there is none");
	fill_zone_map(&setup);
	release_free_memory(mb);
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		make_zonelist(machine, node);
	watermark_set_all();
	init_hinting();
}
