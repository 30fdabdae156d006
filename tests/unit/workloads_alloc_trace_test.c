/*
 * Recording and replaying: every event is there, what is lost is said, a file that is not sound is refused, and a
 * replay leaves nothing behind.
 */
#include "workloads/alloc_record.h"
#include "workloads/alloc_replay.h"

#include "kernel/ktest.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/trace.h"

static char shown[4096];
static struct text text;

static struct sink *fresh(void)
{
	text_init(&text, shown, sizeof(shown));
	return &text.sink;
}

static struct page *get(uint32_t gfp, unsigned int order)
{
	return alloc_pages(gfp | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), order);
}

/* What @trace's events say, in one line: "+0.1m" takes number 0 with order 1, movable. */
static const char *events_of(const struct alloc_trace *trace)
{
	static char line[256];
	uint32_t numbers[16], known = 0;
	size_t length = 0;

	line[0] = '\0';
	for (uint64_t at = 0; at < alloc_trace_header(trace)->events && length < sizeof(line) && known < 16; at++) {
		const struct alloc_event *event = alloc_trace_event(trace, at);
		uint32_t number = 0;

		while (number < known && numbers[number] != event->page)
			number++;
		if (number == known)
			numbers[known++] = event->page;
		length += (size_t)format(line + length, sizeof(line) - length, "%s%c%u.%u%s", at ? " " : "",
					 event->kind == ALLOC_EVENT_ALLOC ? '+' : '-', number, event->order,
					 event->gfp & GFP_MOVABLE	? "m"
					 : event->gfp & GFP_RECLAIMABLE ? "r"
									: "");
	}
	return line;
}

static void forget(void *argument UNUSED)
{
	(void)!alloc_record_init(); /* in the guest it is there already */
	(void)!vfile_write("/sys/kernel/debug/alloc_record", "0", 1);
}

/* Takes the recording and looks at it. */
static void expect_events(struct ktest *t, const char *want, uint64_t unknown)
{
	const struct alloc_trace *trace = alloc_record_take();

	REQUIRE(t, trace);
	EXPECT_STR(t, events_of(trace), want);
	EXPECT_EQ(t, alloc_trace_header(trace)->unknown, unknown);
	EXPECT_OK(t, alloc_trace_check(trace, fresh()));
	alloc_record_give();
}

KTEST(alloc_record, every_event_is_there_until_the_last_allocation)
{
	struct page *a, *b, *c;

	ktest_defer(t, forget, NULL);
	REQUIRE_OK(t, alloc_record_start(100));
	EXPECT_EQ(t, alloc_record_start(100), -EBUSY);
	EXPECT(t, !alloc_record_take());
	a = get(GFP_MOVABLE, 0);
	b = get(0, 3);
	free_pages(a, 0);
	c = get(GFP_RECLAIMABLE, 10);
	free_pages(c, 10);
	free_pages(b, 3); /* behind the last allocation */
	EXPECT_OK(t, alloc_record_stop(fresh(), "test of it", 77));
	EXPECT(t, strstr(shown, "record: 4 events, at most 1032 pages held, 0 frees of what was not recorded\n"));
	EXPECT(t, !strstr(shown, "no room"));
	expect_events(t, "+0.0m +1.3 -0.0 +2.10r", 0);
}

KTEST(alloc_record, frees_of_what_was_there_before_are_left_out_and_counted)
{
	struct page *before = get(GFP_MOVABLE, 0), *a, *b;

	ktest_defer(t, forget, NULL);
	REQUIRE_OK(t, alloc_record_start(100));
	a = get(0, 1);
	free_pages(before, 0);
	b = get(0, 2);
	EXPECT_OK(t, alloc_record_stop(fresh(), "test", 1));
	expect_events(t, "+0.1 +1.2", 1);
	free_pages(a, 1);
	free_pages(b, 2);
}

KTEST(alloc_record, what_finds_no_room_is_said)
{
	struct page *pages[5];

	ktest_defer(t, forget, NULL);
	REQUIRE_OK(t, alloc_record_start(3));
	for (unsigned int at = 0; at < ARRAY_SIZE(pages); at++)
		pages[at] = get(0, at);
	EXPECT_OK(t, alloc_record_stop(fresh(), "test", 1));
	EXPECT(t, strstr(shown, "record: no room for 2 more events: the recording ends early (events=3)\n"));
	expect_events(t, "+0.0 +1.1 +2.2", 0);
	for (unsigned int at = 0; at < ARRAY_SIZE(pages); at++)
		free_pages(pages[at], at);
}

