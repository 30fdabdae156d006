/*
 * Trace events in per-CPU rings, shown as Linux's trace text in /sys/kernel/tracing/.
 *
 * An event is declared once, beside what it describes, and costs one predictable branch while off:
 *
 *   in a header:  TRACE_EVENT_DECLARE(mm_page_alloc, uint64_t pfn; uint32_t order;);
 *   in one file:  TRACE_EVENT_DEFINE(kmem, mm_page_alloc, "pfn=0x%lx order=%u", r->pfn, r->order);
 *   to emit:      TRACE(mm_page_alloc, .pfn = pfn, .order = order);
 *
 * Files: trace, tracing_on, trace_pipe-less: reading `trace` shows the rings merged by time, writing to it clears
 * them; events/enable, events/<system>/enable, events/<system>/<event>/{enable,format}; buffer_size_kb.
 * options/classic: 1 leaves out the column of flags, and shows events as older kernels did, for scripts that parse
 * those. A line of `trace`:  "<name>-<id>  [003] .....  12.345678: mm_page_alloc: pfn=0x.. order=0". A full ring drops
 * the oldest; how many is said on top. Emitting is allowed anywhere, interrupts too.
 */
#pragma once

#include "lib/format.h"

struct trace_event {
	const char *system, *name;
	const char *fields, *format, *arguments; /* as they stand in the source, for the format file */
	void (*show)(struct sink *out, const void *record);
	void (*show_classic)(struct sink *out, const void *record); /* if it differs; see options/classic */
	void (*listener)(const void *record);			    /* see trace_listen() */
	uint16_t record_bytes;
	uint8_t enabled; /* enum trace_to */
};

enum trace_to { TRACE_TO_RINGS = 1, TRACE_TO_LISTENER = 2 };

#define TRACE_STRING_OF(...) #__VA_ARGS__
#define TRACE_EVENT_DECLARE(event, ...)                                                 \
	struct trace_record_##event {                                                   \
		__VA_ARGS__                                                             \
	};                                                                              \
	static const char trace_fields_##event[] UNUSED = TRACE_STRING_OF(__VA_ARGS__); \
	extern struct trace_event trace_event_##event

#define TRACE_EVENT_DEFINE(system_, event, fmt, ...)                         \
	static void trace_show_##event(struct sink *out, const void *record) \
	{                                                                    \
		const struct trace_record_##event *r UNUSED = record;        \
		sink_printf(out, fmt, __VA_ARGS__);                          \
	}                                                                    \
	struct trace_event trace_event_##event = {                           \
		.system = #system_,                                          \
		.name = #event,                                              \
		.fields = trace_fields_##event,                              \
		.format = fmt,                                               \
		.arguments = #__VA_ARGS__,                                   \
		.show = trace_show_##event,                                  \
		.record_bytes = sizeof(struct trace_record_##event),         \
	};                                                                   \
	static struct trace_event *const trace_entry_##event TABLE_ENTRY(ktrace_events) = &trace_event_##event

#define trace_enabled(event) unlikely(READ_ONCE(trace_event_##event.enabled))
#define TRACE(event, ...)                                                    \
	do {                                                                 \
		if (trace_enabled(event)) {                                  \
			struct trace_record_##event _record = {__VA_ARGS__}; \
			trace_emit(&trace_event_##event, &_record);          \
		}                                                            \
	} while (0)

void trace_emit(const struct trace_event *event, const void *record);
/*
 * From now on @listener is called for every @event, by whoever emits it and with the locks that it holds: it neither
 * sleeps nor allocates. NULL ends that; calls that are under way then end a little later. One listener per event.
 */
void trace_listen(struct trace_event *event, void (*listener)(const void *record));
/* Registers the files under /sys/kernel/tracing. The rings are allocated when the first event is enabled. */
int trace_init(void) MUST_CHECK;
