/*
 * The allocator's trace events: definitions and text. Formats are those of Linux's include/trace/events/kmem.h, so
 * that scripts which parse them go on working; the pointer is the page structure's address.
 */
#include "mm/trace.h"

#include "mm/page_alloc.h"

struct gfp_name {
	uint32_t bits;
	const char *name;
};

/* The most comprehensive first, as Linux shows them. */
static const struct gfp_name gfp_names[] = {
	{GFP_USER, "GFP_USER|__GFP_MOVABLE"},
	{GFP_KERNEL, "GFP_KERNEL"},
	{GFP_ATOMIC, "GFP_ATOMIC"},
	{GFP_MOVABLE, "__GFP_MOVABLE"},
	{GFP_RECLAIMABLE, "__GFP_RECLAIMABLE"},
	{GFP_DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM"},
	{GFP_KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM"},
	{GFP_HIGH, "__GFP_HIGH"},
	{GFP_NOFAIL, "__GFP_NOFAIL"},
	{GFP_NORETRY, "__GFP_NORETRY"},
	{GFP_NOWARN, "__GFP_NOWARN"},
	{GFP_THISNODE, "__GFP_THISNODE"},
	{GFP_DMA32, "GFP_DMA32"},
	{GFP_DMA, "GFP_DMA"},
	{GFP_ZERO, "__GFP_ZERO"},
	{GFP_NOMEMALLOC, "__GFP_NOMEMALLOC"},
};

static const char *gfp_text(uint32_t gfp, char *buffer, size_t size)
{
	size_t length = 0;

	gfp &= 0xffffff; /* without the owner */
	buffer[0] = '\0';
	for (size_t at = 0; at < ARRAY_SIZE(gfp_names) && length < size; at++) {
		if ((gfp & gfp_names[at].bits) != gfp_names[at].bits)
			continue;
		gfp &= ~gfp_names[at].bits;
		length += (size_t)format(buffer + length, size - length, "%s%s", length ? "|" : "", gfp_names[at].name);
	}
	return length ? buffer : "none";
}

#define GFP_TEXT(gfp) gfp_text((gfp), (char[256]){0}, 256)

TRACE_EVENT_DEFINE(kmem, mm_page_alloc, "page=%p pfn=0x%lx order=%u migratetype=%d gfp_flags=%s", r->page, r->pfn,
		   r->order, r->migratetype, GFP_TEXT(r->gfp_flags));
TRACE_EVENT_DEFINE(kmem, mm_page_free, "page=%p pfn=0x%lx order=%u", r->page, r->pfn, r->order);
TRACE_EVENT_DEFINE(kmem, mm_page_move, "from_pfn=0x%lx to_pfn=0x%lx order=%u", r->from_pfn, r->to_pfn, r->order);
TRACE_EVENT_DEFINE(kmem, mm_page_alloc_zone_locked, "page=%p pfn=0x%lx order=%u migratetype=%d percpu_refill=%d",
		   r->page, r->pfn, r->order, r->migratetype, r->percpu_refill);
TRACE_EVENT_DEFINE(kmem, mm_page_pcpu_drain, "page=%p pfn=0x%lx order=%u migratetype=%d", r->page, r->pfn, r->order,
		   r->migratetype);
TRACE_EVENT_DEFINE(kmem, mm_page_alloc_extfrag,
		   "page=%p pfn=0x%lx alloc_order=%d fallback_order=%d pageblock_order=%d alloc_migratetype=%d "
		   "fallback_migratetype=%d fragmenting=%d change_ownership=%d",
		   r->page, r->pfn, r->alloc_order, r->fallback_order, (int)PAGEBLOCK_ORDER, r->alloc_migratetype,
		   r->fallback_migratetype, r->fallback_order < (int)PAGEBLOCK_ORDER, r->change_ownership);

/* Page without 0x, pfn decimal: as the page-allocation scripts of Linux and mmtests parse it. */
static void show_classic_extfrag(struct sink *out, const void *record)
{
	const struct trace_record_mm_page_alloc_extfrag *r = record;

	sink_printf(out,
		    "page=%lx pfn=%lu alloc_order=%d fallback_order=%d pageblock_order=%d alloc_migratetype=%d "
		    "fallback_migratetype=%d fragmenting=%d change_ownership=%d",
		    (unsigned long)(uintptr_t)r->page, r->pfn, r->alloc_order, r->fallback_order, (int)PAGEBLOCK_ORDER,
		    r->alloc_migratetype, r->fallback_migratetype, r->fallback_order < (int)PAGEBLOCK_ORDER,
		    r->change_ownership);
}

void memory_trace_init(void)
{
	trace_event_mm_page_alloc_extfrag.show_classic = show_classic_extfrag;
}

TRACE_EVENT_DEFINE(kmem, mm_fragmentation_stall, "nid=%d duration=%u", r->nid, r->duration);
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_direct_reclaim_begin, "order=%d gfp_flags=%s", r->order, GFP_TEXT(r->gfp_flags));
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_direct_reclaim_end, "nr_reclaimed=%lu", r->nr_reclaimed);
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_kswapd_sleep, "nid=%d", r->nid);
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_kswapd_wake, "nid=%d order=%d", r->nid, r->order);
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_wakeup_kswapd, "nid=%d order=%d gfp_flags=%s", r->nid, r->order,
		   GFP_TEXT(r->gfp_flags));

void trace_page_alloc_slow(const struct page *page, unsigned int order, enum migratetype mt, uint32_t gfp)
{
	TRACE(mm_page_alloc, .page = page, .pfn = page ? page_to_pfn(page) : 0, .order = order, .migratetype = mt,
	      .gfp_flags = gfp);
}

void trace_page_free_slow(const struct page *page, unsigned int order)
{
	TRACE(mm_page_free, .page = page, .pfn = page_to_pfn(page), .order = order);
}

void trace_page_alloc_zone_locked_slow(const struct page *page, unsigned int order, enum migratetype mt, bool refill)
{
	TRACE(mm_page_alloc_zone_locked, .page = page, .pfn = page_to_pfn(page), .order = order, .migratetype = mt,
	      .percpu_refill = refill);
}

void trace_page_pcpu_drain_slow(const struct page *page, unsigned int order, enum migratetype mt)
{
	TRACE(mm_page_pcpu_drain, .page = page, .pfn = page_to_pfn(page), .order = order, .migratetype = mt);
}

void trace_page_alloc_extfrag_slow(const struct page *page, unsigned int order, unsigned int have, enum migratetype mt,
				   enum migratetype from, bool claimed)
{
	TRACE(mm_page_alloc_extfrag, .page = page, .pfn = page_to_pfn(page), .alloc_order = (int)order,
	      .fallback_order = (int)have, .alloc_migratetype = mt, .fallback_migratetype = from,
	      .change_ownership = claimed);
}