/* The frame that it left is given to others meanwhile, under another number. */
KTEST(alloc_record, a_block_that_moves_keeps_its_number)
{
	struct page *to = get(GFP_MOVABLE, 0), *from, *other, *last;

	ktest_defer(t, forget, NULL);
	REQUIRE_OK(t, alloc_record_start(100));
	from = get(GFP_MOVABLE, 0);
	TRACE(mm_page_move, .from_pfn = page_to_pfn(from), .to_pfn = page_to_pfn(to), .order = 0);
	free_pages(from, 0);
	other = get(GFP_MOVABLE, 0);
	free_pages(to, 0);
	last = get(GFP_MOVABLE, 1);
	EXPECT_OK(t, alloc_record_stop(fresh(), "test", 1));
	EXPECT_EQ(t, page_to_pfn(other), page_to_pfn(from)); /* or it tests nothing */
	expect_events(t, "+0.0m +1.0m -0.0 +2.1m", 0);
	free_pages(other, 0);
	free_pages(last, 1);
}

static bool enough;
static uint64_t rounds;

static int allocate_and_free(void *argument UNUSED)
{
	while (!load_relaxed(&enough)) {
		struct page *page = get(GFP_MOVABLE, 0);

		if (page)
			free_pages(page, 0);
		atomic_inc(&rounds);
	}
	return 0;
}

KTEST(alloc_record, begins_and_ends_while_others_allocate)
{
	struct thread *threads[2];

	ktest_defer(t, forget, NULL);
	store_relaxed(&enough, false);
	for (unsigned int at = 0; at < ARRAY_SIZE(threads); at++)
		threads[at] = thread_spawn("busy", allocate_and_free, NULL);
	for (unsigned int round = 0; round < 5; round++) {
		const struct alloc_trace *trace;
		uint64_t until;

		EXPECT_OK(t, alloc_record_start(2000));
		until = load_relaxed(&rounds) + 200;
		while (load_relaxed(&rounds) < until)
			thread_yield();
		EXPECT_OK(t, alloc_record_stop(fresh(), "test", round));
		trace = alloc_record_take();
		EXPECT_OK(t, alloc_trace_check(trace, fresh()));
		EXPECT(t, alloc_trace_header(trace)->events >= 200);
		alloc_record_give();
	}
	store_relaxed(&enough, true);
	for (unsigned int at = 0; at < ARRAY_SIZE(threads); at++)
		thread_join(threads[at]);
}

/* ---- the file -----------------------------------------------------------------------------------------------------
 */

static struct alloc_trace file;

static void cut_file(void *argument UNUSED)
{
	alloc_trace_cut(&file, 0);
}

static void add(enum alloc_event_kind kind, uint32_t page, uint8_t order)
{
	*alloc_trace_event(&file, alloc_trace_header(&file)->events++) =
		(struct alloc_event){.page = page, .kind = (uint8_t)kind & 0xf, .order = order & 0xf};
}

/* A sound one: one block taken and given back. */
static void make_file(struct ktest *t)
{
	alloc_trace_cut(&file, 0);
	REQUIRE_OK(t, alloc_trace_make(&file, sizeof(struct alloc_trace_header) + 8 * sizeof(struct alloc_event)));
	*alloc_trace_header(&file) = (struct alloc_trace_header){.magic = ALLOC_TRACE_MAGIC,
								 .version = ALLOC_TRACE_VERSION,
								 .header_bytes = sizeof(struct alloc_trace_header),
								 .pages = 100};
	add(ALLOC_EVENT_ALLOC, 7, 2);
	add(ALLOC_EVENT_FREE, 7, 2);
}

/* One line, which says @what. */
static void expect_refused(struct ktest *t, const char *what)
{
	EXPECT_EQ(t, alloc_trace_check(&file, fresh()), -EINVAL);
	if (!strstr(shown, what) || strchr(shown, '\n') != shown + strlen(shown) - 1)
		ktest_fail(t, __FILE__, __LINE__, "\"%s\" does not say \"%s\" in one line", shown, what);
	make_file(t);
}

KTEST(alloc_trace, a_file_that_is_not_sound_is_refused_in_one_line)
{
	ktest_defer(t, cut_file, NULL);
	make_file(t);
	EXPECT_OK(t, alloc_trace_check(&file, fresh()));
	file.bytes = 255;
	expect_refused(t, "255 bytes, a header has 256");
	alloc_trace_header(&file)->magic[3] = 'X';
	expect_refused(t, "no \"BLNALLOC\"");
	alloc_trace_header(&file)->version = 2;
	expect_refused(t, "version 2 ");
	alloc_trace_header(&file)->events = 9;
	expect_refused(t, "truncated: 8 events are there, the header says 9");
	alloc_trace_header(&file)->events = UINT64_MAX / 8 + 2;
	expect_refused(t, "truncated");
	alloc_trace_header(&file)->pages = UINT64_MAX / 8 + 2;
	expect_refused(t, "pages are not between");
	memset(alloc_trace_header(&file)->workload, 'w', sizeof(alloc_trace_header(&file)->workload));
	expect_refused(t, "has no end");
}

