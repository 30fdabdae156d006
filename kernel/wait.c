/*
 * Wait queues and completions, on thread_block() and thread_unblock().
 *
 * A waiter lives on its thread's stack. It is touched only under the queue's lock, and the thread leaves through
 * wait_finish(), which takes that lock: so a waker that found the waiter is done with it before it goes away.
 */
#include "kernel/wait.h"

#include "kernel/lock_order.h"
#include "kernel/scheduler.h"
#include "kernel/time.h"
#include "lib/atomic.h"

void wait_queue_init(struct wait_queue *queue)
{
	spin_lock_init(&queue->lock, "wait_queue");
	list_init(&queue->waiters);
}

uint64_t wait_deadline(uint64_t timeout_ns)
{
	uint64_t now;

	if (timeout_ns == WAIT_FOREVER)
		return WAIT_FOREVER;
	now = time_ns();
	return timeout_ns > WAIT_FOREVER - now ? WAIT_FOREVER : now + timeout_ns;
}

void wait_prepare(struct wait_queue *queue, struct waiter *waiter)
{
	unsigned long flags;

	lock_order_may_sleep("wait_event");
	waiter->thread = thread_current();
	waiter->stopping = thread_should_stop();
	waiter->woken = false;
	flags = spin_lock_irqsave(&queue->lock);
	list_add_tail(&queue->waiters, &waiter->node);
	spin_unlock_irqrestore(&queue->lock, flags);
}

bool wait_sleep(struct waiter *waiter, uint64_t deadline_ns)
{
	/* thread_stop() unblocks once; the condition may have slept on something else and used that up. */
	if (load_acquire(&waiter->woken) || thread_should_stop() != waiter->stopping)
		return true;
	return thread_block(deadline_ns) || load_acquire(&waiter->woken);
}

void wait_finish(struct wait_queue *queue, struct waiter *waiter)
{
	unsigned long flags = spin_lock_irqsave(&queue->lock);

	list_del(&waiter->node);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* With the queue's lock held. */
static void wake_first(struct wait_queue *queue)
{
	struct waiter *waiter = list_first_entry(&queue->waiters, struct waiter, node);

	list_del(&waiter->node);
	store_release(&waiter->woken, true);
	thread_unblock(waiter->thread);
}

bool wake_up(struct wait_queue *queue)
{
	unsigned long flags = spin_lock_irqsave(&queue->lock);
	bool any = !list_empty(&queue->waiters);

	if (any)
		wake_first(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return any;
}

void wake_up_all(struct wait_queue *queue)
{
	unsigned long flags = spin_lock_irqsave(&queue->lock);

	while (!list_empty(&queue->waiters))
		wake_first(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

void completion_init(struct completion *completion)
{
	completion->done = false;
	wait_queue_init(&completion->queue);
}

void completion_done(struct completion *completion)
{
	unsigned long flags = spin_lock_irqsave(&completion->queue.lock);

	/* Under the lock: a waiter that sees it and frees the completion first takes the lock too. */
	store_release(&completion->done, true);
	while (!list_empty(&completion->queue.waiters))
		wake_first(&completion->queue);
	spin_unlock_irqrestore(&completion->queue.lock, flags);
}

bool completion_wait(struct completion *completion, uint64_t timeout_ns)
{
	bool done = wait_event_timeout(&completion->queue, load_acquire(&completion->done), timeout_ns);
	unsigned long flags = spin_lock_irqsave(&completion->queue.lock);

	spin_unlock_irqrestore(&completion->queue.lock, flags);
	return done;
}
