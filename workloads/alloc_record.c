/*
 * The recorder: listens to the allocator's trace events and keeps them, 8 bytes each, in room that is taken before.
 *
 * While it runs an event costs two additions shared by all CPUs: one says who is still writing, one gives out the
 * places. That order is a right one: pages are noted before they are freed and after they were allocated. Everything
 * else waits until the end, when one pass over the events turns page frames into numbers: a block that compaction moved
 * keeps its number, frees of what was allocated before the recording are left out and counted, and so is all that
 * comes behind the last allocation, which is the workload giving its memory back. A block that was split is freed as a
 * whole with its first piece.
 */
#include "workloads/alloc_record.h"

#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/trace.h"
#include "workloads/workload.h"

#define RECORD_FILE "/sys/kernel/debug/alloc_record"
#define GFP_BITS    0x1fu /* GFP_MOVABLE .. GFP_HIGH */
#define MAX_THREADS 256u

static struct recorder {
	struct mutex lock; /* for all but what listens */
	bool running;	   /* those who listen look at it inside writers */
	uint32_t writers;
	uint64_t next, room; /* events; next runs on when there is no room */
	uint64_t pages, free_pages;
	struct alloc_trace trace;
	struct alloc_trace books; /* while recording: what goes by which number; see make_trace() */
} recorder = {.lock = MUTEX_INIT(recorder.lock, "alloc_record")};

/* ---- listening ----------------------------------------------------------------------------------------------------
 */

/* The places from @at on, or none. A move needs two: where from, where to. */
static void note(const struct alloc_event *events, uint64_t count)
{
	struct thread *thread = thread_current();
	uint64_t at;

	atomic_inc(&recorder.writers);
	if (load_acquire(&recorder.running) && events[0].page < recorder.pages &&
	    events[count - 1].page < recorder.pages) {
		at = atomic_fetch_add(&recorder.next, count);
		for (uint64_t i = 0; i < count && at + count <= recorder.room; i++) {
			*alloc_trace_event(&recorder.trace, at + i) = events[i];
			alloc_trace_event(&recorder.trace, at + i)->thread = thread ? (uint16_t)thread_id(thread) : 0;
		}
	}
	atomic_dec(&recorder.writers);
}

static void on_alloc(const void *record)
{
	const struct trace_record_mm_page_alloc *r = record;
	struct alloc_event event = {.page = (uint32_t)r->pfn,
				    .kind = ALLOC_EVENT_ALLOC,
				    .order = (uint8_t)r->order & 0xf,
				    .gfp = (uint8_t)(r->gfp_flags & GFP_BITS)};

	if (r->page)
		note(&event, 1);
}

static void on_free(const void *record)
{
	const struct trace_record_mm_page_free *r = record;
	struct alloc_event event = {
		.page = (uint32_t)r->pfn, .kind = ALLOC_EVENT_FREE, .order = (uint8_t)r->order & 0xf};

	note(&event, 1);
}

static void on_move(const void *record)
{
	const struct trace_record_mm_page_move *r = record;
	struct alloc_event events[2] = {{.page = (uint32_t)r->from_pfn, .kind = ALLOC_EVENT_MOVE},
					{.page = (uint32_t)r->to_pfn, .kind = ALLOC_EVENT_MOVE}};

	note(events, 2);
}

static void listen(bool on)
{
	trace_listen(&trace_event_mm_page_alloc, on ? on_alloc : NULL);
	trace_listen(&trace_event_mm_page_free, on ? on_free : NULL);
	trace_listen(&trace_event_mm_page_move, on ? on_move : NULL);
}

/* ---- from page frames to numbers ----------------------------------------------------------------------------------
 */

struct making {
	struct alloc_trace *trace;
	uint64_t kept, last_alloc; /* events; behind the last allocation */
	uint64_t held, peak, unknown, moved;
	uint32_t nr_threads;
	uint16_t threads[MAX_THREADS];
};

/* By number: kind says that it is held, and order how. By frame: page is the number that it goes by. */
static struct alloc_event *book(uint64_t at)
{
	return alloc_trace_word(&recorder.books, at);
}

static uint16_t small_number(struct making *making, uint16_t thread)
{
	uint32_t at = 0;

	while (at < making->nr_threads && making->threads[at] != thread)
		at++;
	if (at == making->nr_threads && at < MAX_THREADS - 1)
		making->threads[making->nr_threads++] = thread;
	return (uint16_t)at;
}

