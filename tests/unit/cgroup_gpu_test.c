/*
 * The gpu controller over real groups: names, charges, files, removal with charges left.
 */
#include "cgroup/gpu_internal.h"

#include <arch/page.h>

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/string.h"

#define ROOT CGROUP_ROOT_PATH

static int ensure_cgroups(void)
{
	static const struct cgroup_controller *const controllers[] = {&gpu_controller, NULL};

	return css_root(CGROUP_GPU) ? 0 : cgroup_init(controllers, "");
}

static struct gpucg_bucket *bucket_named(const char *name)
{
	struct gpucg_bucket *bucket = gpucg_find_bucket(name);

	return bucket ? bucket : gpucg_register_bucket(name);
}

static const char *file(const char *path)
{
	static char buffer[1024];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	return vfile_read(path, &text.sink) ? "(error)" : buffer;
}

/* The value behind @bucket in a flat keyed file. */
static const char *value(const char *path, const char *bucket)
{
	const char *content = file(path), *at;
	static char word[64];
	char key[80];
	size_t length;

	format(key, sizeof(key), "%s ", bucket);
	at = strstr(content, key);
	if (!at)
		return "(none)";
	at += strlen(key);
	length = strchr(at, '\n') ? (size_t)(strchr(at, '\n') - at) : strlen(at);
	format(word, sizeof(word), "%.*s", (int)length, at);
	return word;
}

static int write_file(const char *path, const char *text)
{
	return vfile_write(path, text, strlen(text));
}

/* Runs @run in a thread that is moved to @group first. */
struct in_group {
	const char *group;
	int (*run)(void *argument);
	void *argument;
};

static int move_and_run(void *argument)
{
	struct in_group *in = argument;
	int error = cgroup_move_thread(in->group, thread_id(thread_current()));

	return error ? error : in->run(in->argument);
}

static int run_in_group(const char *group, int (*run)(void *argument), void *argument)
{
	struct in_group in = {group, run, argument};
	struct thread *thread = thread_spawn("in_group", move_and_run, &in);

	return IS_ERR(thread) ? (int)PTR_ERR(thread) : thread_join(thread);
}

static int get_group(void *argument)
{
	*(struct gpucg **)argument = gpucg_get(NULL);
	return 0;
}

static struct gpucg *group_at(const char *path)
{
	struct gpucg *gpucg = NULL;

	return run_in_group(path, get_group, &gpucg) ? NULL : gpucg;
}

static void remove_group(void *path)
{
	(void)!cgroup_remove(path);
}

KTEST(gpucg, names_of_hostile_callers_are_refused)
{
	char name[GPUCG_BUCKET_NAME_MAX_LEN + 1];
	struct gpucg_bucket *longest;

	REQUIRE_OK(t, ensure_cgroups());
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(NULL)), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket("")), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket("two words")), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket("tab\there")), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket("bell\a")), -EINVAL);
	memset(name, 'n', sizeof(name));
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(name)), -ENAMETOOLONG); /* no NUL within 64 bytes */
	name[GPUCG_BUCKET_NAME_MAX_LEN] = '\0';
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(name)), -ENAMETOOLONG);
	name[GPUCG_BUCKET_NAME_MAX_LEN - 1] = '\0';
	longest = bucket_named(name);
	EXPECT(t, !IS_ERR(longest));
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(name)), -EEXIST);
}

KTEST(gpucg, null_arguments_are_the_controller_switched_off)
{
	EXPECT(t, css_to_gpucg(NULL) == NULL);
	EXPECT(t, gpucg_parent(NULL) == NULL);
	gpucg_put(NULL);
	EXPECT_OK(t, gpucg_charge(NULL, NULL, 1));
	gpucg_uncharge(NULL, NULL, 1);
}

