/*
 * Between the trace rings (trace.c) and their files (trace_files.c).
 */
#pragma once

#include "kernel/trace.h"

/* A record as it lies in a ring; the event's own bytes follow. */
struct trace_header {
	uint64_t time_ns;
	const struct trace_event *event; /* NULL: a marker, text without a NUL */
	uint32_t thread_id;
	uint16_t record_bytes;
	bool irqs_off, in_interrupt, preempt_off;
	char thread_name[16];
};

#define TRACE_RECORD_MAX 512u

/* The rings exist from now on. 0 or -ENOMEM. May sleep. */
int trace_rings_make(void) MUST_CHECK;
/* Only while nothing is recorded. -EBUSY if rings exist. */
int trace_rings_set_bytes(uint64_t bytes_per_cpu) MUST_CHECK;
uint64_t trace_rings_bytes(void);
void trace_rings_clear(void);
void trace_set_recording(bool on);
bool trace_recording(void);
void trace_mark(const char *text, size_t length);

/* Calls @each for every record, oldest first over all CPUs. 0 or -ENOMEM. May sleep. */
struct trace_totals {
	uint64_t in_rings, written;
};
void trace_rings_totals(struct trace_totals *totals);
int trace_rings_each(void (*each)(unsigned int cpu, const struct trace_header *header, const void *record,
				  void *context),
		     void *context);
