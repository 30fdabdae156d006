/*
 * Timers: in time, in order, and cancelled for good, whoever else arms them.
 */
#include <arch/cpu.h>

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/rand.h"

struct counted_timer {
	struct timer timer;
	struct completion fired;
	uint64_t at_ns;
	uint32_t count;
};

static void note_expiry(struct timer *timer)
{
	struct counted_timer *counted = container_of(timer, struct counted_timer, timer);

	counted->at_ns = time_ns();
	atomic_inc(&counted->count);
	completion_done(&counted->fired);
}

static void counted_timer_init(struct counted_timer *counted)
{
	completion_init(&counted->fired);
	counted->count = 0;
	timer_init(&counted->timer, note_expiry);
}

KTEST(timer, fires_once_and_not_early)
{
	struct counted_timer counted;
	uint64_t deadline = time_ns() + 3 * NS_PER_MS;

	counted_timer_init(&counted);
	timer_arm(&counted.timer, deadline);
	EXPECT(t, completion_wait(&counted.fired, 10 * NS_PER_S));
	timer_cancel(&counted.timer);
	EXPECT(t, counted.at_ns >= deadline);
	EXPECT_EQ(t, counted.count, 1u);
}

KTEST(timer, a_deadline_in_the_past_fires_at_once)
{
	struct counted_timer counted;

	counted_timer_init(&counted);
	timer_arm(&counted.timer, 1);
	EXPECT(t, completion_wait(&counted.fired, 10 * NS_PER_S));
	timer_cancel(&counted.timer);
}

KTEST(timer, a_cancelled_one_does_not_fire)
{
	struct counted_timer counted;
	bool was_armed;

	counted_timer_init(&counted);
	timer_arm(&counted.timer, time_ns() + 1000 * NS_PER_S);
	EXPECT(t, timer_cancel(&counted.timer));
	EXPECT(t, !timer_cancel(&counted.timer));

	timer_arm(&counted.timer, time_ns() + 2 * NS_PER_MS);
	was_armed = timer_cancel(&counted.timer); /* a slow host may be late even here */
	sleep_ns(4 * NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.count), was_armed ? 0u : 1u);
}

KTEST(timer, many_fire_in_the_order_of_their_deadlines)
{
	struct counted_timer timers[16];
	uint64_t base = time_ns() + 2 * NS_PER_MS;

	for (int i = 0; i < 16; i++) {
		counted_timer_init(&timers[i]);
		timer_arm(&timers[i].timer, base + (uint64_t)((i * 7) % 16) * 100 * NS_PER_US);
	}
	for (int i = 0; i < 16; i++) {
		EXPECT(t, completion_wait(&timers[i].fired, 10 * NS_PER_S));
		timer_cancel(&timers[i].timer);
		EXPECT(t, timers[i].at_ns >= timers[i].timer.deadline_ns);
	}
}

struct slow_timer {
	struct timer timer;
	uint32_t started, cancelling, ended;
};

static void expire_slowly(struct timer *timer)
{
	struct slow_timer *slow = container_of(timer, struct slow_timer, timer);

	uint64_t limit_ns = time_ns() + 50 * NS_PER_MS; /* with one CPU nobody can cancel */

	store_release(&slow->started, 1u);
	while (!load_acquire(&slow->cancelling) && time_ns() < limit_ns)
		cpu_relax();
	delay_ns(2 * NS_PER_MS);
	store_release(&slow->ended, 1u);
}

static int arm_slow(void *argument)
{
	struct slow_timer *slow = argument;

	timer_arm(&slow->timer, time_ns());
	while (!load_acquire(&slow->started))
		thread_yield();
	return 0;
}

KTEST(timer, cancelling_waits_for_the_function_that_runs)
{
	struct slow_timer slow = {0};
	struct thread *thread;

	timer_init(&slow.timer, expire_slowly);
	thread = thread_spawn("armer", arm_slow, &slow);
	REQUIRE(t, !IS_ERR(thread));
	while (!load_acquire(&slow.started))
		cpu_relax();
	store_release(&slow.cancelling, 1u);
	EXPECT(t, !timer_cancel(&slow.timer));
	EXPECT_EQ(t, load_acquire(&slow.ended), 1u);
	thread_join(thread);
}

static void expire_again(struct timer *timer)
{
	struct counted_timer *counted = container_of(timer, struct counted_timer, timer);

	atomic_inc(&counted->count);
	timer_arm(timer, time_ns() + 20 * NS_PER_US);
}

KTEST(timer, one_that_arms_itself_again_is_cancelled_for_good)
{
	for (int i = 0; i < 50; i++) {
		struct counted_timer counted = {0};

		timer_init(&counted.timer, expire_again);
		timer_arm(&counted.timer, 0);
		while (load_acquire(&counted.count) < 3)
			thread_yield();
		timer_cancel(&counted.timer);
		EXPECT(t, !timer_is_armed(&counted.timer));
		counted.count = 0;
		delay_ns(100 * NS_PER_US);
		EXPECT_EQ(t, load_acquire(&counted.count), 0u);
	}
}

#define RACED_TIMERS 3

struct timer_race {
	struct counted_timer timers[RACED_TIMERS];
	uint64_t seed;
};

static int arm_and_cancel(void *argument)
{
	struct timer_race *race = argument;
	struct rand rand;

	rand_seed(&rand, atomic_fetch_add(&race->seed, 1));
	for (int i = 0; i < 500; i++) {
		struct timer *timer = &race->timers[rand_below(&rand, RACED_TIMERS)].timer;

		if (rand_below(&rand, 3) == 0)
			timer_cancel(timer);
		else
			timer_arm(timer, time_ns() + rand_below(&rand, 50 * NS_PER_US));
	}
	return 0;
}

static void count_expiry(struct timer *timer)
{
	atomic_inc(&container_of(timer, struct counted_timer, timer)->count);
}

KTEST(timer, several_may_arm_and_cancel_the_same_ones)
{
	struct timer_race race = {.seed = ktest_seed(t)};
	struct thread *threads[4];

	for (int i = 0; i < RACED_TIMERS; i++)
		timer_init(&race.timers[i].timer, count_expiry);
	for (int i = 0; i < 4; i++) {
		threads[i] = thread_spawn("racer", arm_and_cancel, &race);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	for (int i = 0; i < RACED_TIMERS; i++) {
		timer_cancel(&race.timers[i].timer);
		EXPECT(t, !timer_is_armed(&race.timers[i].timer));
		race.timers[i].count = 0;
	}
	delay_ns(200 * NS_PER_US);
	for (int i = 0; i < RACED_TIMERS; i++)
		EXPECT_EQ(t, load_acquire(&race.timers[i].count), 0u);
}
