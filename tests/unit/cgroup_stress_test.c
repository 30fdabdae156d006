/*
 * Many threads on a tree of groups five deep: limits that nobody ever sees passed, groups that go away under charges,
 * and all back to nothing in the end.
 */
#include "cgroup/gpu_internal.h"

#include <arch/page.h>

#include "kernel/memory.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "tests/unit/cgroup_fixture.h"

#define THREADS 4
#define DEPTH	5
#define HELD	16

/* A chain of DEPTH groups a thread, the upper ones shared: s, s/b, then s/b/c<n/2>/d<n>/e<n>. */
static const char *const shared[] = {"stress", "stress/b"};

struct worker {
	struct ktest *t;
	struct gpucg *leaf, *other;
	struct gpucg_bucket *bucket;
	uint64_t seed;
	uint32_t number, rounds, above, refused;
};

static struct worker workers[THREADS];

static int with_group(int (*change)(const char *path), unsigned int number, unsigned int level)
{
	char path[64];

	if (level == 2)
		format(path, sizeof(path), "stress/b/c%u", number / 2);
	else
		format(path, sizeof(path), "stress/b/c%u/d%u%s", number / 2, number, level == 4 ? "/e" : "");
	return change(path);
}

static void remove_tree(void *argument UNUSED)
{
	for (unsigned int level = 4; level >= 2; level--)
		for (unsigned int i = 0; i < THREADS; i += level == 2 ? 2 : 1)
			(void)!with_group(cgroup_remove, i, level);
	(void)!cgroup_remove(shared[1]);
	(void)!cgroup_remove(shared[0]);
}

static int make_tree(struct ktest *t, struct gpucg_bucket *bucket, uint64_t seed)
{
	int error = cgroup_make(shared[0]);

	ktest_defer(t, remove_tree, NULL);
	if (!error)
		error = cgroup_make(shared[1]);
	for (unsigned int level = 2; !error && level < DEPTH; level++)
		for (unsigned int i = 0; !error && i < THREADS; i += level == 2 ? 2 : 1)
			error = with_group(cgroup_make, i, level);
	for (unsigned int i = 0; !error && i < THREADS; i++) {
		char path[64];

		format(path, sizeof(path), "stress/b/c%u/d%u/e", i / 2, i);
		workers[i] = (struct worker){
			.t = t, .leaf = group_at(path), .bucket = bucket, .seed = seed + i, .number = i};
		workers[i].rounds = ktest_hosted() ? 20000 : 4000;
		error = workers[i].leaf ? 0 : -ENOMEM;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		workers[i].other = workers[(i + 1) % THREADS].leaf;
	return error;
}

/* Limits in pages on three levels; never changed while the threads run. */
static int set_limits(void)
{
	int error = write_file(ROOT "/stress/gpu.memory.max", "stress 3600K");

	if (!error)
		error = write_file(ROOT "/stress/b/c0/gpu.memory.max", "stress 1600K");
	return error ? error : write_file(ROOT "/stress/b/c1/d3/gpu.memory.max", "stress 1M");
}

static void look_at_limits(struct worker *worker)
{
	for (struct gpucg *at = worker->leaf; at; at = gpucg_parent(at)) {
		const struct page_counter *counter = &gpucg_pool(at, worker->bucket)->counter;

		if (load_relaxed(&counter->usage) > load_relaxed(&counter->max))
			worker->above++;
	}
}

static void charge_or_not(struct worker *worker, uint64_t *held, uint64_t pages)
{
	int error = gpucg_charge(worker->leaf, worker->bucket, pages * PAGE_SIZE);

	EXPECT(worker->t, error == 0 || error == -ENOMEM);
	*held = error ? 0 : pages;
	worker->refused += error != 0;
}

static int charge_at_random(void *argument)
{
	struct worker *worker = argument;
	uint64_t held[HELD] = {0};
	struct rand rand;

	rand_seed(&rand, worker->seed);
	for (unsigned int i = 0; i < worker->rounds; i++) {
		uint64_t *slot = &held[rand_below(&rand, HELD)], pages = *slot;

		if (!pages) {
			charge_or_not(worker, slot, 1 + rand_below(&rand, 90));
		} else if (rand_below(&rand, 8) == 0 &&
			   gpucg_transfer(worker->leaf, worker->other, worker->bucket, pages * PAGE_SIZE) == 0) {
			gpucg_uncharge(worker->other, worker->bucket, pages * PAGE_SIZE);
			*slot = 0;
		} else {
			gpucg_uncharge(worker->leaf, worker->bucket, pages * PAGE_SIZE);
			*slot = 0;
		}
		look_at_limits(worker);
	}
	for (size_t i = 0; i < HELD; i++)
		if (held[i])
			gpucg_uncharge(worker->leaf, worker->bucket, held[i] * PAGE_SIZE);
	return 0;
}

/* Makes the pools of all groups, so that look_at_limits() finds them. */
static int touch_pools(struct gpucg_bucket *bucket)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		int error = gpucg_charge(workers[i].leaf, bucket, 1);

		if (error)
			return error;
		gpucg_uncharge(workers[i].leaf, bucket, 1);
	}
	return 0;
}

