/*
 * Virtual files: the tree, the errors, removal while a file is in use, settings, completion.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/string.h"

static int show_context(struct sink *out, void *context)
{
	sink_printf(out, "%s", (const char *)context);
	return 0;
}

static int store_context(void *context, char *text, size_t length)
{
	if (strcmp(text, "bad") == 0)
		return -EINVAL;
	format(context, 16, "%s/%zu", text, length);
	return 0;
}

static const struct vfile_ops read_only = {.show = show_context};
static const struct vfile_ops read_write = {.show = show_context, .store = store_context};

static void remove_tree(void *path)
{
	vfile_remove(path);
}

static char *read_file(const char *path)
{
	static char buffer[256];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	return vfile_read(path, &text.sink) ? "(error)" : buffer;
}

KTEST(vfile, files_are_found_read_and_listed_in_order)
{
	char buffer[64];
	struct text list;

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add("/t/b/two", &read_only, "2"));
	REQUIRE_OK(t, vfile_add("/t/c", &read_only, "3"));
	REQUIRE_OK(t, vfile_add("/t/a", &read_only, "1"));
	EXPECT_STR(t, read_file("/t/b/two"), "2");
	EXPECT_STR(t, read_file("//t//b//two/"), "2");
	text_init(&list, buffer, sizeof(buffer));
	EXPECT_OK(t, vfile_list("/t", &list.sink));
	EXPECT_STR(t, buffer, "a\nb/\nc\n");
}

KTEST(vfile, errors_are_told_apart)
{
	char value[16] = "old", buffer[8], name[VFILE_PATH_MAX + 8];
	struct text out;

	text_init(&out, buffer, sizeof(buffer));
	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add("/t/ro", &read_only, value));
	REQUIRE_OK(t, vfile_add("/t/rw", &read_write, value));
	EXPECT_EQ(t, vfile_add("/t/ro", &read_only, value), -EEXIST);
	EXPECT_EQ(t, vfile_add("/t", &read_only, value), -EEXIST);
	EXPECT_EQ(t, vfile_add("/t/ro/below", &read_only, value), -ENOTDIR);
	EXPECT_EQ(t, vfile_add("relative", &read_only, value), -EINVAL);
	EXPECT_EQ(t, vfile_read("/t/none", &out.sink), -ENOENT);
	EXPECT_EQ(t, vfile_read("/t", &out.sink), -EISDIR);
	EXPECT_EQ(t, vfile_write("/t/ro", "x", 1), -EACCES);
	EXPECT_EQ(t, vfile_write("/t/rw", "bad", 3), -EINVAL);
	EXPECT_EQ(t, vfile_make_dir("/t/new"), -EACCES);
	EXPECT_EQ(t, vfile_remove("/t/none"), -ENOENT);
	EXPECT_STR(t, value, "old");
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	EXPECT_EQ(t, vfile_add(name, &read_only, value), -ENAMETOOLONG);
}

KTEST(vfile, a_write_loses_only_its_last_newline)
{
	char value[16] = "";

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add("/t/rw", &read_write, value));
	EXPECT_OK(t, vfile_write("/t/rw", "a\n\n", 3));
	EXPECT_STR(t, value, "a\n/2");
}

struct slow_file {
	uint32_t inside, ended;
};

static int show_slowly(struct sink *out UNUSED, void *context)
{
	struct slow_file *slow = context;

	store_release(&slow->inside, 1);
	sleep_ns(10 * NS_PER_MS);
	store_release(&slow->ended, 1);
	return 0;
}

static int read_slow_file(void *argument UNUSED)
{
	char buffer[8];
	struct text out;

	text_init(&out, buffer, sizeof(buffer));
	return vfile_read("/t/slow", &out.sink);
}

KTEST(vfile, removing_waits_for_the_reader)
{
	static const struct vfile_ops ops = {.show = show_slowly};
	struct slow_file slow = {0};
	struct thread *reader;

	REQUIRE_OK(t, vfile_add("/t/slow", &ops, &slow));
	reader = thread_spawn("reader", read_slow_file, NULL);
	REQUIRE(t, !IS_ERR(reader));
	while (!load_acquire(&slow.inside))
		thread_yield();
	EXPECT_OK(t, vfile_remove("/t"));
	EXPECT_EQ(t, load_acquire(&slow.ended), 1u);
	EXPECT_OK(t, thread_join(reader));
}

KTEST(vfile, an_integer_keeps_its_range)
{
	struct vfile_int setting = {.value = 5, .min = -1, .max = 10};

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add_int("/t/int", &setting));
	EXPECT_OK(t, vfile_write("/t/int", "10\n", 3));
	EXPECT_EQ(t, setting.value, 10);
	EXPECT_EQ(t, vfile_write("/t/int", "11", 2), -EINVAL);
	EXPECT_EQ(t, vfile_write("/t/int", "-2", 2), -EINVAL);
	EXPECT_EQ(t, vfile_write("/t/int", "3x", 2), -EINVAL);
	EXPECT_STR(t, read_file("/t/int"), "10\n");
	setting.min = 8;
	EXPECT_EQ(t, vfile_write("/t/int", "0", 1), -EINVAL);
	setting.or_zero = true;
	EXPECT_OK(t, vfile_write("/t/int", "0", 1));
	EXPECT_EQ(t, vfile_write("/t/int", "7", 1), -EINVAL);
	EXPECT_EQ(t, setting.value, 0);
}

KTEST(vfile, a_choice_is_taken_by_name_or_number)
{
	static const char *const names[] = {"none", "some", "all", NULL};
	struct vfile_choice choice = {.names = names, .chosen = 1};

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add_choice("/t/choice", &choice));
	EXPECT_STR(t, read_file("/t/choice"), "none [some] all\n");
	EXPECT_OK(t, vfile_write("/t/choice", "all", 3));
	EXPECT_EQ(t, choice.chosen, 2u);
	EXPECT_OK(t, vfile_write("/t/choice", "0", 1));
	EXPECT_EQ(t, choice.chosen, 0u);
	EXPECT_EQ(t, vfile_write("/t/choice", "most", 4), -EINVAL);
	EXPECT_EQ(t, vfile_write("/t/choice", "3", 1), -EINVAL);
	EXPECT_EQ(t, choice.chosen, 0u);
}

KTEST(vfile, completion_extends_by_what_is_shared)
{
	char path[64] = "/t/al", buffer[64];
	struct text out;

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vfile_add("/t/alpha_one", &read_only, ""));
	REQUIRE_OK(t, vfile_add("/t/alpha_two", &read_only, ""));
	REQUIRE_OK(t, vfile_add("/t/beta/x", &read_only, ""));
	text_init(&out, buffer, sizeof(buffer));
	EXPECT_EQ(t, vfile_complete(path, sizeof(path), &out.sink), 2u);
	EXPECT_STR(t, path, "/t/alpha_");
	EXPECT_STR(t, buffer, "alpha_one\nalpha_two\n");
	string_copy(path, "/t/b", sizeof(path));
	EXPECT_EQ(t, vfile_complete(path, sizeof(path), &out.sink), 1u);
	EXPECT_STR(t, path, "/t/beta/");
	string_copy(path, "/t/zeta", sizeof(path));
	EXPECT_EQ(t, vfile_complete(path, sizeof(path), &out.sink), 0u);
}

static int take_name(void *context, const char *name)
{
	string_copy(context, name, 16);
	return 0;
}

KTEST(vfile, directories_are_made_by_their_last_name)
{
	static const struct vdir_ops ops = {.make = take_name, .remove = take_name};
	char name[16] = "", file[16] = "", path[VFILE_PATH_MAX + 1];

	ktest_defer(t, remove_tree, "/t");
	REQUIRE_OK(t, vdir_add("/t/groups", &ops, name));
	REQUIRE_OK(t, vfile_add("/t/file", &read_only, file));
	EXPECT_OK(t, vfile_make_dir("/t/groups/one"));
	EXPECT_STR(t, name, "one");
	EXPECT_OK(t, vfile_remove_dir("/t/groups/two//")); /* as completion leaves it */
	EXPECT_STR(t, name, "two");
	EXPECT_EQ(t, vfile_make_dir("/t/file/x"), -ENOTDIR);
	EXPECT_EQ(t, vfile_make_dir("/t/none/x"), -ENOENT);
	EXPECT_EQ(t, vfile_make_dir("x"), -EINVAL);
	EXPECT_EQ(t, vfile_make_dir("/"), -EINVAL);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[VFILE_PATH_MAX] = '\0';
	EXPECT_EQ(t, vfile_make_dir(path), -ENAMETOOLONG);
	EXPECT_STR(t, name, "two");
}
