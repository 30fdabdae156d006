/*
 * Between the page allocator's two files: page_alloc.c (the fast path, freeing) and page_alloc_slow.c.
 */
#pragma once

#include "mm/page_alloc.h"
#include "mm/request.h"
#include "mm/zone.h"

#define COSTLY_ORDER 3u /* above it nobody may count on success: such requests do not make others give up memory */

/* One walk through the zones, with what the policy holds against it at @stage. NULL: none gives anything. */
struct page *page_alloc_attempt(struct alloc_request *request, enum alloc_stage stage) MUST_CHECK;
/* What every block goes through that is handed out: counts, traces, zeroes. */
struct page *page_alloc_prepare(struct zone *zone, uint32_t index, const struct alloc_request *request);
/* After the fast path failed. NULL with a line, a panic for a request that may not fail. Sleeps if it may. */
struct page *page_alloc_slow(struct alloc_request *request) MUST_CHECK;

static inline bool zone_is_eligible(const struct zone *zone, const struct alloc_request *request)
{
	if (zone->type > request->highest)
		return false;
	return !(request->gfp & GFP_THISNODE) || zone->node == request->node->id;
}
