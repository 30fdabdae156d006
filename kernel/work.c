/*
 * Work items: one queue, a few worker threads, both worlds.
 *
 * An item is in the queue at most once and never runs on two workers: one that is queued while it runs stays in the
 * queue, passed over, until that run has ended. Before a worker runs an item it sees to it that another one is there to
 * take the next, up to MAX_WORKERS: items may wait for each other, one deep, and a slow one holds up nobody.
 *
 * work->state, under the lock:
 *   QUEUED, RUNNING  as said; both at once is "once more"
 *   DELAYED          the timer is armed and will queue it
 *   *_ODD            in which generation the queued and the running instance count, see work_flush()
 *   CANCELLING       a count in the upper bits: meanwhile queueing is refused, or an item that queues itself again
 *                    could outrun its canceller for ever
 */
#include "kernel/work.h"

#include "kernel/lock_order.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lib/errno.h"

#define MAX_WORKERS 4

enum {
	WORK_QUEUED = 1,
	WORK_QUEUED_ODD = 2,
	WORK_RUNNING = 4,
	WORK_RUNNING_ODD = 8,
	WORK_DELAYED = 16,
	WORK_CANCELLING = 256, /* one canceller */
};

static struct spinlock lock = SPINLOCK_INIT("work");
static struct list_node items = LIST_INIT(items);
static struct wait_queue idle_workers = WAIT_QUEUE_INIT(idle_workers);
static struct wait_queue finished = WAIT_QUEUE_INIT(finished); /* woken whenever an item has run */
static struct mutex flushing = MUTEX_INIT(flushing, "work_flush");
static unsigned int nr_workers, nr_busy;
static unsigned int generation; /* 0 or 1: what is queued now counts in unfinished[generation] */
static uint32_t unfinished[2];	/* queued and running instances */

void work_init(struct work *work, void (*run)(struct work *work))
{
	list_init(&work->node);
	work->run = run;
	work->state = 0;
}

/* ---- the queue; all with the lock ---- */

static bool queue_item(struct work *work)
{
	if (work->state & WORK_QUEUED || work->state >= WORK_CANCELLING)
		return false;
	list_add_tail(&items, &work->node);
	work->state |= WORK_QUEUED | (generation ? WORK_QUEUED_ODD : 0);
	unfinished[generation]++;
	return true;
}

static void unqueue_item(struct work *work)
{
	if (!(work->state & WORK_QUEUED))
		return;
	list_del(&work->node);
	unfinished[!!(work->state & WORK_QUEUED_ODD)]--;
	work->state &= ~(WORK_QUEUED | WORK_QUEUED_ODD);
}

/* The first that does not run, or NULL. */
static struct work *first_item(void)
{
	struct work *work;

	list_for_each_entry(work, &items, node)
		if (!(work->state & WORK_RUNNING))
			return work;
	return NULL;
}

static void mark_running(struct work *work)
{
	bool odd = work->state & WORK_QUEUED_ODD;

	list_del(&work->node);
	work->state &= ~(WORK_QUEUED | WORK_QUEUED_ODD);
	work->state |= WORK_RUNNING | (odd ? WORK_RUNNING_ODD : 0);
}

/* ---- workers ---- */

static struct work *take_item(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	struct work *work = first_item();

	if (work) {
		mark_running(work);
		nr_busy++;
	}
	spin_unlock_irqrestore(&lock, flags);
	return work;
}

static bool have_items(void)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool any = first_item() != NULL;

	spin_unlock_irqrestore(&lock, flags);
	return any;
}

/* The item may be freed by its owner as soon as the lock is let go, unless it is to run again. */
static void item_done(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);

	nr_busy--;
	unfinished[!!(work->state & WORK_RUNNING_ODD)]--;
	work->state &= ~(WORK_RUNNING | WORK_RUNNING_ODD);
	spin_unlock_irqrestore(&lock, flags);
	wake_up_all(&finished);
}

static void ensure_worker(void);

