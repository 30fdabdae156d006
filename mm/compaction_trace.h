/*
 * Compaction's trace events, with Linux's names, fields and text (system "compaction").
 */
#pragma once

#include "kernel/trace.h"
#include "mm/compaction_internal.h"

#define ISOLATE_FIELDS      \
	uint64_t start_pfn; \
	uint64_t end_pfn;   \
	uint64_t scanned;   \
	uint64_t taken;
#define ZONE_FIELDS         \
	const char *zone;   \
	const char *status; \
	int32_t node;       \
	int32_t order;
#define DEFER_FIELDS                     \
	ZONE_FIELDS uint32_t considered; \
	uint32_t defer_shift;            \
	int32_t order_failed;
#define RUN_FIELDS            \
	uint64_t zone_start;  \
	uint64_t migrate_pfn; \
	uint64_t free_pfn;    \
	uint64_t zone_end;    \
	bool sync;            \
	const char *status;

TRACE_EVENT_DECLARE(mm_compaction_isolate_migratepages, ISOLATE_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_isolate_freepages, ISOLATE_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_migratepages, uint64_t migrated; uint64_t failed;);
TRACE_EVENT_DECLARE(mm_compaction_begin, RUN_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_end, RUN_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_suitable, ZONE_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_finished, ZONE_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_deferred, DEFER_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_defer_compaction, DEFER_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_defer_reset, DEFER_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_kcompactd_sleep, int32_t node;);
TRACE_EVENT_DECLARE(mm_compaction_wakeup_kcompactd, ZONE_FIELDS);
TRACE_EVENT_DECLARE(mm_compaction_kcompactd_wake, ZONE_FIELDS);

/* [@first, @end): indices in the zone. */
#define trace_compaction_isolated(which, zone, first, end, looked_at, pages)           \
	TRACE(mm_compaction_isolate_##which, .start_pfn = (zone)->start_pfn + (first), \
	      .end_pfn = (zone)->start_pfn + (end), .scanned = (looked_at), .taken = (pages))
#define trace_compaction_run(which, run, text)                                   \
	TRACE(mm_compaction_##which, .zone_start = (run)->zone->start_pfn,       \
	      .migrate_pfn = (run)->zone->start_pfn + compact_source_index(run), \
	      .free_pfn = (run)->zone->start_pfn + compact_target_index(run),    \
	      .zone_end = (run)->zone->start_pfn + (run)->zone->spanned_pages, .sync = (run)->sync, .status = (text))
#define trace_compaction_zone(which, of, wanted, text) \
	TRACE(mm_compaction_##which, .zone = (of)->name, .node = (of)->node, .order = (int)(wanted), .status = (text))
#define trace_compaction_defer(which, of, wanted)                                                     \
	TRACE(mm_compaction_##which, .zone = (of)->name, .node = (of)->node, .order = (int)(wanted),  \
	      .considered = (of)->compaction.considered, .defer_shift = (of)->compaction.defer_shift, \
	      .order_failed = (int)(of)->compaction.order_failed)
#define trace_compaction_daemon(which, id, wanted, highest) \
	TRACE(mm_compaction_##which, .zone = zone_type_name(highest), .node = (id), .order = (int)(wanted))
