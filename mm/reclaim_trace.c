/*
 * The text of reclaim's trace events: that of Linux's include/trace/events/vmscan.h. Where Linux shows a shrinker's
 * function there is its name; what does not exist here (congestion, pages that cannot be unmapped) is 0.
 */
#include "mm/reclaim_trace.h"

#define IS_FILE(list) ((list) == LRU_INACTIVE_FILE || (list) == LRU_ACTIVE_FILE)
#define WRITES	      (IS_FILE(r->lru) ? "RECLAIM_WB_FILE|RECLAIM_WB_ASYNC" : "RECLAIM_WB_ANON|RECLAIM_WB_ASYNC")

TRACE_EVENT_DEFINE(vmscan, mm_vmscan_lru_isolate,
		   "isolate_mode=0 classzone=%d order=%d nr_requested=%lu nr_scanned=%lu nr_skipped=%lu nr_taken=%lu "
		   "lru=%s",
		   r->highest, r->order, r->requested, r->scanned, r->scanned - r->taken, r->taken,
		   lru_list_name(r->lru));
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_lru_shrink_inactive,
		   "nid=%d nr_scanned=%lu nr_reclaimed=%lu nr_dirty=%lu nr_writeback=0 nr_congested=0 nr_immediate=0 "
		   "nr_activate=%lu nr_ref_keep=%lu nr_unmap_fail=0 priority=%d flags=%s",
		   r->nid, r->scanned, r->reclaimed, r->dirty, r->activated, r->kept, r->priority, WRITES);
TRACE_EVENT_DEFINE(vmscan, mm_vmscan_lru_shrink_active,
		   "nid=%d nr_taken=%lu nr_active=%lu nr_deactivated=%lu nr_referenced=%lu priority=%d flags=%s",
		   r->nid, r->taken, r->active, r->deactivated, r->referenced, r->priority, WRITES);
TRACE_EVENT_DEFINE(vmscan, mm_shrink_slab_start,
		   "%s %p: nid: -1 objects to shrink %lu gfp_flags GFP_KERNEL cache items %lu delta %lu total_scan %lu "
		   "priority %d",
		   r->name, r->shrinker, r->owed, r->there, r->part, r->wanted, r->priority);
TRACE_EVENT_DEFINE(
	vmscan, mm_shrink_slab_end,
	"%s %p: nid: -1 unused scan count %lu new scan count %lu total_scan %lu last shrinker return val %lu", r->name,
	r->shrinker, r->before, r->after, r->wanted, r->freed);
