/*
 * Trace rings and their files.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/trace_internal.h"
#include "kernel/vfile.h"
#include "lib/string.h"

TRACE_EVENT_DECLARE(test_ping, uint64_t number; uint32_t side;);
TRACE_EVENT_DEFINE(ktest, test_ping, "number=%llu side=%u", (unsigned long long)r->number, r->side);

static char shown[65536];

static const char *show_trace(void)
{
	struct text text;

	text_init(&text, shown, sizeof(shown));
	return vfile_read("/sys/kernel/tracing/trace", &text.sink) ? "(error)" : shown;
}

static void quiet(void *argument UNUSED)
{
	(void)!vfile_write("/sys/kernel/tracing/events/ktest/test_ping/enable", "0", 1);
	trace_set_recording(true);
	trace_rings_clear();
}

static int begin(struct ktest *t)
{
	/* In the guest the files are there already. */
	(void)!trace_init();
	ktest_defer(t, quiet, NULL);
	trace_rings_clear();
	return vfile_write("/sys/kernel/tracing/events/ktest/test_ping/enable", "1", 1);
}

KTEST(trace, an_event_shows_only_while_it_is_on)
{
	REQUIRE_OK(t, begin(t));
	TRACE(test_ping, .number = 7, .side = 1);
	EXPECT(t, strstr(show_trace(), ": test_ping: number=7 side=1\n") != NULL);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/events/ktest/enable", "0", 1));
	TRACE(test_ping, .number = 8, .side = 1);
	EXPECT(t, strstr(show_trace(), "number=8") == NULL);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/events/enable", "1", 1));
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/tracing_on", "0", 1));
	TRACE(test_ping, .number = 9, .side = 1);
	EXPECT(t, strstr(show_trace(), "number=9") == NULL);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/events/enable", "0", 1));
}

KTEST(trace, a_line_has_linux_columns)
{
	const char *line, *name;

	REQUIRE_OK(t, begin(t));
	TRACE(test_ping, .number = 1, .side = 2);
	show_trace();
	EXPECT(t, string_starts(shown, "# tracer: nop\n#\n# entries-in-buffer/entries-written: "));
	name = strstr(shown, ": test_ping:");
	REQUIRE(t, name);
	for (line = name; line[-1] != '\n'; line--)
		;
	EXPECT_EQ(t, line[16], '-');
	EXPECT_EQ(t, line[25], '[');
	EXPECT_EQ(t, line[29], ']');
	EXPECT_EQ(t, line[36], ' ');
	EXPECT_EQ(t, name[-7], '.');
}

KTEST(trace, writing_clears_and_a_marker_is_kept)
{
	REQUIRE_OK(t, begin(t));
	TRACE(test_ping, .number = 3);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/trace", "", 0));
	EXPECT(t, strstr(show_trace(), "entries-written: 0/0") != NULL);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/trace_marker", "here", 4));
	EXPECT(t, strstr(show_trace(), "tracing_mark_write: here\n") != NULL);
}

struct order {
	uint64_t last_ns, records;
	bool backwards;
};

static void check_order(unsigned int cpu UNUSED, const struct trace_header *header, const void *record UNUSED,
			void *context)
{
	struct order *order = context;

	order->backwards |= header->time_ns < order->last_ns;
	order->last_ns = header->time_ns;
	order->records++;
}

static int emit_many(void *argument)
{
	for (uint64_t i = 0; i < 20000; i++)
		TRACE(test_ping, .number = i, .side = (uint32_t)(uintptr_t)argument);
	return 0;
}

KTEST(trace, full_rings_drop_the_oldest_and_merge_by_time)
{
	struct thread *threads[3];
	struct order order = {0};
	struct trace_totals totals;

	REQUIRE_OK(t, begin(t));
	for (uintptr_t i = 0; i < 3; i++) {
		threads[i] = thread_spawn("emitter", emit_many, (void *)i);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	EXPECT_OK(t, trace_rings_each(check_order, &order)); /* while they write: must only not fall over */
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
	EXPECT(t, !order.backwards);
	order = (struct order){0};
	EXPECT_OK(t, trace_rings_each(check_order, &order));
	trace_rings_totals(&totals);
	EXPECT_EQ(t, totals.written, 60000u);
	EXPECT_EQ(t, order.records, totals.in_rings);
	EXPECT(t, totals.in_rings > 1000 && totals.in_rings < 60000);
	EXPECT(t, !order.backwards);
}

KTEST(trace, the_size_is_settled_once_there_are_rings)
{
	char text[32];
	struct text size;

	REQUIRE_OK(t, begin(t));
	EXPECT_EQ(t, vfile_write("/sys/kernel/tracing/buffer_size_kb", "64", 2), -EBUSY);
	text_init(&size, text, sizeof(text));
	EXPECT_OK(t, vfile_read("/sys/kernel/tracing/buffer_size_kb", &size.sink));
	EXPECT_STR(t, text, "128\n");
}

KTEST(trace, the_format_file_describes_every_field)
{
	struct text text;

	text_init(&text, shown, sizeof(shown));
	EXPECT_OK(t, vfile_read("/sys/kernel/tracing/events/ktest/test_ping/format", &text.sink));
	EXPECT(t, strstr(shown, "field:uint64_t number;\toffset:0;\tsize:8;\tsigned:0;"));
	EXPECT(t, strstr(shown, "field:uint32_t side;\toffset:8;\tsize:4;\tsigned:0;"));
	EXPECT(t, strstr(shown, "print fmt: \"number=%llu side=%u\", (unsigned long long)REC->number, REC->side\n"));
}

static uint64_t heard;

static void hear(const void *record)
{
	heard += ((const struct trace_record_test_ping *)record)->number;
}

/* A listener and the rings have nothing to do with each other. */
KTEST(trace, a_listener_hears_what_the_rings_need_not_keep)
{
	REQUIRE_OK(t, begin(t));
	quiet(NULL);
	heard = 0;
	trace_listen(&trace_event_test_ping, hear);
	TRACE(test_ping, .number = 7, .side = 1);
	EXPECT_EQ(t, heard, 7u);
	EXPECT(t, strstr(show_trace(), "number=7") == NULL);
	EXPECT_OK(t, vfile_write("/sys/kernel/tracing/events/ktest/test_ping/enable", "1", 1));
	TRACE(test_ping, .number = 8, .side = 1);
	trace_listen(&trace_event_test_ping, NULL);
	TRACE(test_ping, .number = 16, .side = 1);
	EXPECT_EQ(t, heard, 15u);
	EXPECT(t, strstr(show_trace(), "number=8") && strstr(shown, "number=16"));
}
