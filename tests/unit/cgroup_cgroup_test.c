/*
 * Groups, whatever controllers there are: directories, threads, errors.
 */
#include "cgroup/cgroup.h"

#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "tests/unit/cgroup_fixture.h"

KTEST(cgroup, directories_threads_and_errors)
{
	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "cg_a"));
	EXPECT_EQ(t, vfile_make_dir(ROOT "/cg_a"), -EEXIST);
	EXPECT_EQ(t, cgroup_make("cg_a/bad name"), -EINVAL);
	EXPECT_EQ(t, cgroup_make("none/x"), -ENOENT);
	EXPECT_EQ(t, cgroup_remove("none"), -ENOENT);
	EXPECT_STR(t, file(ROOT "/cg_a/cgroup.controllers"), css_root(CGROUP_GPU) ? "gpu memory\n" : "memory\n");
	EXPECT_STR(t, file(ROOT "/cg_a/cgroup.events"), "populated 0\n");
	EXPECT_EQ(t, write_file(ROOT "/cg_a/cgroup.procs", "99999999"), -ENOENT);
	EXPECT_EQ(t, write_file(ROOT "/cg_a/cgroup.procs", "x"), -EINVAL);
}

static int stay_and_look(void *argument)
{
	struct ktest *t = argument;
	char expected[32];

	format(expected, sizeof(expected), "%u\n", thread_id(thread_current()));
	EXPECT_STR(t, file(ROOT "/cg_busy/cgroup.procs"), expected);
	EXPECT_STR(t, file(ROOT "/cg_busy/cgroup.events"), "populated 1\n");
	EXPECT_EQ(t, cgroup_remove("cg_busy"), -EBUSY);
	return 0;
}

KTEST(cgroup, a_thread_in_a_group_keeps_it)
{
	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, cgroup_make("cg_busy"));
	EXPECT_OK(t, run_in_group("cg_busy", stay_and_look, t));
	EXPECT_OK(t, cgroup_remove("cg_busy"));
}

/* @line ends with a newline; a longer number may end like it. */
static bool has_line(const char *text, const char *line)
{
	for (const char *at = strstr(text, line); at; at = strstr(at + 1, line))
		if (at == text || at[-1] == '\n')
			return true;
	return false;
}

static int find_myself(void *argument)
{
	struct ktest *t = argument;
	char self[32];

	format(self, sizeof(self), "%u\n", thread_id(thread_current()));
	EXPECT(t, has_line(file(ROOT "/cg_self/cgroup.procs"), self));
	EXPECT_EQ(t, cgroup_remove("cg_self"), -EBUSY);
	return 0;
}

KTEST(cgroup, zero_moves_the_writer_and_children_begin_where_their_parent_is)
{
	struct thread *child;
	char self[32];

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "cg_self"));
	format(self, sizeof(self), "%u\n", thread_id(thread_current()));
	REQUIRE_OK(t, write_file(ROOT "/cg_self/cgroup.procs", "0"));
	EXPECT_STR(t, file(ROOT "/cg_self/cgroup.procs"), self);
	EXPECT(t, !has_line(file(ROOT "/cgroup.procs"), self));
	EXPECT_STR(t, file(ROOT "/cgroup.events"), "populated 1\n");
	child = thread_spawn("child", find_myself, t);
	EXPECT(t, !IS_ERR(child));
	if (!IS_ERR(child))
		thread_join(child);
	EXPECT_OK(t, write_file(ROOT "/cgroup.procs", "0"));
	EXPECT_STR(t, file(ROOT "/cg_self/cgroup.events"), "populated 0\n");
}

KTEST(cgroup, what_is_wrong_in_subtree_control_is_refused)
{
	REQUIRE_OK(t, ensure_cgroups());
	EXPECT_EQ(t, write_file(ROOT "/cgroup.subtree_control", "gpu"), -EINVAL);
	EXPECT_EQ(t, write_file(ROOT "/cgroup.subtree_control", "+cpu"), -ENOENT);
	if (css_root(CGROUP_GPU)) {
		EXPECT_OK(t, write_file(ROOT "/cgroup.subtree_control", "+gpu"));
		EXPECT_EQ(t, write_file(ROOT "/cgroup.subtree_control", "-gpu"), -EBUSY);
	}
}
