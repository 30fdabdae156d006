/*
 * Timers and work items.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "lib/atomic.h"

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

	counted_timer_init(&counted);
	timer_arm(&counted.timer, time_ns() + 2 * NS_PER_MS);
	EXPECT(t, timer_cancel(&counted.timer));
	EXPECT(t, !timer_cancel(&counted.timer));
	sleep_ns(4 * NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.count), 0u);
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

struct counted_work {
	struct work work;
	struct delayed_work delayed;
	uint32_t runs, inside, overlaps;
	uint64_t sleep_ns;
};

static void run_counted(struct counted_work *counted)
{
	if (atomic_add_return(&counted->inside, 1) != 1)
		atomic_inc(&counted->overlaps);
	if (counted->sleep_ns)
		sleep_ns(counted->sleep_ns);
	atomic_inc(&counted->runs);
	atomic_dec(&counted->inside);
}

static void run_work(struct work *work)
{
	run_counted(container_of(work, struct counted_work, work));
}

static void run_delayed(struct work *work)
{
	run_counted(container_of(work, struct counted_work, delayed.work));
}

KTEST(work, queued_while_it_runs_it_runs_once_more_and_never_twice_at_a_time)
{
	struct counted_work counted = {.sleep_ns = 2 * NS_PER_MS};

	work_init(&counted.work, run_work);
	EXPECT(t, work_queue(&counted.work));
	while (!load_acquire(&counted.inside) && !load_acquire(&counted.runs))
		thread_yield();
	for (int i = 0; i < 50; i++)
		work_queue(&counted.work);
	work_flush();
	EXPECT(t, counted.runs >= 1 && counted.runs <= 3);
	EXPECT_EQ(t, counted.overlaps, 0u);
	work_cancel_sync(&counted.work);
}

KTEST(work, cancelling_waits_for_the_running_one)
{
	struct counted_work counted = {.sleep_ns = 3 * NS_PER_MS};

	work_init(&counted.work, run_work);
	work_queue(&counted.work);
	while (!load_acquire(&counted.inside) && !load_acquire(&counted.runs))
		thread_yield();
	work_cancel_sync(&counted.work);
	EXPECT_EQ(t, load_acquire(&counted.inside), 0u);
	EXPECT_EQ(t, load_acquire(&counted.runs), 1u);
}

KTEST(work, many_items_all_run)
{
	static struct counted_work many[64];

	for (int i = 0; i < 64; i++) {
		many[i] = (struct counted_work){.sleep_ns = i % 8 ? 0 : NS_PER_MS};
		work_init(&many[i].work, run_work);
		EXPECT(t, work_queue(&many[i].work));
	}
	work_flush();
	for (int i = 0; i < 64; i++) {
		EXPECT_EQ(t, many[i].runs, 1u);
		work_cancel_sync(&many[i].work);
	}
}

KTEST(work, delayed_runs_later_and_can_be_cancelled)
{
	struct counted_work counted = {0};

	delayed_work_init(&counted.delayed, run_delayed);
	EXPECT(t, delayed_work_queue(&counted.delayed, 3 * NS_PER_MS));
	EXPECT(t, !delayed_work_queue(&counted.delayed, 0));
	EXPECT_EQ(t, load_acquire(&counted.runs), 0u);
	sleep_ns(30 * NS_PER_MS);
	work_flush();
	EXPECT_EQ(t, load_acquire(&counted.runs), 1u);
	delayed_work_queue(&counted.delayed, 5 * NS_PER_MS);
	delayed_work_cancel_sync(&counted.delayed);
	sleep_ns(8 * NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.runs), 1u);
}
