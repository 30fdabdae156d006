/*
 * Spin locks, in both worlds: one word, test-and-test-and-set.
 *
 * The word is exchanged with acquire and cleared with release ordering, which is all that the lock promises. While it
 * is taken a waiter only reads it, so the line stays shared until it is free. Not fair: critical sections are short and
 * CPUs few; what must be fair is a mutex. Every turn of the loop goes through cpu_relax(), without which a guest whose
 * CPUs take turns by instruction count would wait for a whole turn in vain.
 *
 * Preemption is off from before the attempt until after the release: the holder cannot lose its CPU, so waiting is
 * bounded by the section itself. Once the machine panics nobody can be waited for any more, and locks are ignored.
 */
#include "kernel/spinlock.h"

#include <arch/cpu.h>

#include "kernel/lock_order.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

#define CALLER __builtin_return_address(0)

#ifdef BALLONET_DEBUG
static inline void note_owner(struct spinlock *lock)
{
	store_relaxed(&lock->owner_cpu, cpu_id() + 1);
}

static inline void forget_owner(struct spinlock *lock)
{
	ASSERT(load_relaxed(&lock->owner_cpu) == cpu_id() + 1 || panicking(),
	       "spin lock '%s' released by CPU %u, held by CPU %d", lock->name, cpu_id(),
	       (int)load_relaxed(&lock->owner_cpu) - 1);
	store_relaxed(&lock->owner_cpu, 0);
}
#else
static inline void note_owner(struct spinlock *lock UNUSED)
{
}

static inline void forget_owner(struct spinlock *lock UNUSED)
{
}
#endif

void spin_lock_init(struct spinlock *lock, const char *name)
{
	*lock = (struct spinlock)SPINLOCK_INIT(name);
}

static ALWAYS_INLINE bool take(struct spinlock *lock)
{
	return __atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE) == 0;
}

static NOINLINE void spin(struct spinlock *lock)
{
	do {
		while (load_relaxed(&lock->locked)) {
			if (unlikely(panicking()))
				return;
			cpu_relax();
		}
	} while (!take(lock));
}

/* Preemption is off already. */
static ALWAYS_INLINE void acquire(struct spinlock *lock, const void *caller)
{
	lock_order_acquire(lock, lock->name, LOCK_SPIN, false, caller);
	if (unlikely(!take(lock)))
		spin(lock);
	note_owner(lock);
}

static ALWAYS_INLINE void release(struct spinlock *lock)
{
	lock_order_release(lock, lock->name);
	forget_owner(lock);
	store_release(&lock->locked, 0);
}

void spin_lock(struct spinlock *lock)
{
	preempt_disable();
	acquire(lock, CALLER);
}

bool spin_trylock(struct spinlock *lock)
{
	preempt_disable();
	if (load_relaxed(&lock->locked) || !take(lock)) {
		preempt_enable();
		return false;
	}
	note_owner(lock);
	lock_order_acquire(lock, lock->name, LOCK_SPIN, true, CALLER);
	return true;
}

void spin_unlock(struct spinlock *lock)
{
	release(lock);
	preempt_enable();
}

unsigned long spin_lock_irqsave(struct spinlock *lock)
{
	unsigned long flags = cpu_irq_save();

	preempt_disable();
	acquire(lock, CALLER);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, unsigned long flags)
{
	release(lock);
	/* Interrupts first: preempt_enable() switches threads only when they are on. */
	cpu_irq_restore(flags);
	preempt_enable();
}

bool spin_is_locked(const struct spinlock *lock)
{
#ifdef BALLONET_DEBUG
	return load_relaxed(&lock->owner_cpu) == cpu_id() + 1;
#else
	return load_relaxed(&lock->locked);
#endif
}