static void run_workers(struct ktest *t, int (*run)(void *argument))
{
	struct thread *threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = thread_spawn("stress", run, &workers[i]);
		EXPECT(t, !IS_ERR(threads[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		if (!IS_ERR(threads[i]))
			thread_join(threads[i]);
}

static struct gpucg_bucket *stress_bucket(void)
{
	struct gpucg_bucket *bucket = gpucg_find_bucket("stress");

	return bucket ? bucket : gpucg_register_bucket("stress");
}

KTEST(gpucg_stress, limits_hold_and_all_counters_return_to_zero)
{
	uint64_t seed = ktest_seed(t), refused = 0;
	struct gpucg_bucket *bucket;

	REQUIRE_OK(t, ensure_cgroups());
	bucket = stress_bucket();
	REQUIRE_OK(t, make_tree(t, bucket, seed));
	REQUIRE_OK(t, set_limits());
	REQUIRE_OK(t, touch_pools(bucket));
	run_workers(t, charge_at_random);
	for (unsigned int i = 0; i < THREADS; i++) {
		EXPECT_EQ(t, workers[i].above, 0u);
		refused += workers[i].refused;
		for (struct gpucg *at = workers[i].leaf; at; at = gpucg_parent(at))
			EXPECT_EQ(t, gpucg_usage(at, bucket), 0u);
		gpucg_put(workers[i].leaf);
	}
	EXPECT(t, refused > 0);
}

/* ---- groups that go away ---- */

struct parcel {
	struct gpucg *gpucg;
	uint64_t bytes;
};

static struct parcel *mailbox;

/* Uncharges what somebody else left: half now, half a moment later, so that two threads meet in the same pool. */
static void uncharge_parcel(struct worker *worker, struct parcel *parcel)
{
	if (!parcel)
		return;
	gpucg_uncharge(parcel->gpucg, worker->bucket, parcel->bytes);
	kfree(parcel);
}

static int come_and_go(void *argument)
{
	struct worker *worker = argument;
	char path[32];

	format(path, sizeof(path), "stress/w%u", worker->number);
	for (unsigned int i = 0; i < worker->rounds / 40; i++) {
		struct parcel *parcels[2] = {kzalloc(sizeof(struct parcel)), kzalloc(sizeof(struct parcel))};
		struct gpucg *group;

		EXPECT_OK(worker->t, cgroup_make(path));
		EXPECT_OK(worker->t, cgroup_move_thread(path, 0));
		group = gpucg_get(NULL);
		EXPECT_OK(worker->t, cgroup_move_thread("", 0));
		for (unsigned int half = 0; half < 2; half++) {
			*parcels[half] = (struct parcel){group, (1 + i % 70) * PAGE_SIZE};
			EXPECT_OK(worker->t, gpucg_charge(group, worker->bucket, parcels[half]->bytes));
		}
		gpucg_put(group);
		EXPECT_OK(worker->t, cgroup_remove(path));
		uncharge_parcel(worker, atomic_exchange(&mailbox, parcels[0]));
		uncharge_parcel(worker, parcels[1]);
	}
	return 0;
}

KTEST(gpucg_stress, removed_groups_live_until_the_last_uncharge_wherever_it_comes_from)
{
	struct gpucg_bucket *bucket;
	struct gpucg *stress;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "stress"));
	bucket = stress_bucket();
	for (unsigned int i = 0; i < THREADS; i++)
		workers[i] =
			(struct worker){.t = t, .bucket = bucket, .number = i, .rounds = ktest_hosted() ? 20000 : 4000};
	run_workers(t, come_and_go);
	uncharge_parcel(&workers[0], atomic_exchange(&mailbox, NULL));
	stress = group_at("stress");
	REQUIRE(t, stress);
	EXPECT_EQ(t, gpucg_usage(stress, bucket), 0u);
	EXPECT_EQ(t, load_relaxed(&stress->css.references), 2u); /* being seen, and ours */
	gpucg_put(stress);
}
