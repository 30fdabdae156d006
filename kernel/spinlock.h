/*
 * Spin locks. Taking one disables preemption; the _irq forms also disable interrupts on this CPU.
 *
 * A lock that an interrupt handler takes is always taken with the _irqsave form. Holding one, nothing may sleep.
 * In debug builds every lock belongs to a class (its name's address) and the lock-order checker panics on an
 * inversion, on recursion, on a release by another, and on sleeping with a lock held; see kernel/lock_order.h.
 */
#pragma once

#include "lib/compiler.h"

struct spinlock {
	uint32_t locked;
#ifdef BALLONET_DEBUG
	uint32_t owner_cpu; /* index + 1, 0: free */
#endif
	const char *name; /* the class: a string literal; equal text is one class */
};

#ifdef BALLONET_DEBUG
#define SPINLOCK_INIT(class)                                 \
	{                                                    \
		.locked = 0, .owner_cpu = 0, .name = (class) \
	}
#else
#define SPINLOCK_INIT(class)                 \
	{                                    \
		.locked = 0, .name = (class) \
	}
#endif

void spin_lock_init(struct spinlock *lock, const char *name);
void spin_lock(struct spinlock *lock);
bool spin_trylock(struct spinlock *lock) MUST_CHECK;
void spin_unlock(struct spinlock *lock);
/* Returns the interrupt state to hand to the unlock. */
unsigned long spin_lock_irqsave(struct spinlock *lock) MUST_CHECK;
void spin_unlock_irqrestore(struct spinlock *lock, unsigned long flags);
/* For assertions: held by this CPU (debug), or by anybody (release). */
bool spin_is_locked(const struct spinlock *lock);
