/*
 * What a charge costs: hosted at native speed, beside an uncontended atomic addition in the same run.
 *
 *   build/host/bench-cgroup
 *
 * A pair is gpucg_charge() and gpucg_uncharge() of one page at depth 4 (four groups below the root). Figures are the
 * best of several rounds, in nanoseconds. "In bursts" charges more than a CPU keeps in stock, so that all levels are
 * written; "in turn" changes the bucket with each pair. The JSON is for machines: build/bench-cgroup.json.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cgroup/gpu.h"
#include "cgroup/page_counter.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "tests/host/host.h"

#include <arch/page.h>

/* Short rounds, and many, so that some are not disturbed; longer ones where threads have to begin. */
#define ROUNDS	      400
#define PAIRS	      12800u
#define THREAD_ROUNDS 15
#define THREAD_PAIRS  400000u
#define BURST	      (2 * PAGE_COUNTER_STOCK)
#define BUCKETS	      256u

static struct gpucg *leaves[2];
static struct gpucg_bucket *buckets[BUCKETS];
static unsigned int nr_buckets;

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void charge(struct gpucg *gpucg, struct gpucg_bucket *bucket)
{
	if (gpucg_charge(gpucg, bucket, PAGE_SIZE))
		exit(2);
}

/* ---- what is measured ---- */

static void add(void)
{
	static struct {
		uint64_t value;
	} CACHE_LINE_ALIGNED alone;

	for (unsigned int i = 0; i < PAIRS; i++)
		atomic_inc(&alone.value);
}

static void one_bucket(void)
{
	for (unsigned int i = 0; i < PAIRS; i++) {
		charge(leaves[0], buckets[0]);
		gpucg_uncharge(leaves[0], buckets[0], PAGE_SIZE);
	}
}

static void in_turn(void)
{
	for (unsigned int i = 0, at = 0; i < PAIRS; i++, at = at + 1 < nr_buckets ? at + 1 : 0) {
		charge(leaves[0], buckets[at]);
		gpucg_uncharge(leaves[0], buckets[at], PAGE_SIZE);
	}
}

static void in_bursts(void)
{
	for (unsigned int i = 0; i < PAIRS; i += BURST) {
		for (unsigned int held = 0; held < BURST; held++)
			charge(leaves[0], buckets[0]);
		for (unsigned int held = 0; held < BURST; held++)
			gpucg_uncharge(leaves[0], buckets[0], PAGE_SIZE);
	}
}

static void *work_on_leaf(void *leaf)
{
	for (unsigned int i = 0; i < THREAD_PAIRS; i++) {
		charge(leaf, buckets[0]);
		gpucg_uncharge(leaf, buckets[0], PAGE_SIZE);
	}
	return NULL;
}

static void threads(unsigned int count)
{
	pthread_t running[2];

	for (unsigned int i = 0; i < count; i++)
		if (pthread_create(&running[i], NULL, work_on_leaf, leaves[i]))
			exit(2);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(running[i], NULL);
}

static void one_thread(void)
{
	threads(1);
}

static void two_threads(void)
{
	threads(2);
}

static double best_of(void (*run)(void), unsigned int rounds, unsigned int pairs)
{
	double best = 0;

	for (unsigned int round = 0; round < rounds; round++) {
		double start = now_ns(), each;

		run();
		each = (now_ns() - start) / pairs;
		best = round && best < each ? best : each;
	}
	return best;
}

/* ---- set-up and report ---- */

/* Moves this thread there to get the group. */
static struct gpucg *group_at(const char *path)
{
	struct gpucg *gpucg;

	if (cgroup_move_thread(path, 0))
		exit(2);
	gpucg = gpucg_get(NULL);
	return cgroup_move_thread("", 0) ? NULL : gpucg;
}

static void set_up(void)
{
	static const struct cgroup_controller *const controllers[] = {&gpu_controller, NULL};
	static const char *const paths[] = {"a", "a/b", "a/b/c", "a/b/c/d0", "a/b/c/d1"};
	int error = cgroup_init(controllers, NULL);

	for (size_t i = 0; !error && i < ARRAY_SIZE(paths); i++)
		error = cgroup_make(paths[i]);
	if (error)
		exit(2);
	leaves[0] = group_at("a/b/c/d0");
	leaves[1] = group_at("a/b/c/d1");
}

static void more_buckets(unsigned int count)
{
	char name[32];

	for (; nr_buckets < count; nr_buckets++) {
		snprintf(name, sizeof(name), "bucket%u", nr_buckets);
		buckets[nr_buckets] = gpucg_register_bucket(name);
		if (IS_ERR(buckets[nr_buckets]))
			exit(2);
		charge(leaves[0], buckets[nr_buckets]); /* all have pools */
		gpucg_uncharge(leaves[0], buckets[nr_buckets], PAGE_SIZE);
	}
}

static void goal(const char *text, double value, double limit, bool at_least)
{
	printf("  %-3s  %s: %.2f (goal: %s %.1f)\n", (at_least ? value >= limit : value <= limit) ? "yes" : "NO", text,
	       value, at_least ? "at least" : "at most", limit);
}

int main(void)
{
	double atomic, one, many, turn2, turn256, bursts, alone, both;
	FILE *json = fopen("build/bench-cgroup.json", "w");

	if (!json) {
		fprintf(stderr, "bench-cgroup: wants a directory build/\n");
		return 2;
	}
	host_init();
	set_up();
	more_buckets(1);
	atomic = best_of(add, ROUNDS, PAIRS);
	one = best_of(one_bucket, ROUNDS, PAIRS);
	bursts = best_of(in_bursts, ROUNDS, PAIRS);
	alone = best_of(one_thread, THREAD_ROUNDS, THREAD_PAIRS);
	both = best_of(two_threads, THREAD_ROUNDS, THREAD_PAIRS);
	more_buckets(2);
	turn2 = best_of(in_turn, ROUNDS, PAIRS);
	more_buckets(BUCKETS);
	many = best_of(one_bucket, ROUNDS, PAIRS);
	turn256 = best_of(in_turn, ROUNDS, PAIRS);

	printf("an uncontended atomic addition            %6.1f ns\n", atomic);
	printf("charge+uncharge, 1 bucket                 %6.1f ns\n", one);
	printf("charge+uncharge, one of 256 buckets       %6.1f ns\n", many);
	printf("charge+uncharge, 2 buckets in turn        %6.1f ns\n", turn2);
	printf("charge+uncharge, 256 buckets in turn      %6.1f ns\n", turn256);
	printf("charge+uncharge, bursts of %3u            %6.1f ns\n", BURST, bursts);
	printf("two threads, two leaves of one parent     %6.1f ns a pair (one thread: %.1f)\n", both / 2, alone);
	goal("one of 256 buckets against the only one", many / one, 1.3, false);
	goal("a pair at depth 4 in atomic additions", one / atomic, 12, false);
	goal("two threads against one, pairs in the same time", 2 * alone / both, 1, true);
	fprintf(json,
		"{\"atomic_add\": %.2f, \"one\": %.2f, \"one_of_256\": %.2f, \"two_in_turn\": %.2f,\n"
		" \"all_256_in_turn\": %.2f, \"bursts\": %.2f, \"one_thread\": %.2f, \"two_threads\": %.2f}\n",
		atomic, one, many, turn2, turn256, bursts, alone, both / 2);
	fclose(json);
	return 0;
}
