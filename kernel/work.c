/*
 * Work items: one queue, a few worker threads, both worlds.
 *
 * An item's state says whether it is queued, running, and to be run again. It is in the queue at most once and never
 * runs on two workers: a worker that takes it off sets RUNNING; queueing it meanwhile only sets AGAIN, which that worker
 * honours. Workers are made on demand, another one when an item is queued while all are busy, up to MAX_WORKERS.
 */
#include "kernel/work.h"

#include "kernel/lock_order.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lib/errno.h"

#define MAX_WORKERS 4

enum { WORK_QUEUED = 1, WORK_RUNNING = 2, WORK_AGAIN = 4 };

static struct spinlock lock = SPINLOCK_INIT("work");
static struct list_node items = LIST_INIT(items);
static struct wait_queue idle_workers = WAIT_QUEUE_INIT(idle_workers);
static struct wait_queue finished = WAIT_QUEUE_INIT(finished); /* woken whenever an item has run */
static unsigned int nr_workers, nr_busy, nr_items;

void work_init(struct work *work, void (*run)(struct work *work))
{
	list_init(&work->node);
	work->run = run;
	work->state = 0;
}

/* ---- workers ---- */

static bool have_items(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool any = !list_empty(&items);

	spin_unlock_irqrestore(&lock, flags);
	return any;
}

static struct work *take_item(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	struct work *work = NULL;

	if (!list_empty(&items)) {
		work = list_first_entry(&items, struct work, node);
		list_del(&work->node);
		nr_items--;
		nr_busy++;
		work->state = WORK_RUNNING;
	}
	spin_unlock_irqrestore(&lock, flags);
	return work;
}

static void queue_locked(struct work *work)
{
	list_add_tail(&items, &work->node);
	nr_items++;
	work->state |= WORK_QUEUED;
}

/* The item may be freed by its owner as soon as the lock is let go, unless it is to run again. */
static void item_done(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool again = work->state & WORK_AGAIN;

	nr_busy--;
	work->state = 0;
	if (again)
		queue_locked(work);
	spin_unlock_irqrestore(&lock, flags);
	wake_up_all(&finished);
}

static void ensure_worker(void);

static int worker(void *argument UNUSED)
{
	for (;;) {
		struct work *work;

		wait_event(&idle_workers, have_items());
		work = take_item();
		if (!work)
			continue;
		if (have_items())
			ensure_worker();
		work->run(work);
		item_done(work);
	}
	return 0;
}

/* One more worker if all are busy and the limit allows. Threads context only: workers make each other, init the first. */
static void ensure_worker(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool needed = nr_busy == nr_workers && nr_workers < MAX_WORKERS;
	unsigned int number = nr_workers;
	char name[THREAD_NAME_SIZE];

	if (needed)
		nr_workers++;
	spin_unlock_irqrestore(&lock, flags);
	if (!needed)
		return;
	format(name, sizeof(name), "worker/%u", number);
	/* Never joined: workers live as long as the kernel. */
	if (IS_ERR(thread_spawn(name, worker, NULL))) {
		pr_err("work: no memory for %s: %u workers go on alone", name, number);
		flags = spin_lock_irqsave(&lock);
		nr_workers--;
		spin_unlock_irqrestore(&lock, flags);
	}
}

void work_start_workers(void)
{
	ensure_worker();
}

/* ---- queueing and cancelling ---- */

bool work_queue(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool fresh = !(work->state & (WORK_QUEUED | WORK_AGAIN));

	if (fresh && (work->state & WORK_RUNNING))
		work->state |= WORK_AGAIN;
	else if (fresh)
		queue_locked(work);
	spin_unlock_irqrestore(&lock, flags);
	if (fresh)
		wake_up(&idle_workers);
	return fresh;
}

/* Drops what is queued; true while it runs. */
static bool drop_queued(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool running = work->state & WORK_RUNNING;

	if (work->state & WORK_QUEUED) {
		list_del(&work->node);
		nr_items--;
	}
	work->state &= WORK_RUNNING;
	spin_unlock_irqrestore(&lock, flags);
	return running;
}

void work_cancel_sync(struct work *work)
{
	lock_order_may_sleep("work_cancel_sync");
	wait_event(&finished, !drop_queued(work));
}

static bool all_done(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool done = nr_items == 0 && nr_busy == 0;

	spin_unlock_irqrestore(&lock, flags);
	return done;
}

void work_flush(void)
{
	lock_order_may_sleep("work_flush");
	wait_event(&finished, all_done());
}

/* ---- delayed work ---- */

static void delay_passed(struct timer *timer)
{
	work_queue(&container_of(timer, struct delayed_work, timer)->work);
}

void delayed_work_init(struct delayed_work *delayed, void (*run)(struct work *work))
{
	work_init(&delayed->work, run);
	timer_init(&delayed->timer, delay_passed);
}

static bool is_pending(struct delayed_work *delayed)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool pending = timer_is_armed(&delayed->timer) || (delayed->work.state & (WORK_QUEUED | WORK_AGAIN));

	spin_unlock_irqrestore(&lock, flags);
	return pending;
}

bool delayed_work_queue(struct delayed_work *delayed, uint64_t delay_ns)
{
	if (is_pending(delayed))
		return false;
	timer_arm(&delayed->timer, wait_deadline(delay_ns));
	return true;
}

void delayed_work_requeue(struct delayed_work *delayed, uint64_t delay_ns)
{
	timer_arm(&delayed->timer, wait_deadline(delay_ns));
}

void delayed_work_cancel_sync(struct delayed_work *delayed)
{
	/* The item may arm its timer again while it runs: only after it has ended is a cancelled timer the last. */
	timer_cancel(&delayed->timer);
	work_cancel_sync(&delayed->work);
	timer_cancel(&delayed->timer);
	work_cancel_sync(&delayed->work);
}
