/*
 * Every allocation on the way of a charge, of a group and of a limit fails in turn: no pool, no reference, no memory
 * and no directory stays behind, and the next try succeeds.
 */
#include "cgroup/gpu_internal.h"

#include "kernel/ktest.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/host/host.h"
#include "tests/unit/cgroup_fixture.h"

struct fixture {
	struct gpucg *root, *upper, *group; /* group is below upper is below the root */
	struct gpucg_bucket *bucket;
	uint64_t references;
};

/* Buckets that the root's table has room for: the root stays, and so does what it allocates. */
static bool make_bucket(struct fixture *fixture, const char *name, const char *later_name)
{
	struct gpucg_bucket *later;

	fixture->root = css_to_gpucg(css_root(CGROUP_GPU));
	fixture->bucket = gpucg_register_bucket(name);
	later = gpucg_register_bucket(later_name);
	if (IS_ERR(fixture->bucket) || IS_ERR(later) || gpucg_charge(fixture->root, later, 1))
		return false;
	gpucg_uncharge(fixture->root, later, 1);
	return true;
}

static bool make_groups(struct fixture *fixture)
{
	if (cgroup_make("fault") || cgroup_make("fault/below"))
		return false;
	fixture->group = group_at("fault/below");
	fixture->upper = gpucg_parent(fixture->group);
	fixture->references = fixture->group->css.references;
	return true;
}

static void remove_groups(struct fixture *fixture)
{
	gpucg_put(fixture->group);
	(void)!cgroup_remove("fault/below");
	(void)!cgroup_remove("fault");
}

/* Runs @attempt with the first, second, ... allocation failing until it succeeds; how many failed. */
static unsigned int fail_each(struct ktest *t, struct fixture *fixture, int (*attempt)(struct fixture *fixture))
{
	for (unsigned int nth = 1;; nth++) {
		uint64_t live = host_live_allocations();
		int error;

		if (!make_groups(fixture)) {
			ktest_fail(t, __FILE__, __LINE__, "no groups");
			return 0;
		}
		host_fail_allocation(nth);
		error = attempt(fixture);
		host_fail_allocation(0);
		EXPECT_EQ(t, fixture->group->css.references, fixture->references);
		if (error) {
			EXPECT_EQ(t, error, -ENOMEM);
			EXPECT(t, !gpucg_pool(fixture->group, fixture->bucket));
			EXPECT(t, !gpucg_pool(fixture->upper, fixture->bucket));
			EXPECT(t, !gpucg_pool(fixture->root, fixture->bucket));
		}
		remove_groups(fixture);
		if (!error)
			return nth - 1;
		EXPECT_EQ(t, host_live_allocations(), live);
	}
}

static int charge_once(struct fixture *fixture)
{
	int error = gpucg_charge(fixture->group, fixture->bucket, 1);

	if (!error)
		gpucg_uncharge(fixture->group, fixture->bucket, 1);
	return error;
}

KTEST(gpucg_faults, a_charge_without_memory_leaves_nothing_behind)
{
	struct fixture fixture;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE(t, make_bucket(&fixture, "fault_charge", "fault_charge_later"));
	EXPECT_EQ(t, fail_each(t, &fixture, charge_once), 5u); /* three pools, two tables */
}

static int write_limit(struct fixture *fixture UNUSED)
{
	char line[] = "fault_limit 4K";

	return write_file(ROOT "/fault/below/gpu.memory.max", line);
}

KTEST(gpucg_faults, a_limit_without_memory_changes_nothing)
{
	struct fixture fixture;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE(t, make_bucket(&fixture, "fault_limit", "fault_limit_later"));
	EXPECT(t, fail_each(t, &fixture, write_limit) >= 5);
}

static int transfer_once(struct fixture *fixture)
{
	int error = gpucg_transfer(fixture->root, fixture->group, fixture->bucket, 1);

	if (!error)
		gpucg_uncharge(fixture->group, fixture->bucket, 1);
	return error;
}

KTEST(gpucg_faults, a_transfer_without_memory_leaves_the_charge_where_it_was)
{
	struct fixture fixture;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE(t, make_bucket(&fixture, "fault_transfer", "fault_transfer_later"));
	REQUIRE_OK(t, gpucg_charge(fixture.root, fixture.bucket, 1));
	for (unsigned int nth = 1;; nth++) {
		int error;

		REQUIRE(t, make_groups(&fixture));
		host_fail_allocation(nth);
		error = transfer_once(&fixture);
		host_fail_allocation(0);
		EXPECT_EQ(t, fixture.group->css.references, fixture.references);
		if (error)
			EXPECT_EQ(t, gpucg_usage(fixture.root, fixture.bucket), 4096u);
		remove_groups(&fixture);
		if (!error)
			break;
		EXPECT_EQ(t, error, -ENOMEM);
		REQUIRE(t, nth < 20);
	}
	EXPECT_EQ(t, gpucg_usage(fixture.root, fixture.bucket), 0u);
}

KTEST(gpucg_faults, fault_1_a_name_that_cannot_be_copied_is_no_bucket)
{
	struct gpucg_bucket *bucket;
	uint64_t live = host_live_allocations();

	REQUIRE_OK(t, ensure_cgroups());
	for (unsigned int nth = 1;; nth++) {
		host_fail_allocation(nth);
		bucket = gpucg_register_bucket("fault_1");
		host_fail_allocation(0);
		if (!IS_ERR(bucket))
			break;
		EXPECT_EQ(t, PTR_ERR(bucket), -ENOMEM);
		EXPECT(t, !gpucg_find_bucket("fault_1"));
		EXPECT_EQ(t, host_live_allocations(), live);
	}
	EXPECT_STR(t, bucket->name, "fault_1");
	EXPECT(t, gpucg_find_bucket("fault_1") == bucket);
}

KTEST(gpucg_faults, a_group_without_memory_leaves_no_directory)
{
	unsigned int failures = 0;

	REQUIRE_OK(t, ensure_cgroups());
	for (unsigned int nth = 1;; nth++) {
		uint64_t live = host_live_allocations();
		int error;

		host_fail_allocation(nth);
		error = vfile_make_dir(ROOT "/faulty");
		host_fail_allocation(0);
		if (!error)
			break;
		failures++;
		EXPECT_EQ(t, error, -ENOMEM);
		EXPECT_EQ(t, host_live_allocations(), live);
		EXPECT_STR(t, file(ROOT "/faulty/cgroup.events"), "(error)");
	}
	EXPECT(t, failures > 10); /* the group, its css, a directory, its files */
	EXPECT_OK(t, cgroup_remove("faulty"));
}
