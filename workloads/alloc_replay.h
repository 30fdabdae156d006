/*
 * Replaying a recorded sequence of allocations and frees (workloads/alloc_trace.h) with this allocator.
 */
#pragma once

#include "workloads/alloc_trace.h"

struct alloc_replay_result {
	uint64_t allocations, frees, failed; /* failed: of the allocations; their frees are passed over */
	uint64_t extfrag;		     /* fallbacks to blocks below a pageblock's order */
	uint64_t whole_begin, whole_end;     /* pageblocks that are free as a whole */
	uint64_t free_begin, free_end;	     /* pages */
	uint64_t placement;		     /* a sum of which frame every page that is held in the end has */
	uint64_t ns;
};

/*
 * Replays @trace, which alloc_trace_check() found sound, from a state in which exactly @whole pageblocks are free and
 * nothing else but what lies below the watermarks: the rest of memory is held meanwhile (0: memory as it is). All is
 * given back. 0, or -ENOMEM with a line to @out: there is not so much memory; -EINTR. May sleep.
 */
int alloc_replay(const struct alloc_trace *trace, uint64_t whole, struct sink *out,
		 struct alloc_replay_result *result) MUST_CHECK;
/* A table, and one line "json {...}". */
void alloc_replay_show(struct sink *out, const struct alloc_trace *trace, const struct alloc_replay_result *result);
/* The pageblocks that were free, in all, when the recording began. */
static inline uint64_t alloc_replay_whole(const struct alloc_trace *trace)
{
	return alloc_trace_header(trace)->free_pages / PAGEBLOCK_PAGES;
}
