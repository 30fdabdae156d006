/*
 * The text of compaction's trace events: that of Linux's include/trace/events/compaction.h.
 */
#include "mm/compaction_trace.h"

#define ISOLATE_FORMAT "range=(0x%lx ~ 0x%lx) nr_scanned=%lu nr_taken=%lu"
#define RUN_FORMAT     "zone_start=0x%lx migrate_pfn=0x%lx free_pfn=0x%lx zone_end=0x%lx, mode=%s"
#define ZONE_FORMAT    "node=%d zone=%-8s order=%d ret=%s"
#define DEFER_FORMAT   "node=%d zone=%-8s order=%d order_failed=%d consider=%u limit=%lu"
#define DAEMON_FORMAT  "nid=%d order=%d classzone_idx=%-8s"

#define MODE (r->sync ? "sync" : "async")

TRACE_EVENT_DEFINE(compaction, mm_compaction_isolate_migratepages, ISOLATE_FORMAT, r->start_pfn, r->end_pfn, r->scanned,
		   r->taken);
TRACE_EVENT_DEFINE(compaction, mm_compaction_isolate_freepages, ISOLATE_FORMAT, r->start_pfn, r->end_pfn, r->scanned,
		   r->taken);
TRACE_EVENT_DEFINE(compaction, mm_compaction_migratepages, "nr_migrated=%lu nr_failed=%lu", r->migrated, r->failed);
TRACE_EVENT_DEFINE(compaction, mm_compaction_begin, RUN_FORMAT, r->zone_start, r->migrate_pfn, r->free_pfn, r->zone_end,
		   MODE);
TRACE_EVENT_DEFINE(compaction, mm_compaction_end, RUN_FORMAT " status=%s", r->zone_start, r->migrate_pfn, r->free_pfn,
		   r->zone_end, MODE, r->status);
TRACE_EVENT_DEFINE(compaction, mm_compaction_suitable, ZONE_FORMAT, r->node, r->zone, r->order, r->status);
TRACE_EVENT_DEFINE(compaction, mm_compaction_finished, ZONE_FORMAT, r->node, r->zone, r->order, r->status);
TRACE_EVENT_DEFINE(compaction, mm_compaction_deferred, DEFER_FORMAT, r->node, r->zone, r->order, r->order_failed,
		   r->considered, 1ul << r->defer_shift);
TRACE_EVENT_DEFINE(compaction, mm_compaction_defer_compaction, DEFER_FORMAT, r->node, r->zone, r->order,
		   r->order_failed, r->considered, 1ul << r->defer_shift);
TRACE_EVENT_DEFINE(compaction, mm_compaction_defer_reset, DEFER_FORMAT, r->node, r->zone, r->order, r->order_failed,
		   r->considered, 1ul << r->defer_shift);
TRACE_EVENT_DEFINE(compaction, mm_compaction_kcompactd_sleep, "nid=%d", r->node);
TRACE_EVENT_DEFINE(compaction, mm_compaction_wakeup_kcompactd, DAEMON_FORMAT, r->node, r->order, r->zone);
TRACE_EVENT_DEFINE(compaction, mm_compaction_kcompactd_wake, DAEMON_FORMAT, r->node, r->order, r->zone);
