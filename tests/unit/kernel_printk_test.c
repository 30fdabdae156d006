/*
 * The log ring, the consoles, and lines that stay whole. A private console sees what the real ones see.
 */
#include "kernel/ktest.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/string.h"

static char seen[65536];
static size_t seen_bytes;

static void see(struct console *console UNUSED, const char *text, size_t length)
{
	size_t room = sizeof(seen) - 1 - seen_bytes;

	length = MIN(length, room);
	memcpy(seen + seen_bytes, text, length);
	seen_bytes += length;
	seen[seen_bytes] = '\0';
}

static struct console eye = {.name = "eye", .write = see};

static void forget(void)
{
	seen_bytes = 0;
	seen[0] = '\0';
}

static void close_eye(void *argument UNUSED)
{
	console_unregister(&eye);
}

static void open_eye(struct ktest *t)
{
	console_end_line();
	console_register(&eye);
	ktest_defer(t, close_eye, NULL);
	forget();
}

KTEST(printk, a_late_console_is_shown_what_was_logged)
{
	pr_info("said before anybody listened");
	pr_debug("not meant for consoles");
	forget();
	console_register(&eye);
	ktest_defer(t, close_eye, NULL);
	EXPECT(t, strstr(seen, "] said before anybody listened\n") != NULL);
	EXPECT(t, strstr(seen, "not meant for consoles") == NULL);
	forget();
	close_eye(NULL);
	pr_info("said when it had gone");
	EXPECT_STR(t, seen, "");
}

KTEST(printk, a_log_line_never_falls_into_a_line_of_output)
{
	open_eye(t);
	sink_printf(console_sink(), "# one %d", 1);
	pr_info("between");
	sink_printf(console_sink(), " two %d\n# three", 2);
	pr_info("again");
	EXPECT(t, strstr(seen, "] between\n# one 1 two 2\n[") != NULL);
	EXPECT(t, strstr(seen, "three") == NULL);
	console_end_line();
	EXPECT(t, strstr(seen, "] again\n# three\n") != NULL);
	forget();
	console_end_line();
	EXPECT_STR(t, seen, "");
}

KTEST(printk, a_prompt_is_seen_at_once)
{
	open_eye(t);
	sink_printf(console_sink(), "# kept, ");
	sink_printf(console_sink_at_once(), "prompt> ");
	EXPECT_STR(t, seen, "# kept, prompt> ");
	pr_info("late news");
	EXPECT(t, string_starts(seen, "# kept, prompt> \n["));
}

KTEST(printk, lines_longer_than_what_is_kept_lose_nothing)
{
	static char line[6000];
	size_t letters = 0;

	memset(line, 'x', sizeof(line));
	memcpy(line, "# ", 2);
	open_eye(t);
	for (size_t i = 0; i < sizeof(line); i += 2000)
		sink_write(console_sink(), line + i, 2000);
	sink_write(console_sink(), "\n", 1);
	for (size_t i = 0; i < seen_bytes; i++)
		letters += seen[i] == 'x';
	EXPECT_EQ(t, letters, sizeof(line) - 2);
}

static uint32_t talking, stop_talking;

static int talk(void *argument UNUSED)
{
	for (uint32_t i = 0; i < 500 && !load_relaxed(&stop_talking); i++) {
		pr_info("# talking %u", i);
		store_relaxed(&talking, 1);
	}
	return 0;
}

KTEST(printk, writers_on_other_cpus_do_not_tear_lines)
{
	struct thread *talker;
	uint32_t whole = 0;

	open_eye(t);
	store_relaxed(&talking, 0);
	store_relaxed(&stop_talking, 0);
	talker = thread_spawn("talker", talk, NULL);
	REQUIRE(t, !IS_ERR(talker));
	while (!load_relaxed(&talking))
		sleep_ns(NS_PER_US);
	for (uint32_t i = 0; i < 100; i++)
		sink_printf(console_sink(), "# %u written %u piece %u by piece\n", i, i, i);
	store_relaxed(&stop_talking, 1);
	thread_join(talker);
	close_eye(NULL);
	for (const char *at = seen; (at = strstr(at, "\n# ")); at++)
		whole += strstr(at, "by piece\n") == strchr(at + 1, '\n') - strlen("by piece");
	EXPECT(t, whole >= 99); /* the first may have no line before it */
}

static char shown[80000];

static const char *show_log(void)
{
	struct text text;

	text_init(&text, shown, sizeof(shown));
	log_show(&text.sink);
	return shown;
}

KTEST(printk, a_full_ring_drops_the_oldest_lines_whole)
{
	pr_debug("the very first line");
	for (int i = 0; i < 3000; i++)
		pr_debug("line %d of many, long enough to fill the ring before they end", i);
	show_log();
	EXPECT_EQ(t, shown[0], '[');
	EXPECT(t, strstr(shown, "the very first line") == NULL);
	EXPECT(t, strstr(shown, "line 2998 of many") != NULL);
	EXPECT(t, string_starts(strstr(shown, "] line 2999") + 2,
				"line 2999 of many, long enough to fill the ring before"));
}

KTEST(printk, a_long_line_is_cut_and_still_ends)
{
	static char text[1000];
	const char *end;

	memset(text, 'y', sizeof(text) - 1);
	pr_debug("long: %s", text);
	pr_debug("behind the long one");
	show_log();
	end = strstr(shown, "behind the long one");
	REQUIRE(t, end);
	while (*end != '\n')
		end--;
	EXPECT_EQ(t, end[-1], 'y');
}

KTEST(printk, a_rate_limit_holds_back_and_says_how_many)
{
	struct ratelimit limit = {0};
	uint32_t allowed = 0;

	/* A second may begin anew in between, once. */
	for (int i = 0; i < 1000; i++)
		allowed += ratelimit_allow(&limit, 10);
	EXPECT(t, allowed >= 10 && allowed <= 20);
	EXPECT_EQ(t, limit.printed, 10u);
	EXPECT(t, limit.suppressed > 0);
}
