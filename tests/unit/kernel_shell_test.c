/*
 * The shell's lines, the line editor's keys, and the command line's words.
 */
#include "kernel/cmdline.h"
#include "kernel/ktest.h"
#include "kernel/line_editor.h"
#include "kernel/shell.h"
#include "kernel/vfile.h"
#include "lib/string.h"

static char arguments[256];

static int show_arguments(struct sink *out, int argc, char **argv)
{
	arguments[0] = '\0';
	for (int i = 1; i < argc; i++) {
		size_t length = strlen(arguments);

		format(arguments + length, sizeof(arguments) - length, "<%s>", argv[i]);
	}
	sink_printf(out, "ran\n");
	return argc > 1 && strcmp(argv[1], "fail") == 0 ? 7 : 0;
}
SHELL_COMMAND(test_args, "...", "for the shell's own tests", show_arguments);

static int run(const char *line, char *output, size_t size)
{
	struct text text;

	text_init(&text, output, size);
	return shell_run_line(&text.sink, line);
}

KTEST(shell, quotes_keep_words_together)
{
	char out[128];

	EXPECT_EQ(t, run("test_args a \"b  c\" \"d;e>f\" g\"h\"i", out, sizeof(out)), 0);
	EXPECT_STR(t, arguments, "<a><b  c><d;e>f><ghi>");
}

KTEST(shell, commands_in_a_line_run_in_order_and_the_last_status_counts)
{
	char out[128];

	EXPECT_EQ(t, run("test_args fail; test_args $?", out, sizeof(out)), 0);
	EXPECT_STR(t, arguments, "<7>");
	EXPECT_EQ(t, run("test_args ok;test_args fail ; # test_args no", out, sizeof(out)), 7);
	EXPECT_STR(t, out, "ran\nran\n");
}

KTEST(shell, unknown_commands_and_missing_paths_are_said)
{
	char out[128];

	EXPECT_EQ(t, run("no_such_thing", out, sizeof(out)), 127);
	EXPECT(t, string_starts(out, "no_such_thing: unknown command"));
	EXPECT_EQ(t, run("test_args a >", out, sizeof(out)), -EINVAL);
	EXPECT_EQ(t, run("test_args a > /no/such/file", out, sizeof(out)), -ENOENT);
	EXPECT_EQ(t, run("", out, sizeof(out)), -ENOENT);
}

KTEST(shell, an_open_quote_runs_nothing_behind_it)
{
	char out[128];

	EXPECT_EQ(t, run("test_args a; test_args b \"c; test_args d", out, sizeof(out)), -EINVAL);
	EXPECT_STR(t, arguments, "<a>");
	EXPECT(t, strstr(out, "not closed") != NULL);
}

KTEST(shell, a_text_runs_line_by_line)
{
	char text[] = "test_args fail\r\n# a comment\n\ntest_args $? \"x\"\ntest_args last";
	char out[64];
	struct text sink;

	text_init(&sink, out, sizeof(out));
	EXPECT_EQ(t, shell_run_text(&sink.sink, text), 0);
	EXPECT_STR(t, out, "ran\nran\nran\n");
	EXPECT_STR(t, arguments, "<last>");
}

static int store_text(void *context, char *text, size_t length UNUSED)
{
	string_copy(context, text, 64);
	return 0;
}

static void remove_tree(void *path)
{
	vfile_remove(path);
}

KTEST(shell, output_goes_to_a_file)
{
	static const struct vfile_ops ops = {.store = store_text};
	char stored[64] = "", out[64];

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add("/t/file", &ops, stored));
	EXPECT_EQ(t, run("test_args x>/t/file", out, sizeof(out)), 0);
	EXPECT_STR(t, stored, "ran");
	EXPECT_STR(t, out, "");
}

KTEST(shell, a_line_of_random_bytes_does_no_harm)
{
	char line[1200], out[256];
	uint64_t state = ktest_seed(t);

	for (int round = 0; round < 500; round++) {
		size_t length = state % sizeof(line);

		for (size_t i = 0; i < length; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			line[i] = "ab \";>#$?\t/\xff"[state >> 60 & 11];
		}
		line[length ? length - 1 : 0] = '\0';
		run(line, out, sizeof(out));
	}
}

/* ---- line editor ---- */

static const char *typed;

static int next_typed(void)
{
	return *typed ? (unsigned char)*typed++ : '\n';
}

static const char *edit(struct line_editor *editor, const char *keys)
{
	static char line[256];

	typed = keys;
	line_editor_read(editor, line, sizeof(line));
	return line;
}

