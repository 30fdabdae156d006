/*
 * Mutexes, handed over: the one that unlocks makes the first waiter the owner before it wakes it. So nobody overtakes,
 * and a waiter that was woken has the mutex.
 *
 * The queue's lock guards the hand-over; taking a free mutex that nobody waits for is one compare-and-swap.
 */
#include "kernel/mutex.h"

#include "kernel/lock_order.h"
#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "lib/atomic.h"

#define CALLER __builtin_return_address(0)

void mutex_init(struct mutex *mutex, const char *name)
{
	mutex->owner = NULL;
	mutex->name = name;
	wait_queue_init(&mutex->waiters);
}

bool mutex_is_mine(const struct mutex *mutex)
{
	return load_relaxed(&mutex->owner) == thread_current();
}

static bool take_free(struct mutex *mutex)
{
	struct thread *nobody = NULL;

	return atomic_cas(&mutex->owner, &nobody, thread_current());
}

bool mutex_trylock(struct mutex *mutex)
{
	if (!take_free(mutex))
		return false;
	lock_order_acquire(mutex, mutex->name, LOCK_MUTEX, true, CALLER);
	return true;
}

/* Queues up unless the mutex becomes free meanwhile; sleeps until it is handed over. */
static void lock_slow(struct mutex *mutex)
{
	struct waiter waiter = {.thread = thread_current()};
	unsigned long flags = spin_lock_irqsave(&mutex->waiters.lock);
	bool mine = take_free(mutex);

	if (!mine)
		list_add_tail(&mutex->waiters.waiters, &waiter.node);
	spin_unlock_irqrestore(&mutex->waiters.lock, flags);
	while (!mine && !load_acquire(&waiter.woken))
		(void)thread_block(WAIT_FOREVER);
	if (!mine) {
		/* Wait for the one that handed over to leave the waiter alone. */
		flags = spin_lock_irqsave(&mutex->waiters.lock);
		spin_unlock_irqrestore(&mutex->waiters.lock, flags);
	}
}

void mutex_lock(struct mutex *mutex)
{
	lock_order_may_sleep("mutex_lock");
	ASSERT(!mutex_is_mine(mutex), "mutex %s locked twice by one thread", mutex->name);
	lock_order_acquire(mutex, mutex->name, LOCK_MUTEX, false, CALLER);
	if (!take_free(mutex))
		lock_slow(mutex);
}

void mutex_unlock(struct mutex *mutex)
{
	struct waiter *waiter;
	unsigned long flags;

	ASSERT(mutex_is_mine(mutex), "mutex %s unlocked by a thread that does not hold it", mutex->name);
	lock_order_release(mutex, mutex->name);
	flags = spin_lock_irqsave(&mutex->waiters.lock);
	if (list_empty(&mutex->waiters.waiters)) {
		store_release(&mutex->owner, NULL);
	} else {
		waiter = list_first_entry(&mutex->waiters.waiters, struct waiter, node);
		list_del(&waiter->node);
		store_release(&mutex->owner, waiter->thread);
		store_release(&waiter->woken, true);
		thread_unblock(waiter->thread);
	}
	spin_unlock_irqrestore(&mutex->waiters.lock, flags);
}
