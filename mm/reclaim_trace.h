/*
 * Reclaim's trace events, with Linux's names, fields and text (system "vmscan"). Those of kswapd and of the beginning
 * and end of direct reclaim are in mm/trace.h.
 */
#pragma once

#include "kernel/trace.h"
#include "mm/lru.h"
#include "mm/shrinker.h"

TRACE_EVENT_DECLARE(mm_vmscan_lru_isolate, int32_t highest; int32_t order; uint64_t requested; uint64_t scanned;
		    uint64_t taken; int32_t lru;);
TRACE_EVENT_DECLARE(mm_vmscan_lru_shrink_inactive, int32_t nid; int32_t priority; uint64_t scanned; uint64_t reclaimed;
		    uint64_t dirty; uint64_t activated; uint64_t kept; int32_t lru;);
TRACE_EVENT_DECLARE(mm_vmscan_lru_shrink_active, int32_t nid; int32_t priority; uint64_t taken; uint64_t active;
		    uint64_t deactivated; uint64_t referenced; int32_t lru;);
TRACE_EVENT_DECLARE(mm_shrink_slab_start, const void *shrinker; const char *name; uint64_t owed; uint64_t there;
		    uint64_t part; uint64_t wanted; int32_t priority;);
TRACE_EVENT_DECLARE(mm_shrink_slab_end, const void *shrinker; const char *name; uint64_t before; uint64_t after;
		    uint64_t wanted; uint64_t freed;);