static void keep(struct making *making, struct alloc_event event, uint32_t number)
{
	event.page = number;
	event.order = book(number)->order;
	event.thread = small_number(making, event.thread);
	*alloc_trace_event(making->trace, making->kept++) = event;
	if (event.kind == ALLOC_EVENT_ALLOC)
		making->last_alloc = making->kept;
}

static void make_free(struct making *making, struct alloc_event event)
{
	uint32_t number = book(event.page)->page;

	if (!book(number)->kind) {
		making->unknown++;
		return;
	}
	event.kind = ALLOC_EVENT_FREE;
	event.gfp = 0;
	keep(making, event, number);
	book(number)->kind = ALLOC_EVENT_NONE;
	making->held -= 1ull << book(number)->order;
}

static void make_alloc(struct making *making, struct alloc_event event)
{
	uint32_t number = book(event.page)->page;

	/* Its owner freed it before compaction could say that it had moved there: that free found nothing. */
	if (book(number)->kind)
		make_free(making, event);
	book(number)->kind = ALLOC_EVENT_ALLOC;
	book(number)->order = event.order;
	keep(making, event, number);
	making->held += 1ull << event.order;
	making->peak = MAX(making->peak, making->held);
}

/* The frames change their numbers, so that no two ever go by the same; the old one is freed next. */
static void make_move(struct making *making, uint64_t from, uint64_t to)
{
	uint32_t number = book(from)->page;

	if (book(book(to)->page)->kind) /* it was allocated as others are */
		return;
	book(from)->page = book(to)->page;
	book(to)->page = number;
	making->moved++;
}

static void make_trace(struct making *making, uint64_t events)
{
	for (uint64_t at = 0; at < recorder.pages; at++)
		book(at)->page = (uint32_t)at;
	for (uint64_t at = 0; at < events; at++) {
		struct alloc_event event = *alloc_trace_event(making->trace, at);

		if (event.kind == ALLOC_EVENT_ALLOC)
			make_alloc(making, event);
		else if (event.kind == ALLOC_EVENT_FREE)
			make_free(making, event);
		else if (event.kind == ALLOC_EVENT_MOVE && at + 1 < events)
			make_move(making, event.page, alloc_trace_event(making->trace, ++at)->page);
	}
	making->unknown -= MIN(making->unknown, making->moved);
}

/* ---- a recording --------------------------------------------------------------------------------------------------
 */

static uint64_t end_pfn(void)
{
	uint64_t end = 0;

	for_each_zone(zone) end = MAX(end, zone->start_pfn + zone->spanned_pages);
	return end;
}

/* With the lock held. */
static int start_locked(uint64_t events)
{
	struct memory_info info;
	int error;

	if (recorder.running)
		return -EBUSY;
	alloc_trace_cut(&recorder.trace, 0);
	recorder.pages = end_pfn();
	error = alloc_trace_make(&recorder.books, recorder.pages * sizeof(struct alloc_event));
	if (!error)
		error = alloc_trace_make(&recorder.trace,
					 sizeof(struct alloc_trace_header) + events * sizeof(struct alloc_event));
	if (error) {
		alloc_trace_cut(&recorder.books, 0);
		return error;
	}
	memory_info_get(&info);
	recorder.free_pages = info.free;
	recorder.room = events;
	recorder.next = 0;
	store_release(&recorder.running, true);
	listen(true);
	return 0;
}

int alloc_record_start(uint64_t events)
{
	int error = events ? 0 : -EINVAL;

	mutex_lock(&recorder.lock);
	if (!error)
		error = start_locked(events);
	mutex_unlock(&recorder.lock);
	return error;
}

static void stop_listening(void)
{
	listen(false);
	/* In one order with the additions to writers: who came in later sees it, who came before is waited for. */
	(void)atomic_exchange(&recorder.running, false);
	while (atomic_fetch_add(&recorder.writers, 0))
		thread_yield();
}

static void show(struct sink *out, const struct alloc_trace_header *header)
{
	sink_printf(out, "record: %lu events, at most %lu pages held, %lu frees of what was not recorded\n",
		    header->events, header->peak_pages, header->unknown);
	if (header->lost)
		sink_printf(out, "record: no room for %lu more events: the recording ends early (events=%lu)\n",
			    header->lost, recorder.room);
}

