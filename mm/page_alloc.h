/*
 * The page allocator as its users see it. The machinery: mm/zone.h (nodes and zones), mm/buddy.h, mm/pcp.h.
 *
 * Nothing here may be called from interrupts. Freeing never sleeps. Blocks are 2^order pages, aligned to their size.
 */
#pragma once

#include "mm/page.h"

/* What an allocation may do, whose pages it wants, and who will own them (bits 24..31). */
#define GFP_MOVABLE	   0x01u /* the owner can move them */
#define GFP_RECLAIMABLE	   0x02u /* can be freed by a shrinker */
#define GFP_DIRECT_RECLAIM 0x04u /* may sleep and reclaim */
#define GFP_KSWAPD_RECLAIM 0x08u /* may wake kswapd */
#define GFP_HIGH	   0x10u /* may use the atomic reserve */
#define GFP_NOFAIL	   0x20u /* waits for others; two seconds without memory ends in the report and a panic */
#define GFP_NORETRY	   0x40u /* gives up early */
#define GFP_NOWARN	   0x80u /* no failure report */
#define GFP_THISNODE	   0x100u
#define GFP_DMA32	   0x200u /* below 4 GiB */
#define GFP_DMA		   0x400u /* below 16 MiB */
#define GFP_ZERO	   0x800u
#define GFP_NOMEMALLOC	   0x1000u /* stays above the min watermark whatever else: the balloon's */
#define GFP_NOSTRUCT	   0x2000u /* the owner keeps nothing in the page's structure: it is not touched */
#define GFP_OWNER(owner)   ((uint32_t)(owner) << 24)

#define GFP_RECLAIM (GFP_DIRECT_RECLAIM | GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL  GFP_RECLAIM
#define GFP_ATOMIC  (GFP_HIGH | GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT  GFP_KSWAPD_RECLAIM
#define GFP_USER    (GFP_RECLAIM | GFP_MOVABLE)

#define NODE_ANY (-1) /* the current CPU's first */

/* 2^@order pages near @node, or NULL. The first page has refcount 1, its order and owner set. */
struct page *alloc_pages_node(int node, uint32_t gfp, unsigned int order) MUST_CHECK;
static inline struct page *alloc_pages(uint32_t gfp, unsigned int order)
{
	return alloc_pages_node(NODE_ANY, gfp, order);
}
/* Up to @count blocks into @pages; how many there were. Far cheaper than one by one as long as there are many. */
size_t alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages) MUST_CHECK;
/* As allocated. */
void free_pages(struct page *page, unsigned int order);
void free_pages_bulk(struct page **pages, size_t count);

/*
 * A block that was allocated as one becomes blocks of @order, each to be freed by itself; their structures are filled
 * as if they had been allocated so. @page is the first page of the block.
 */
void split_page(struct page *page, unsigned int order);

/*
 * Between the two the thread frees memory for others: its allocations may use everything, never reclaim and never
 * stall. Nests; @previous is what enter returned.
 */
uintptr_t memalloc_enter(void);
void memalloc_leave(uintptr_t previous);
bool memalloc_inside(void);
/* Between the two: @pages were freed on the way, by whoever it was that was asked; how many since enter. */
void memalloc_credit(uint64_t pages);
uint64_t memalloc_credited(void);

static ALWAYS_INLINE uint64_t page_to_pfn(const struct page *page)
{
	return (uint64_t)(page - (const struct page *)PAGE_STRUCT_BASE);
}
static ALWAYS_INLINE struct page *pfn_to_page(uint64_t pfn)
{
	return (struct page *)PAGE_STRUCT_BASE + pfn;
}
/* Frames that no zone has, such as a device's, have page structures afterwards. 0, -ERANGE, -ENOMEM. May sleep. */
int page_structs_add(uint64_t first_pfn, uint64_t pages) MUST_CHECK;
/* False for holes and memory that is no RAM. */
bool pfn_valid(uint64_t pfn);
/* Of the first page of an allocated block. PAGE_OWNER_NONE: free, or inside a larger block. */
enum page_owner page_owner(const struct page *page);
unsigned int page_order(const struct page *page);
int page_node(const struct page *page);
/* "slab" for PAGE_OWNER_SLAB. */
const char *page_owner_name(enum page_owner owner);
static inline uint64_t page_to_phys(const struct page *page)
{
	return page_to_pfn(page) << PAGE_SHIFT;
}
static inline void *page_address(const struct page *page)
{
	return phys_to_virt(page_to_phys(page));
}
static inline struct page *virt_to_page(const void *virt)
{
	return pfn_to_page(virt_to_phys(virt) >> PAGE_SHIFT);
}

/* Figures over all nodes, in pages, as in /proc/meminfo. */
struct memory_info {
	uint64_t total;	    /* managed by the allocator */
	uint64_t free;	    /* on free lists and per-CPU lists */
	uint64_t available; /* free and easily reclaimed, less the reserves */
	uint64_t cached;    /* page cache */
	uint64_t by_owner[NR_PAGE_OWNERS];
};
void memory_info_get(struct memory_info *info);
/* Free pages above which a balloon may still take some: the sum of high watermarks and boosts. */
uint64_t memory_reserve_pages(void);

/* Error lines saying who holds what: for out of memory. */
void memory_show_report(void);

/* Every page of every zone has exactly one place, and all counters agree. 0 or -EINVAL with a line per fault. */
int memory_check(void) MUST_CHECK;
