/*
 * The gpu controller over real groups: names, charges, files, removal with charges left.
 */
#include "cgroup/cgroup_internal.h"
#include "cgroup/gpu_internal.h"

#include <arch/page.h>

#include "kernel/ktest.h"
#include "kernel/memory.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "tests/unit/cgroup_fixture.h"

static struct gpucg_bucket *bucket_named(const char *name)
{
	struct gpucg_bucket *bucket = gpucg_find_bucket(name);

	return bucket ? bucket : gpucg_register_bucket(name);
}

/* The end of a name is looked for within the limit only: the sanitizer sees a byte too far. */
KTEST(gpucg, fault_5_names_are_bounded_and_checked_before_they_are_compared)
{
	char name[GPUCG_BUCKET_NAME_MAX_LEN + 1], *unterminated = kmalloc(GPUCG_BUCKET_NAME_MAX_LEN);
	struct gpucg_bucket *longest, *other;

	REQUIRE(t, unterminated);
	memset(unterminated, 'n', GPUCG_BUCKET_NAME_MAX_LEN);
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(unterminated)), -ENAMETOOLONG);
	kfree(unterminated);
	REQUIRE_OK(t, ensure_cgroups());
	for (int byte = 1; byte <= ' '; byte++) {
		name[0] = 'a';
		name[1] = (char)byte;
		name[2] = '\0';
		EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket(name)), -EINVAL);
	}
	EXPECT_EQ(t, PTR_ERR(gpucg_register_bucket("delete\x7f")), -EINVAL);
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
	name[GPUCG_BUCKET_NAME_MAX_LEN - 2] = 'm'; /* the last of them: another name */
	other = bucket_named(name);
	EXPECT(t, !IS_ERR(other) && other != longest);
	name[1] = '\0'; /* the beginning of a name is not the name */
	EXPECT(t, bucket_named(name) != longest);
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
	REQUIRE_OK(t, new_group(t, "gpu_a"));
	REQUIRE_OK(t, new_group(t, "gpu_a/b"));
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

KTEST(gpucg, fault_3_rounding_up_a_huge_size_does_not_wrap)
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
	EXPECT_EQ(t, gpucg_usage(root, bucket), 0u);
}

KTEST(gpucg, fault_4_more_uncharged_than_charged_is_ignored)
{
	struct gpucg_bucket *bucket, *never;
	struct gpucg *root, *group;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "gpu_unpaid"));
	bucket = bucket_named("test_unpaid");
	never = bucket_named("test_never_charged");
	root = css_to_gpucg(css_root(CGROUP_GPU));
	group = group_at("gpu_unpaid");
	REQUIRE(t, group);
	EXPECT_OK(t, gpucg_charge(group, bucket, PAGE_SIZE));
	gpucg_uncharge(group, bucket, 2 * PAGE_SIZE);
	gpucg_uncharge(root, bucket, PAGE_SIZE); /* the root has it below, but not of its own */
	gpucg_uncharge(group, never, PAGE_SIZE);
	gpucg_uncharge(group, NULL, PAGE_SIZE);
	gpucg_uncharge(group, bucket, UINT64_MAX);
	EXPECT_EQ(t, gpucg_usage(group, bucket), PAGE_SIZE);
	EXPECT_EQ(t, gpucg_usage(root, bucket), PAGE_SIZE);
	gpucg_uncharge(group, bucket, PAGE_SIZE);
	gpucg_uncharge(group, bucket, PAGE_SIZE); /* again */
	EXPECT_EQ(t, gpucg_usage(root, bucket), 0u);
	gpucg_put(group);
}

struct charge_job {
	struct completion go, done;
	struct gpucg *gpucg;
	struct gpucg_bucket *bucket;
};

static int charge_and_uncharge(void *argument)
{
	struct charge_job *job = argument;
	int error;

	completion_wait(&job->go, WAIT_FOREVER);
	error = gpucg_charge(job->gpucg, job->bucket, PAGE_SIZE);
	if (!error)
		gpucg_uncharge(job->gpucg, job->bucket, PAGE_SIZE);
	completion_done(&job->done);
	return error;
}

KTEST(gpucg, fault_2_a_charge_to_an_existing_pool_takes_no_global_lock)
{
	struct charge_job job = {.bucket = NULL};
	struct thread *thread;

	REQUIRE_OK(t, ensure_cgroups());
	job.bucket = bucket_named("test_lockless");
	job.gpucg = css_to_gpucg(css_root(CGROUP_GPU));
	completion_init(&job.go);
	completion_init(&job.done);
	REQUIRE_OK(t, gpucg_charge(job.gpucg, job.bucket, PAGE_SIZE)); /* makes the pool */
	thread = thread_spawn("charger", charge_and_uncharge, &job);
	REQUIRE(t, !IS_ERR(thread));
	mutex_lock(&cgroup_mutex);
	mutex_lock(&gpucg_mutex);
	completion_done(&job.go);
	EXPECT(t, completion_wait(&job.done, 20 * NS_PER_S));
	mutex_unlock(&gpucg_mutex);
	mutex_unlock(&cgroup_mutex);
	EXPECT_OK(t, thread_join(thread));
	gpucg_uncharge(job.gpucg, job.bucket, PAGE_SIZE);
}

KTEST(gpucg, limits_are_written_in_pairs_all_or_none)
{
	struct gpucg_bucket *a, *b;
	struct gpucg *group;

	REQUIRE_OK(t, ensure_cgroups());
	a = bucket_named("test_max_a");
	b = bucket_named("test_max_b");
	REQUIRE_OK(t, new_group(t, "gpu_max"));
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
	REQUIRE_OK(t, new_group(t, "gpu_linger"));
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
	REQUIRE_OK(t, new_group(t, "gpu_from"));
	REQUIRE_OK(t, new_group(t, "gpu_to"));
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
