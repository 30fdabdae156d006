/*
 * The file of a recording: its pieces in memory, and what it must be before anything of it is replayed.
 *
 * It may come from anywhere, so everything is looked at first: the header, each event's fields, and that a number is
 * not taken twice nor given back with another order than it was taken with. Who replays needs no checks any more.
 */
#include "workloads/alloc_trace.h"

#include "kernel/memory.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page.h"

#define GFP_BITS 0x1fu

int alloc_trace_make(struct alloc_trace *trace, uint64_t bytes)
{
	*trace = (struct alloc_trace){.bytes = bytes};
	if (bytes > (uint64_t)ALLOC_TRACE_PIECE * ALLOC_TRACE_PIECES)
		return -EFBIG;
	for (uint64_t at = 0; at * ALLOC_TRACE_PIECE < bytes; at++) {
		trace->pieces[at] = kzalloc(MIN(bytes - at * ALLOC_TRACE_PIECE, (uint64_t)ALLOC_TRACE_PIECE));
		if (!trace->pieces[at]) {
			alloc_trace_cut(trace, 0);
			return -ENOMEM;
		}
	}
	return 0;
}

void alloc_trace_cut(struct alloc_trace *trace, uint64_t bytes)
{
	for (uint64_t at = DIV_ROUND_UP(bytes, ALLOC_TRACE_PIECE); at < ALLOC_TRACE_PIECES; at++) {
		kfree(trace->pieces[at]);
		trace->pieces[at] = NULL;
	}
	trace->bytes = bytes;
}

static int refuse(struct sink *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	sink_printf(out, "alloc trace: ");
	sink_printf_v(out, fmt, args);
	sink_printf(out, ": nothing is replayed\n");
	va_end(args);
	return -EINVAL;
}

static int check_header(const struct alloc_trace *trace, struct sink *out)
{
	const struct alloc_trace_header *header = alloc_trace_header(trace);
	uint64_t room;

	if (trace->bytes < sizeof(*header))
		return refuse(out, "%lu bytes, a header has %zu", trace->bytes, sizeof(*header));
	room = (trace->bytes - sizeof(*header)) / sizeof(struct alloc_event);
	if (memcmp(header->magic, ALLOC_TRACE_MAGIC, sizeof(header->magic)) != 0)
		return refuse(out, "no \"" ALLOC_TRACE_MAGIC "\" at its beginning");
	if (header->version != ALLOC_TRACE_VERSION || header->header_bytes != sizeof(*header))
		return refuse(out, "version %u with a header of %u bytes, expected %u with %zu", header->version,
			      header->header_bytes, ALLOC_TRACE_VERSION, sizeof(*header));
	if (header->events > room)
		return refuse(out, "truncated: %lu events are there, the header says %lu", room, header->events);
	if (!header->pages ||
	    header->pages * sizeof(struct alloc_event) / sizeof(struct alloc_event) != header->pages ||
	    header->pages > (uint64_t)ALLOC_TRACE_PIECE * ALLOC_TRACE_PIECES / sizeof(struct alloc_event))
		return refuse(out, "%lu pages are not between 1 and %lu", header->pages,
			      ALLOC_TRACE_PIECE * ALLOC_TRACE_PIECES / sizeof(struct alloc_event));
	if (!memchr(header->workload, '\0', sizeof(header->workload)))
		return refuse(out, "the workload's name has no end");
	return 0;
}

/* @held: what is taken under each number. */
static int check_event(const struct alloc_trace *trace, uint64_t at, const struct alloc_trace *held, struct sink *out)
{
	const struct alloc_event *event = alloc_trace_event(trace, at);
	struct alloc_event *mine;

	if (event->page >= alloc_trace_header(trace)->pages)
		return refuse(out, "event %lu: page %u of %lu", at, event->page, alloc_trace_header(trace)->pages);
	if ((event->kind != ALLOC_EVENT_ALLOC && event->kind != ALLOC_EVENT_FREE) || event->order > MAX_ORDER ||
	    (event->gfp & ~GFP_BITS))
		return refuse(out, "event %lu: kind %u, order %u, gfp 0x%x", at, event->kind, event->order, event->gfp);
	mine = alloc_trace_word(held, event->page);
	if (event->kind == ALLOC_EVENT_ALLOC && mine->kind)
		return refuse(out, "event %lu: page %u is taken already", at, event->page);
	if (event->kind == ALLOC_EVENT_FREE && (!mine->kind || mine->order != event->order))
		return refuse(out, "event %lu: page %u is not held with order %u", at, event->page, event->order);
	*mine = *event;
	mine->kind = event->kind == ALLOC_EVENT_ALLOC;
	return 0;
}

int alloc_trace_check(const struct alloc_trace *trace, struct sink *out)
{
	int error = check_header(trace, out);
	struct alloc_trace *held = kmalloc(sizeof(*held));

	if (!error && held)
		error = alloc_trace_make(held, alloc_trace_header(trace)->pages * sizeof(struct alloc_event));
	if (error || !held) {
		kfree(held);
		return error ? error : -ENOMEM;
	}
	for (uint64_t at = 0; at < alloc_trace_header(trace)->events && !error; at++)
		error = check_event(trace, at, held, out);
	alloc_trace_cut(held, 0);
	kfree(held);
	return error;
}