KTEST(gpucg, a_charge_shows_in_the_group_and_above)
{
	struct gpucg_bucket *bucket;
	struct gpucg *group;

	REQUIRE_OK(t, ensure_cgroups());
	bucket = bucket_named("test_show");
	REQUIRE_OK(t, cgroup_make("gpu_a"));
	ktest_defer(t, remove_group, "gpu_a");
	REQUIRE_OK(t, vfile_make_dir(ROOT "/gpu_a/b"));
	ktest_defer(t, remove_group, "gpu_a/b");
	group = group_at("gpu_a/b");
	REQUIRE(t, group);
	EXPECT_OK(t, gpucg_charge(group, bucket, 5000)); /* two pages */
	EXPECT_STR(t, value(ROOT "/gpu_a/b/gpu.memory.current", "test_show"), "8192");
	EXPECT_STR(t, value(ROOT "/gpu_a/gpu.memory.current", "test_show"), "8192");
	EXPECT_STR(t, value(ROOT "/gpu.memory.current", "test_show"), "8192");
	EXPECT_STR(t, value(ROOT "/gpu_a/b/gpu.memory.max", "test_show"), "max");
	gpucg_uncharge(group, bucket, 5000);
	EXPECT_STR(t, value(ROOT "/gpu_a/gpu.memory.current", "test_show"), "0");
	EXPECT_STR(t, value(ROOT "/gpu_a/gpu.memory.peak", "test_show"), "8192");
	gpucg_put(group);
}

KTEST(gpucg, amounts_that_overflow_or_were_not_charged_are_refused)
{
	struct gpucg_bucket *bucket;
	struct gpucg *root;

	REQUIRE_OK(t, ensure_cgroups());
	bucket = bucket_named("test_amounts");
	root = css_to_gpucg(css_root(CGROUP_GPU));
	EXPECT_EQ(t, gpucg_charge(root, bucket, UINT64_MAX), -EINVAL); /* would round up to 0 */
	EXPECT_EQ(t, gpucg_charge(root, bucket, UINT64_MAX - PAGE_SIZE + 2), -EINVAL);
	EXPECT_EQ(t, gpucg_charge(root, bucket, 0), -EINVAL);
	EXPECT_EQ(t, gpucg_charge(root, NULL, 1), -EINVAL);
	EXPECT_OK(t, gpucg_charge(root, bucket, PAGE_SIZE));
	gpucg_uncharge(root, bucket, 2 * PAGE_SIZE); /* more than charged: ignored */
	EXPECT_EQ(t, gpucg_usage(root, bucket), PAGE_SIZE);
	gpucg_uncharge(root, bucket, PAGE_SIZE);
	gpucg_uncharge(root, bucket, PAGE_SIZE); /* again */
	EXPECT_EQ(t, gpucg_usage(root, bucket), 0u);
}

