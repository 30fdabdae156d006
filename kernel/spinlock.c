/*
 * Spin locks of the guest: a word that is exchanged, tested before it is tried again.
 *
 * Preemption goes off before the lock is tried, so that its holder is never switched away from.
 */
#include "kernel/spinlock.h"

#include <arch/cpu.h>

#include "kernel/lock_order.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

void spin_lock_init(struct spinlock *lock, const char *name)
{
	*lock = (struct spinlock)SPINLOCK_INIT(name);
}

static bool take(struct spinlock *lock)
{
	return __atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE) == 0;
}

static void note_owner(struct spinlock *lock UNUSED)
{
#ifdef BALLONET_DEBUG
	lock->owner_cpu = cpu_id() + 1;
#endif
}

static void check_owner(struct spinlock *lock UNUSED)
{
#ifdef BALLONET_DEBUG
	ASSERT(lock->owner_cpu == cpu_id() + 1, "spin lock %s released by a CPU that does not hold it", lock->name);
	lock->owner_cpu = 0;
#endif
}

void spin_lock(struct spinlock *lock)
{
	preempt_disable();
	lock_order_acquire(lock, lock->name, LOCK_SPIN, false);
	while (unlikely(!take(lock)))
		while (load_relaxed(&lock->locked) && !panicking())
			cpu_relax();
	note_owner(lock);
}

bool spin_trylock(struct spinlock *lock)
{
	preempt_disable();
	if (!take(lock)) {
		preempt_enable();
		return false;
	}
	lock_order_acquire(lock, lock->name, LOCK_SPIN, true);
	note_owner(lock);
	return true;
}

static void release(struct spinlock *lock)
{
	lock_order_release(lock, lock->name);
	check_owner(lock);
	store_release(&lock->locked, 0);
}

void spin_unlock(struct spinlock *lock)
{
	release(lock);
	preempt_enable();
}

unsigned long spin_lock_irqsave(struct spinlock *lock)
{
	unsigned long flags = cpu_irq_save();

	spin_lock(lock);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, unsigned long flags)
{
	release(lock);
	/* Interrupts first: a switch that preempt_enable() owes can then happen. */
	cpu_irq_restore(flags);
	preempt_enable();
}

bool spin_is_locked(const struct spinlock *lock)
{
	return load_relaxed(&lock->locked);
}