KTEST(line_editor, keys_edit_the_line)
{
	static struct line_editor editor;
	char out[64];
	struct text text;

	text_init(&text, out, sizeof(out));
	line_editor_init(&editor, next_typed, &text.sink, true, "> ");
	EXPECT_STR(t, edit(&editor, "helo\x1b[Dl\n"), "hello");
	EXPECT_STR(t, edit(&editor, "world\x01hello \n"), "hello world");
	EXPECT_STR(t, edit(&editor, "abc\x7f\x7fx\n"), "ax");
	EXPECT_STR(t, edit(&editor, "one two three\x17\x17\n"), "one ");
	EXPECT_STR(t, edit(&editor, "abcdef\x1b[H\x1b[C\x1b[C\x0b\n"), "ab");
	EXPECT_STR(t, edit(&editor, "abc\x15xyz\n"), "xyz");
	EXPECT_STR(t, edit(&editor, "abc\x1b[H\x1b[3~\n"), "bc");
	EXPECT_STR(t, edit(&editor, "gone\x03kept\n"), "kept");
}

KTEST(line_editor, history_goes_back_and_forth)
{
	static struct line_editor editor;
	char out[64];
	struct text text;

	text_init(&text, out, sizeof(out));
	line_editor_init(&editor, next_typed, &text.sink, true, "");
	for (int i = 0; i < LINE_EDITOR_HISTORY + 8; i++) {
		char line[16];

		format(line, sizeof(line), "line%d\n", i);
		edit(&editor, line);
	}
	EXPECT_STR(t, edit(&editor, "\x1b[A\n"), "line39");
	EXPECT_STR(t, edit(&editor, "\x1b[A\x1b[A\x1b[A\x1b[B\n"), "line38");
	EXPECT_STR(t, edit(&editor, "\x1b[A\x1b[B\n"), "");
}

KTEST(line_editor, tab_completes_commands)
{
	static struct line_editor editor;
	char out[64];
	struct text text;

	text_init(&text, out, sizeof(out));
	line_editor_init(&editor, next_typed, &text.sink, true, "");
	EXPECT_STR(t, edit(&editor, "test_ar\t\n"), "test_args ");
}

KTEST(line_editor, a_long_machine_line_is_cut_and_said)
{
	static struct line_editor editor;
	static char keys[400];
	char out[128];
	struct text text;

	text_init(&text, out, sizeof(out));
	line_editor_init(&editor, next_typed, &text.sink, false, "");
	memset(keys, 'k', sizeof(keys) - 1);
	EXPECT_EQ(t, strlen(edit(&editor, keys)), 255u);
	EXPECT(t, strstr(out, "cut") != NULL);
}

KTEST(line_editor, a_machine_may_end_lines_both_ways_and_take_one_back)
{
	static struct line_editor editor;
	char out[64];
	struct text text;

	text_init(&text, out, sizeof(out));
	line_editor_init(&editor, next_typed, &text.sink, false, "");
	EXPECT_STR(t,
		   edit(&editor, "one\r\ntwo\n\nthree\x03"
				 "four\r"),
		   "one");
	EXPECT_STR(t, edit(&editor, typed), "two");
	EXPECT_STR(t, edit(&editor, typed), "");
	EXPECT_STR(t, edit(&editor, typed), "four");
}

/* ---- command line ---- */

static void restore_cmdline(void *text)
{
	cmdline_init(text);
}

static void count_value(const char *value, void *context)
{
	if (strcmp(value, "1@2") == 0 || strcmp(value, "3@4") == 0)
		++*(int *)context;
}

KTEST(cmdline, words_are_found_and_the_last_counts)
{
	static char before[4096];
	int devices = 0;

	string_copy(before, cmdline_text(), sizeof(before));
	ktest_defer(t, restore_cmdline, before);
	cmdline_init("a=1 bare a=2 run=\"echo x; exit 3\" dev=1@2 dev=3@4 size=2M on=off junk=1x -- a=9");
	EXPECT_STR(t, cmdline_value("a"), "2");
	EXPECT_STR(t, cmdline_value("bare"), "");
	EXPECT_STR(t, cmdline_value("run"), "echo x; exit 3");
	EXPECT(t, cmdline_value("none") == NULL);
	EXPECT_EQ(t, cmdline_u64("size", 0), MIB(2));
	EXPECT_EQ(t, cmdline_u64("junk", 17), 17u);
	EXPECT(t, !cmdline_bool("on", true));
	EXPECT(t, cmdline_bool("bare", false));
	cmdline_each("dev", count_value, &devices);
	EXPECT_EQ(t, devices, 2);
}

KTEST(cmdline, sysctls_and_parameters_are_written_to_files)
{
	static char before[4096];
	struct vfile_int knob = {.value = 1, .min = 0, .max = 9}, param = {.value = 1, .min = 0, .max = 9};

	string_copy(before, cmdline_text(), sizeof(before));
	ktest_defer(t, restore_cmdline, before);
	ktest_defer(t, remove_tree, "/proc/sys/test_only");
	ktest_defer(t, remove_tree, "/sys/module/test_module");
	REQUIRE_OK(t, vfile_add_int("/proc/sys/test_only/knob", &knob));
	REQUIRE_OK(t, vfile_add_int("/sys/module/test_module/parameters/param", &param));
	cmdline_init("sysctl.test_only.knob=5 test_module.param=6 sysctl.test_only.knob=77 unknown.x=1");
	cmdline_apply();
	EXPECT_EQ(t, knob.value, 5);
	EXPECT_EQ(t, param.value, 6);
}