KTEST(gpucg, limits_are_written_in_pairs_all_or_none)
{
	struct gpucg_bucket *a, *b;
	struct gpucg *group;

	REQUIRE_OK(t, ensure_cgroups());
	a = bucket_named("test_max_a");
	b = bucket_named("test_max_b");
	REQUIRE_OK(t, cgroup_make("gpu_max"));
	ktest_defer(t, remove_group, "gpu_max");
	group = group_at("gpu_max");
	REQUIRE(t, group);
	EXPECT_OK(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_a 1M\ntest_max_b 12K"));
	EXPECT_EQ(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_a 2M no_such_bucket 1"), -ENOENT);
	EXPECT_EQ(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_a 2M test_max_b 1x"), -EINVAL);
	EXPECT_EQ(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_a"), -EINVAL);
	EXPECT_STR(t, value(ROOT "/gpu_max/gpu.memory.max", "test_max_a"), "1048576");
	EXPECT_OK(t, gpucg_charge(group, b, 3 * PAGE_SIZE));
	EXPECT_EQ(t, gpucg_charge(group, b, 1), -ENOMEM);
	EXPECT_STR(t, value(ROOT "/gpu_max/gpu.memory.events.local", "test_max_b"), "max=1");
	EXPECT_STR(t, value(ROOT "/gpu.memory.events", "test_max_b"), "max=1");
	EXPECT_STR(t, value(ROOT "/gpu.memory.events.local", "test_max_b"), "max=0");
	EXPECT_OK(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_b 4K")); /* below the usage */
	EXPECT_EQ(t, gpucg_usage(group, b), 3 * PAGE_SIZE);
	EXPECT_OK(t, write_file(ROOT "/gpu_max/gpu.memory.max", "test_max_b max"));
	EXPECT_OK(t, gpucg_charge(group, b, PAGE_SIZE));
	gpucg_uncharge(group, b, 4 * PAGE_SIZE);
	EXPECT_EQ(t, gpucg_usage(group, a), 0u);
	gpucg_put(group);
}

KTEST(gpucg, a_removed_group_lives_until_its_last_uncharge)
{
	struct gpucg_bucket *bucket;
	struct gpucg *group;

	REQUIRE_OK(t, ensure_cgroups());
	bucket = bucket_named("test_linger");
	REQUIRE_OK(t, cgroup_make("gpu_linger"));
	ktest_defer(t, remove_group, "gpu_linger");
	REQUIRE_OK(t, cgroup_make("gpu_linger/gone"));
	group = group_at("gpu_linger/gone");
	REQUIRE(t, group);
	EXPECT_OK(t, gpucg_charge(group, bucket, 4 * PAGE_SIZE));
	gpucg_put(group); /* only the charge holds it now */
	EXPECT_EQ(t, cgroup_remove("gpu_linger"), -EBUSY);
	EXPECT_OK(t, vfile_remove_dir(ROOT "/gpu_linger/gone"));
	EXPECT_STR(t, file(ROOT "/gpu_linger/gone/gpu.memory.current"), "(error)");
	EXPECT_STR(t, value(ROOT "/gpu_linger/gpu.memory.current", "test_linger"), "16384");
	EXPECT_OK(t, cgroup_make("gpu_linger/gone")); /* the name is free again */
	EXPECT_OK(t, cgroup_remove("gpu_linger/gone"));
	gpucg_uncharge(group, bucket, 4 * PAGE_SIZE);
	EXPECT_STR(t, value(ROOT "/gpu_linger/gpu.memory.current", "test_linger"), "0");
}

KTEST(gpucg, a_transfer_moves_the_charge_and_its_reference)
{
	struct gpucg *from, *to, *root;
	struct gpucg_bucket *bucket;

	REQUIRE_OK(t, ensure_cgroups());
	bucket = bucket_named("test_transfer");
	REQUIRE_OK(t, cgroup_make("gpu_from"));
	ktest_defer(t, remove_group, "gpu_from");
	REQUIRE_OK(t, cgroup_make("gpu_to"));
	ktest_defer(t, remove_group, "gpu_to");
	from = group_at("gpu_from");
	to = group_at("gpu_to");
	root = css_to_gpucg(css_root(CGROUP_GPU));
	REQUIRE(t, from && to);
	EXPECT_OK(t, gpucg_charge(from, bucket, 6 * PAGE_SIZE));
	EXPECT_EQ(t, gpucg_transfer(from, to, bucket, 7 * PAGE_SIZE), -EINVAL);
	EXPECT_OK(t, write_file(ROOT "/gpu_to/gpu.memory.max", "test_transfer 16K"));
	EXPECT_EQ(t, gpucg_transfer(from, to, bucket, 6 * PAGE_SIZE), -ENOMEM);
	EXPECT_EQ(t, gpucg_usage(from, bucket), 6 * PAGE_SIZE);
	EXPECT_OK(t, gpucg_transfer(from, to, bucket, 4 * PAGE_SIZE));
	EXPECT_EQ(t, gpucg_usage(from, bucket), 2 * PAGE_SIZE);
	EXPECT_EQ(t, gpucg_usage(to, bucket), 4 * PAGE_SIZE);
	EXPECT_EQ(t, gpucg_usage(root, bucket), 6 * PAGE_SIZE);
	gpucg_uncharge(from, bucket, 2 * PAGE_SIZE);
	gpucg_uncharge(to, bucket, 4 * PAGE_SIZE);
	EXPECT_EQ(t, gpucg_usage(root, bucket), 0u);
	gpucg_put(from);
	gpucg_put(to);
}

KTEST(cgroup, directories_threads_and_errors)
{
	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, vfile_make_dir(ROOT "/cg_a"));
	ktest_defer(t, remove_group, "cg_a");
	EXPECT_EQ(t, vfile_make_dir(ROOT "/cg_a"), -EEXIST);
	EXPECT_EQ(t, cgroup_make("cg_a/bad name"), -EINVAL);
	EXPECT_EQ(t, cgroup_make("none/x"), -ENOENT);
	EXPECT_EQ(t, cgroup_remove("none"), -ENOENT);
	EXPECT_STR(t, file(ROOT "/cg_a/cgroup.controllers"), "gpu\n");
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
