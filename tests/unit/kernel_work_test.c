/*
 * Work items and delayed work.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "lib/atomic.h"

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
	uint32_t accepted = 1;

	work_init(&counted.work, run_work);
	EXPECT(t, work_queue(&counted.work));
	while (!load_acquire(&counted.inside) && !load_acquire(&counted.runs))
		thread_yield();
	for (int i = 0; i < 50; i++)
		accepted += work_queue(&counted.work);
	work_flush();
	EXPECT_EQ(t, counted.runs, accepted);
	EXPECT(t, accepted >= 2);
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
	uint64_t start;

	delayed_work_init(&counted.delayed, run_delayed);
	start = time_ns();
	EXPECT(t, delayed_work_queue(&counted.delayed, 20 * NS_PER_MS));
	for (uint64_t end = wait_deadline(10 * NS_PER_S); !load_acquire(&counted.runs) && time_ns() < end;)
		sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.runs), 1u);
	EXPECT(t, time_ns() - start >= 20 * NS_PER_MS);
	EXPECT(t, delayed_work_queue(&counted.delayed, 1000 * NS_PER_S));
	EXPECT(t, !delayed_work_queue(&counted.delayed, 0));
	work_flush();
	delayed_work_cancel_sync(&counted.delayed);
	EXPECT_EQ(t, load_acquire(&counted.runs), 1u);
}

/* Queues itself again and again: only a canceller that refuses the next time can end it. */
static void run_for_ever(struct work *work)
{
	struct counted_work *counted = container_of(work, struct counted_work, work);

	atomic_inc(&counted->runs);
	work_queue(work);
}

KTEST(work, an_item_that_queues_itself_can_be_cancelled_and_does_not_hold_up_a_flush)
{
	struct counted_work counted = {0};

	work_init(&counted.work, run_for_ever);
	work_queue(&counted.work);
	while (load_acquire(&counted.runs) < 3)
		thread_yield();
	work_flush();
	work_cancel_sync(&counted.work);
	counted.runs = 0;
	sleep_ns(2 * NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.runs), 0u);
}

static void delay_for_ever(struct work *work)
{
	struct counted_work *counted = container_of(work, struct counted_work, delayed.work);

	atomic_inc(&counted->runs);
	delayed_work_queue(&counted->delayed, 100 * NS_PER_US);
}

KTEST(work, delayed_work_that_delays_itself_can_be_cancelled)
{
	for (int i = 0; i < 20; i++) {
		struct counted_work counted = {0};

		delayed_work_init(&counted.delayed, delay_for_ever);
		delayed_work_queue(&counted.delayed, 0);
		while (load_acquire(&counted.runs) < 2)
			sleep_ns(50 * NS_PER_US);
		delayed_work_cancel_sync(&counted.delayed);
		counted.runs = 0;
		sleep_ns(300 * NS_PER_US);
		EXPECT_EQ(t, load_acquire(&counted.runs), 0u);
	}
}

struct waiting_work {
	struct work work;
	struct completion *wait_for, *complete;
	bool done;
};

static void run_waiting(struct work *work)
{
	struct waiting_work *waiting = container_of(work, struct waiting_work, work);

	if (waiting->wait_for)
		waiting->done = completion_wait(waiting->wait_for, 5 * NS_PER_S);
	if (waiting->complete)
		completion_done(waiting->complete);
}

KTEST(work, an_item_may_wait_for_a_later_one)
{
	struct completion passed;
	struct waiting_work first = {.wait_for = &passed}, second = {.complete = &passed};

	completion_init(&passed);
	work_init(&first.work, run_waiting);
	work_init(&second.work, run_waiting);
	work_queue(&first.work);
	sleep_ns(2 * NS_PER_MS); /* the first waits by now, and its worker with it */
	work_queue(&second.work);
	work_flush();
	EXPECT(t, first.done);
}

static int requeue_and_cancel(void *argument)
{
	struct counted_work *counted = argument;

	for (int i = 0; i < 300; i++) {
		delayed_work_requeue(&counted->delayed, (uint64_t)(i % 5) * 20 * NS_PER_US);
		if (i % 7 == 0)
			delayed_work_cancel_sync(&counted->delayed);
		if (i % 11 == 0)
			delayed_work_queue(&counted->delayed, 0);
	}
	return 0;
}

KTEST(work, requeueing_and_cancelling_may_race)
{
	struct counted_work counted = {0};
	struct thread *threads[4];

	delayed_work_init(&counted.delayed, run_delayed);
	for (int i = 0; i < 4; i++) {
		threads[i] = thread_spawn("racer", requeue_and_cancel, &counted);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	delayed_work_cancel_sync(&counted.delayed);
	EXPECT_EQ(t, counted.overlaps, 0u);
	counted.runs = 0;
	sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, load_acquire(&counted.runs), 0u);
}