KTEST(alloc_trace, an_event_that_cannot_be_is_refused_in_one_line)
{
	ktest_defer(t, cut_file, NULL);
	make_file(t);
	add(ALLOC_EVENT_ALLOC, 100, 0);
	expect_refused(t, "event 2: page 100 of 100");
	add(ALLOC_EVENT_ALLOC, 0, 11);
	expect_refused(t, "event 2: kind 1, order 11");
	add(ALLOC_EVENT_MOVE, 0, 0);
	expect_refused(t, "event 2: kind 3");
	add(ALLOC_EVENT_FREE, 7, 2);
	expect_refused(t, "event 2: page 7 is not held");
	add(ALLOC_EVENT_ALLOC, 7, 2);
	add(ALLOC_EVENT_ALLOC, 7, 2);
	expect_refused(t, "event 3: page 7 is taken already");
	add(ALLOC_EVENT_ALLOC, 7, 2);
	add(ALLOC_EVENT_FREE, 7, 1);
	expect_refused(t, "event 3: page 7 is not held with order 1");
	add(ALLOC_EVENT_ALLOC, 7, 2);
	alloc_trace_event(&file, 2)->gfp = 0x20;
	expect_refused(t, "gfp 0x20");
}

/* ---- replaying ----------------------------------------------------------------------------------------------------
 */

static uint64_t pages_of(enum page_owner owner)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[owner];
}

KTEST(alloc_replay, a_recorded_workload_is_replayed_and_all_given_back)
{
	struct alloc_replay_result first, second;
	const struct alloc_trace *trace;

	ktest_defer(t, forget, NULL);
	EXPECT_EQ(t, shell_run_line(fresh(), "record churn threads=2 fill=60 operations=20000 seed=4"), 0);
	trace = alloc_record_take();
	REQUIRE(t, trace);
	EXPECT_STR(t, alloc_trace_header(trace)->workload, "churn threads=2 fill=60 operations=20000 seed=4");
	EXPECT_EQ(t, alloc_trace_header(trace)->seed, 4u);
	EXPECT_OK(t,
		  alloc_replay(trace, alloc_trace_header(trace)->peak_pages / PAGEBLOCK_PAGES + 20, fresh(), &first));
	EXPECT_OK(t,
		  alloc_replay(trace, alloc_trace_header(trace)->peak_pages / PAGEBLOCK_PAGES + 20, fresh(), &second));
	alloc_record_give();
	EXPECT_EQ(t, first.failed, 0u);
	EXPECT_EQ(t, first.allocations + first.frees, alloc_trace_header(trace)->events);
	EXPECT_EQ(t, first.free_begin, second.free_begin);
	EXPECT_EQ(t, first.free_end, second.free_end);
	EXPECT_EQ(t, first.whole_begin, second.whole_begin);
	EXPECT_EQ(t, pages_of(PAGE_OWNER_WORKLOAD), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(alloc_replay, what_does_not_fit_fails_and_its_frees_are_passed_over)
{
	struct alloc_replay_result result;

	ktest_defer(t, cut_file, NULL);
	make_file(t);
	alloc_trace_header(&file)->events = 0;
	for (uint32_t page = 0; page < 4; page++)
		add(ALLOC_EVENT_ALLOC, page, MAX_ORDER);
	add(ALLOC_EVENT_FREE, 0, MAX_ORDER);
	add(ALLOC_EVENT_FREE, 3, MAX_ORDER);
	EXPECT_OK(t, alloc_replay(&file, 4, fresh(), &result));
	EXPECT(t, result.whole_begin >= 4 && result.whole_begin <= 6);
	EXPECT_EQ(t, result.allocations, 4u);
	EXPECT(t, result.failed >= 2 && result.frees <= 1);
	EXPECT_EQ(t, alloc_replay(&file, 1000000, fresh(), &result), -ENOMEM);
	EXPECT(t, strstr(shown, "replay: wants 1000000 whole pageblocks, "));
	EXPECT_EQ(t, pages_of(PAGE_OWNER_WORKLOAD), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(alloc_replay, nonsense_is_refused)
{
	forget(NULL);
	EXPECT_EQ(t, shell_run_line(fresh(), "run replay"), -ENOENT);
	EXPECT(t, strstr(shown, "replay: nothing is recorded here"));
	EXPECT(t, shell_run_line(fresh(), "run replay file=opt/none") < 0 && strstr(shown, "opt/none: "));
	EXPECT(t, shell_run_line(fresh(), "record") == -EINVAL && strstr(shown, "record: expected"));
	EXPECT(t, shell_run_line(fresh(), "record events=x churn") == -EINVAL && strstr(shown, "record: expected"));
	EXPECT(t, shell_run_line(fresh(), "record nothing") == -ENOENT && strstr(shown, "no workload nothing"));
}
