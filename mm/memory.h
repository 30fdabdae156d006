/*
 * The machine's memory as a whole: its nodes and zones. For mm/ itself; users see mm/page_alloc.h.
 */
#pragma once

#include "kernel/machine.h"
#include "mm/kcompactd.h"
#include "mm/kswapd.h"
#include "mm/lru.h"
#include "mm/memblock.h"
#include "mm/page_alloc.h"
#include "mm/zone.h"

#define MEMORY_MAX_ZONES   (MACHINE_MAX_NODES * NR_ZONE_TYPES)
#define ZONE_GRANULE_SHIFT (PAGE_SHIFT + MAX_ORDER) /* 4 MiB belong to one zone */

struct node {
	int id;
	/* Where its allocations look, in order, NULL at the end: own zones from the highest, then the next node's. */
	struct zone *zonelist[MEMORY_MAX_ZONES + 1];
	struct zone *zones[NR_ZONE_TYPES]; /* NULL: the node has none of that type */
	struct kswapd kswapd;
	struct kcompactd kcompactd;
	struct lru lru;
};

struct memory {
	uint32_t nr_nodes, nr_zones;
	uint64_t end_granule;
	struct zone **zone_map; /* by granule; NULL: no zone's */
	struct node nodes[MACHINE_MAX_NODES];
	struct zone zones[MEMORY_MAX_ZONES];
	int (*map_structs)(uint64_t virt, uint64_t phys, uint64_t bytes); /* NULL: all are mapped */
};

extern struct memory memory;

/*
 * Builds nodes and zones from @mb and @machine and gives all free memory to them; from then on alloc_pages() works
 * and @mb is closed. @map_structs maps memory for page structures, -EEXIST if there is some; NULL: all are mapped.
 * Panics if the memory does not even suffice for its own description.
 */
void mm_init(struct memblock *mb, const struct machine *machine,
	     int (*map_structs)(uint64_t virt, uint64_t phys, uint64_t bytes));
/* /proc/meminfo and its like. */
int memory_files_init(void) MUST_CHECK;
/* /proc/slabinfo, /proc/sys/vm/drop_caches; with memory_files_init(). */
int reclaim_files_init(void) MUST_CHECK;
/* /proc/sys/vm. */
int memory_sysctls_init(void) MUST_CHECK;

/* NULL for a pfn that no zone has. */
static inline struct zone *zone_of_pfn(uint64_t pfn)
{
	uint64_t granule = pfn >> MAX_ORDER;

	return likely(granule < memory.end_granule) ? memory.zone_map[granule] : NULL;
}

/*
 * Owner and order (TAG_OWNER, TAG_ORDER) of the first page of a block that somebody holds: a look at its byte, where
 * page_owner() and page_order() first have to find out what there is at all.
 */
static inline uint8_t page_tag_held(const struct page *page)
{
	uint64_t pfn = page_to_pfn(page);
	const struct zone *zone = zone_of_pfn(pfn);

	return load_relaxed(&zone->tags[pfn - zone->start_pfn]);
}

#define for_each_zone(zone) for (struct zone *zone = memory.zones; zone < memory.zones + memory.nr_zones; zone++)