static int worker(void *argument UNUSED)
{
	for (;;) {
		struct work *work;

		wait_event(&idle_workers, (work = take_item()));
		/* Until wait_event() ended, a wake-up meant for somebody who is free may have come here. */
		if (have_items())
			wake_up(&idle_workers);
		ensure_worker();
		work->run(work);
		item_done(work);
	}
	return 0;
}

/* One more worker if all are busy and the limit allows. Workers make each other, work_start_workers() the first. */
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
	bool fresh = queue_item(work);

	spin_unlock_irqrestore(&lock, flags);
	if (fresh)
		wake_up(&idle_workers);
	return fresh;
}

static void begin_cancel(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);

	unqueue_item(work);
	work->state &= ~WORK_DELAYED;
	work->state += WORK_CANCELLING;
	spin_unlock_irqrestore(&lock, flags);
	wake_up_all(&finished); /* who flushes may have waited for this one */
}

static bool is_running(struct work *work)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool running = work->state & WORK_RUNNING;

	spin_unlock_irqrestore(&lock, flags);
	return running;
}

static void end_cancel(struct work *work)
{
	unsigned long flags;

	wait_event(&finished, !is_running(work));
	flags = spin_lock_irqsave(&lock);
	work->state -= WORK_CANCELLING;
	spin_unlock_irqrestore(&lock, flags);
}

void work_cancel_sync(struct work *work)
{
	lock_order_may_sleep("work_cancel_sync");
	begin_cancel(work);
	end_cancel(work);
}

static bool all_finished(unsigned int old)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool all = unfinished[old] == 0;

	spin_unlock_irqrestore(&lock, flags);
	return all;
}

/* Begins a new generation and waits for the old one: items that keep queueing themselves cannot hold it up. */
void work_flush(void)
{
	unsigned long flags;
	unsigned int old;

	mutex_lock(&flushing);
	flags = spin_lock_irqsave(&lock);
	old = generation;
	generation = !old;
	spin_unlock_irqrestore(&lock, flags);
	wait_event(&finished, all_finished(old));
	mutex_unlock(&flushing);
}

/* ---- delayed work ---- */

static void delay_passed(struct timer *timer)
{
	struct delayed_work *delayed = container_of(timer, struct delayed_work, timer);
	unsigned long flags = spin_lock_irqsave(&lock);
	bool fresh = false;

	/* Armed again while this waited for the lock: then its time has not come. */
	if ((delayed->work.state & WORK_DELAYED) && !timer_is_armed(timer)) {
		delayed->work.state &= ~WORK_DELAYED;
		fresh = queue_item(&delayed->work);
	}
	spin_unlock_irqrestore(&lock, flags);
	if (fresh)
		wake_up(&idle_workers);
}

void delayed_work_init(struct delayed_work *delayed, void (*run)(struct work *work))
{
	work_init(&delayed->work, run);
	timer_init(&delayed->timer, delay_passed);
}

static bool delay(struct delayed_work *delayed, uint64_t delay_ns, bool replace)
{
	struct work *work = &delayed->work;
	unsigned long flags = spin_lock_irqsave(&lock);
	bool pending = work->state & (WORK_QUEUED | WORK_DELAYED);
	bool accept = work->state < WORK_CANCELLING && (replace || !pending);
	bool taken_back = accept && (work->state & WORK_QUEUED);

	if (accept) {
		unqueue_item(work);
		work->state |= WORK_DELAYED;
		timer_arm(&delayed->timer, wait_deadline(delay_ns));
	}
	spin_unlock_irqrestore(&lock, flags);
	if (taken_back)
		wake_up_all(&finished);
	return accept;
}

bool delayed_work_queue(struct delayed_work *delayed, uint64_t delay_ns)
{
	return delay(delayed, delay_ns, false);
}

void delayed_work_requeue(struct delayed_work *delayed, uint64_t delay_ns)
{
	delay(delayed, delay_ns, true);
}

void delayed_work_cancel_sync(struct delayed_work *delayed)
{
	lock_order_may_sleep("delayed_work_cancel_sync");
	/* In this order: nobody arms the timer any more, it is over, and so is the run that it may have queued. */
	begin_cancel(&delayed->work);
	timer_cancel(&delayed->timer);
	end_cancel(&delayed->work);
}
