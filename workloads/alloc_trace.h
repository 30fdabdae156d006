/*
 * A recorded sequence of page allocations and frees, as a file: a header, then events of 8 bytes, all little-endian.
 * docs/workloads.md describes the format; bench/linux/replay.c reads it too.
 *
 * In memory it lies in pieces of ALLOC_TRACE_PIECE bytes, the file's bytes one after the other.
 */
#pragma once

#include "lib/format.h"
#include "mm/page.h"

#define ALLOC_TRACE_MAGIC   "BLNALLOC"
#define ALLOC_TRACE_VERSION 1u
#define ALLOC_TRACE_PIECE   MIB(1)
#define ALLOC_TRACE_PIECES  256u

struct alloc_trace_header {
	char magic[8];
	uint32_t version, header_bytes;
	uint64_t events;	/* behind the header */
	uint64_t pages;		/* every event's page is below it */
	uint64_t free_pages;	/* when the recording began */
	uint64_t peak_pages;	/* the most that were held at one time, of those recorded */
	uint64_t seed;		/* the workload's */
	uint64_t unknown, lost; /* frees of what was allocated before; events that found no room at the end */
	char workload[120];	/* as it was typed, NUL-terminated */
	uint8_t reserved[64];	/* 0 */
} PACKED;

enum alloc_event_kind { ALLOC_EVENT_NONE, ALLOC_EVENT_ALLOC, ALLOC_EVENT_FREE, ALLOC_EVENT_MOVE };

/* ALLOC takes 2^order pages under a number that is not in use; FREE gives back all that ALLOC took under it. */
struct alloc_event {
	uint32_t page;
	uint16_t thread; /* a small number, in the order of their first events */
	uint8_t kind : 4, order : 4;
	uint8_t gfp; /* GFP_MOVABLE .. GFP_HIGH of mm/page_alloc.h: bits 0..4 */
};

_Static_assert(sizeof(struct alloc_trace_header) == 256 && sizeof(struct alloc_event) == 8, "as in the file");

struct alloc_trace {
	uint64_t bytes;
	char *pieces[ALLOC_TRACE_PIECES];
};

/* Room for @bytes, which is cleared. 0, -EFBIG, -ENOMEM: then there is nothing to free. */
int alloc_trace_make(struct alloc_trace *trace, uint64_t bytes) MUST_CHECK;
/* Gives back the pieces from @bytes on; 0: all. */
void alloc_trace_cut(struct alloc_trace *trace, uint64_t bytes);
/* 0, or -EINVAL and one line to @out that says what is wrong: nothing of it may be replayed then. -ENOMEM. */
int alloc_trace_check(const struct alloc_trace *trace, struct sink *out) MUST_CHECK;

static inline struct alloc_trace_header *alloc_trace_header(const struct alloc_trace *trace)
{
	return (struct alloc_trace_header *)trace->pieces[0];
}
/* The @at-th word of 8 bytes of the file; books about pages are kept in such pieces too. */
static inline struct alloc_event *alloc_trace_word(const struct alloc_trace *trace, uint64_t at)
{
	uint64_t offset = at * sizeof(struct alloc_event);

	return (struct alloc_event *)(trace->pieces[offset / ALLOC_TRACE_PIECE] + offset % ALLOC_TRACE_PIECE);
}
static inline struct alloc_event *alloc_trace_event(const struct alloc_trace *trace, uint64_t at)
{
	return alloc_trace_word(trace, sizeof(struct alloc_trace_header) / sizeof(struct alloc_event) + at);
}
