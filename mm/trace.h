/*
 * The allocator's trace events, with Linux's names, fields and text (system "kmem").
 *
 * They cost one predictable branch while off; the functions here keep the argument lists out of the hot code.
 */
#pragma once

#include "kernel/trace.h"
#include "mm/page.h"

TRACE_EVENT_DECLARE(mm_page_alloc, const void *page; uint64_t pfn; uint32_t order; int32_t migratetype;
		    uint32_t gfp_flags;);
TRACE_EVENT_DECLARE(mm_page_free, const void *page; uint64_t pfn; uint32_t order;);
TRACE_EVENT_DECLARE(mm_page_alloc_zone_locked, const void *page; uint64_t pfn; uint32_t order; int32_t migratetype;
		    int32_t percpu_refill;);
TRACE_EVENT_DECLARE(mm_page_pcpu_drain, const void *page; uint64_t pfn; uint32_t order; int32_t migratetype;);
TRACE_EVENT_DECLARE(mm_page_alloc_extfrag, const void *page; uint64_t pfn; int32_t alloc_order; int32_t fallback_order;
		    int32_t alloc_migratetype; int32_t fallback_migratetype; int32_t change_ownership;);

/* A block's content and identity are in another one now; what follows is the freeing of the old one. Ours. */
TRACE_EVENT_DECLARE(mm_page_move, uint64_t from_pfn; uint64_t to_pfn; uint32_t order;);

/* Microseconds that a movable request waited rather than fragment. */
TRACE_EVENT_DECLARE(mm_fragmentation_stall, int32_t nid; uint32_t duration;);
TRACE_EVENT_DECLARE(mm_vmscan_direct_reclaim_begin, int32_t order; uint32_t gfp_flags;);
TRACE_EVENT_DECLARE(mm_vmscan_direct_reclaim_end, uint64_t nr_reclaimed;);
TRACE_EVENT_DECLARE(mm_vmscan_kswapd_sleep, int32_t nid;);
TRACE_EVENT_DECLARE(mm_vmscan_kswapd_wake, int32_t nid; int32_t order;);
TRACE_EVENT_DECLARE(mm_vmscan_wakeup_kswapd, int32_t nid; int32_t order; uint32_t gfp_flags;);

/* Once, before there are readers. */
void memory_trace_init(void);

/* @page may be NULL: the allocation failed. */
void trace_page_alloc_slow(const struct page *page, unsigned int order, enum migratetype mt, uint32_t gfp);
void trace_page_free_slow(const struct page *page, unsigned int order);
void trace_page_alloc_zone_locked_slow(const struct page *page, unsigned int order, enum migratetype mt, bool refill);
void trace_page_pcpu_drain_slow(const struct page *page, unsigned int order, enum migratetype mt);
void trace_page_alloc_extfrag_slow(const struct page *page, unsigned int order, unsigned int have, enum migratetype mt,
				   enum migratetype from, bool claimed);

#define TRACE_PAGE(event, ...)                                  \
	do {                                                    \
		if (trace_enabled(mm_page_##event))             \
			trace_page_##event##_slow(__VA_ARGS__); \
	} while (0)
#define trace_page_alloc(...)		  TRACE_PAGE(alloc, __VA_ARGS__)
#define trace_page_free(...)		  TRACE_PAGE(free, __VA_ARGS__)
#define trace_page_alloc_zone_locked(...) TRACE_PAGE(alloc_zone_locked, __VA_ARGS__)
#define trace_page_pcpu_drain(...)	  TRACE_PAGE(pcpu_drain, __VA_ARGS__)
#define trace_page_alloc_extfrag(...)	  TRACE_PAGE(alloc_extfrag, __VA_ARGS__)