static void stop_locked(struct making *making, const char *workload, uint64_t seed)
{
	struct alloc_trace_header *header = alloc_trace_header(&recorder.trace);
	uint64_t events = MIN(recorder.next, recorder.room);

	making->trace = &recorder.trace;
	make_trace(making, events);
	*header = (struct alloc_trace_header){
		.magic = ALLOC_TRACE_MAGIC,
		.version = ALLOC_TRACE_VERSION,
		.header_bytes = sizeof(*header),
		.events = making->last_alloc,
		.pages = recorder.pages,
		.free_pages = recorder.free_pages,
		.peak_pages = making->peak,
		.seed = seed,
		.unknown = making->unknown,
		.lost = recorder.next - events,
	};
	string_copy(header->workload, workload, sizeof(header->workload));
	alloc_trace_cut(&recorder.books, 0);
	alloc_trace_cut(&recorder.trace, sizeof(*header) + header->events * sizeof(struct alloc_event));
}

int alloc_record_stop(struct sink *out, const char *workload, uint64_t seed)
{
	struct making *making = kzalloc(sizeof(*making));

	mutex_lock(&recorder.lock);
	stop_listening();
	if (making) {
		stop_locked(making, workload, seed);
		show(out, alloc_trace_header(&recorder.trace));
	} else {
		alloc_trace_cut(&recorder.books, 0);
		alloc_trace_cut(&recorder.trace, 0);
	}
	mutex_unlock(&recorder.lock);
	kfree(making);
	return making ? 0 : -ENOMEM;
}

const struct alloc_trace *alloc_record_take(void)
{
	mutex_lock(&recorder.lock);
	if (!recorder.running && recorder.trace.bytes)
		return &recorder.trace;
	mutex_unlock(&recorder.lock);
	return NULL;
}

void alloc_record_give(void)
{
	mutex_unlock(&recorder.lock);
}

/* ---- what a user sees ---------------------------------------------------------------------------------------------
 */

static int record_show(struct sink *out, void *context UNUSED)
{
	const struct alloc_trace *trace = alloc_record_take();

	if (!trace)
		return -ENOENT;
	show(out, alloc_trace_header(trace));
	sink_printf(out, "bytes %lu\n", trace->bytes);
	for (uint64_t at = 0; at * ALLOC_TRACE_PIECE < trace->bytes; at++)
		sink_printf(out, "piece 0x%lx %lu\n", (unsigned long)virt_to_phys(trace->pieces[at]),
			    MIN(trace->bytes - at * ALLOC_TRACE_PIECE, (uint64_t)ALLOC_TRACE_PIECE));
	alloc_record_give();
	return 0;
}

static int record_store(void *context UNUSED, char *text, size_t length UNUSED)
{
	int error = strcmp(text, "0") == 0 ? 0 : -EINVAL;

	mutex_lock(&recorder.lock);
	if (!error && recorder.running)
		error = -EBUSY;
	if (!error)
		alloc_trace_cut(&recorder.trace, 0);
	mutex_unlock(&recorder.lock);
	return error;
}

int alloc_record_init(void)
{
	static const struct vfile_ops ops = {.show = record_show, .store = record_store};

	return vfile_add(RECORD_FILE, &ops, NULL);
}

static int record_run(struct sink *out, int argc, char **argv)
{
	uint64_t events = ALLOC_RECORD_EVENTS, seed = 1; /* as the workloads have it */
	char text[sizeof(alloc_trace_header(NULL)->workload)] = "";
	int error;

	if (argc > 1 && strncmp(argv[1], "events=", 7) == 0) {
		if (parse_size(argv[1] + 7, &events) || !events)
			argc = 0;
		argv++;
		argc--;
	}
	if (argc < 2) {
		sink_printf(out, "record: expected [events=N] and a workload with its parameters\n");
		return -EINVAL;
	}
	for (int at = 1; at < argc; at++) {
		size_t length = strlen(text);

		format(text + length, sizeof(text) - length, "%s%s", at > 1 ? " " : "", argv[at]);
		if (strncmp(argv[at], "seed=", 5) == 0 && parse_size(argv[at] + 5, &seed))
			seed = 1; /* which the workload refuses */
	}
	error = alloc_record_start(events);
	if (error)
		return error;
	error = workload_run(out, argc - 1, argv + 1);
	return alloc_record_stop(out, text, seed) ? -ENOMEM : error;
}
SHELL_COMMAND(record, "[events=N] workload [key=value...]", "runs a workload and records what it allocates",
	      record_run);
