/*
 * Zones: a node's memory of one kind, with its free lists, per-CPU lists, watermarks and counters.
 *
 * A zone owns arrays over its span: pageblocks, and one tag a page that says who owns the block that begins there.
 * Tests make private zones of any size the same way: zone_metadata_bytes(), zone_init(), zone_add_present(),
 * zone_add_free().
 *
 * Inside mm/ a page is its index in the zone, a 32-bit number: zone_page() and zone_index() convert.
 * Locking: lock protects pageblocks, sets and counters. A tag belongs to whoever holds the page.
 * Order of locks: a claim of a pcp, then zone->lock; never two of a kind.
 */
#pragma once

#include "kernel/spinlock.h"
#include "mm/block_set.h"
#include "mm/pageblock.h"

enum zone_type { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE, NR_ZONE_TYPES };
enum watermark { WATERMARK_MIN, WATERMARK_LOW, WATERMARK_HIGH, NR_WATERMARKS };

#define ZONE_INDEX_NONE UINT32_MAX

/* A page's tag: order << 4 | owner for the first page of an allocated block; 0 for its other pages and free ones. */
#define TAG(owner, order) ((uint8_t)((order) << 4 | (owner)))
#define TAG_OWNER(tag)	  ((enum page_owner)((tag)&15))
#define TAG_ORDER(tag)	  ((unsigned int)(tag) >> 4)
#define TAG_NONE	  0x00
#define TAG_PCP		  0xf0 /* on a per-CPU list */
#define TAG_ABSENT	  0xe0 /* not memory of this zone */

_Static_assert(NR_PAGE_OWNERS <= 16 && MAX_ORDER < 14, "owner and order fit in a tag");

#define PCP_SMALL_ORDERS 4u			/* orders 0..3 have per-CPU lists, */
#define PCP_CLASSES	 (PCP_SMALL_ORDERS + 1) /* and the pageblock's order */

struct pcp;
struct tracked_zone;
struct pcp_limits {
	uint16_t high, batch;
};

/* What compaction remembers of a zone from run to run (mm/compaction.c); under the lock. */
struct zone_compaction {
	uint32_t source[2], target; /* pageblocks where the linear scan goes on: [sync], and targets */
	uint32_t considered;	    /* requests turned away since the last failure, of 2^defer_shift */
	uint32_t defer_shift;
	uint32_t order_failed; /* the lowest that failed: smaller ones are not turned away */
};

struct zone {
	const char *name; /* "DMA32" */
	int node;
	enum zone_type type;
	uint32_t nr_cpus;
	uint64_t start_pfn; /* a multiple of the largest block */
	uint64_t spanned_pages, present_pages, managed_pages;
	uint32_t nr_pageblocks;
	struct page *pages;	      /* of start_pfn */
	uint8_t *tags;		      /* [spanned, rounded up to pageblocks] */
	struct pageblock *pageblocks; /* [nr_pageblocks] */
	struct pcp *pcps;	      /* [nr_cpus] */
	struct pcp_limits pcp_limits[PCP_CLASSES];

	struct spinlock lock CACHE_LINE_ALIGNED;
	uint64_t free_pages; /* on the lists; also read without the lock */
	/* Free page hinting (mm/hinting.h): a free that ends in a block of this order or more is noted; NR_ORDERS:
	 * none. */
	uint8_t hinting_order;
	struct tracked_zone *tracked;
	uint64_t hinted_pages; /* off the lists, because the host is told of them */
	struct block_set_shape shape;
	uint64_t *sets; /* [NR_ORDERS][MIGRATE_TYPES] sets of pageblocks with a free block of that order */
	uint32_t free_blocks[NR_ORDERS][MIGRATE_TYPES];
	/* By type: the pageblock of another one whose free pages it uses up, too (mm/fallback.c), + 1; 0: none. */
	uint32_t mixes_in[MIGRATE_PCPTYPES];
	uint64_t nr_isolated_pageblocks, nr_highatomic_pageblocks;
	uint64_t cma_pages; /* in areas of MIGRATE_CMA */

	struct zone_compaction compaction;

	uint64_t watermark[NR_WATERMARKS];
	uint64_t watermark_boost;
	/* Pages that requests for a higher zone must leave here. */
	uint64_t lowmem_reserve[NR_ZONE_TYPES];
};

struct zone_config {
	const char *name;
	int node;
	enum zone_type type;
	uint64_t start_pfn, end_pfn; /* the span; the start a multiple of 2^MAX_ORDER */
	struct page *pages;	     /* the structure of @start_pfn; need not be prepared */
	uint32_t nr_cpus;	     /* indices below this have per-CPU lists */
};

/* Memory that zone_init() needs for its arrays, to be aligned to 128 bytes, not cleared. */
size_t zone_metadata_bytes(const struct zone_config *config);
/* An empty zone: nothing present. */
void zone_init(struct zone *zone, const struct zone_config *config, void *metadata);
/* The range is memory of this zone, for now reserved; then (part of) it is given to the allocator. Once each, at boot.
 */
void zone_add_present(struct zone *zone, uint64_t first_pfn, uint64_t end_pfn);
void zone_add_free(struct zone *zone, uint64_t first_pfn, uint64_t end_pfn);
/* Tags (unless they are valid) and page structures of a pageblock become valid: all pages free. Under the lock. */
void zone_prepare_pageblock(struct zone *zone, uint32_t number);
/* Who owns the block beginning at @index: a tag, whatever state the pageblock is in. */
uint8_t zone_tag(const struct zone *zone, uint32_t index);
/* Every page has one place: free, per-CPU, owned, reserved or absent; counters agree. Nobody may use the zone
 * meanwhile. */
int zone_check(struct zone *zone) MUST_CHECK;

static inline struct page *zone_page(const struct zone *zone, uint32_t index)
{
	return &zone->pages[index];
}

static inline uint32_t zone_index(const struct zone *zone, const struct page *page)
{
	return (uint32_t)(page - zone->pages);
}

static inline uint64_t *zone_set(const struct zone *zone, unsigned int order, unsigned int migratetype)
{
	return zone->sets + (size_t)(order * MIGRATE_TYPES + migratetype) * zone->shape.words;
}

static inline uint64_t zone_free_pages(const struct zone *zone)
{
	return READ_ONCE(zone->free_pages);
}

/* Free pages on a type's lists. */
uint64_t zone_free_of_type(const struct zone *zone, enum migratetype mt);
/* Pages that are free in pageblocks where something does not move: movable requests get them by mixing types only. */
uint64_t zone_free_out_of_place(const struct zone *zone);
/* Pages in pageblocks that are free as a whole, of the types that anybody may use. */
uint64_t zone_whole_pages(const struct zone *zone);

/* "DMA32" */
const char *zone_type_name(enum zone_type type);
const char *migratetype_name(enum migratetype migratetype);
