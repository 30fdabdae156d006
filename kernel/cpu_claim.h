/*
 * Data of one CPU that another may take over for a moment.
 *
 * The owner, the CPU itself, says busy while it is inside, with preemption off, and pays neither for an atomic
 * operation nor for a barrier of the processor. A claimant takes the lock, sets claimed, makes the owner pass a
 * barrier, and waits until it is not busy; an owner that finds claimed set goes away and waits for the lock.
 *
 * Why the barrier: a processor may read `claimed` before its own store to `busy` is seen by others. Without it:
 *
 *     owner:    busy = 1  (in its store buffer)                    reads claimed: 0, goes in
 *     claimant:                                  claimed = 1, mfence, reads busy: 0, goes in
 *
 * The claimant's own fence orders its own two accesses only. With cpu_barrier() either the owner's store is seen, or
 * its load comes behind the barrier and sees the claim; the owner's code is the same with it and without. That both are
 * inside without it is seen by cpu_claim.owner_and_claimant_are_never_both_inside, if there are two real processors.
 */
#pragma once

#include "kernel/cpu.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

struct cpu_claim {
	uint32_t busy;	      /* written by the owner only */
	uint32_t claimed;     /* written under lock only */
	struct spinlock lock; /* among claimants */
};

/* @name is the lock's class. */
void cpu_claim_init(struct cpu_claim *claim, const char *name);
/* For the owner who was about to go in: waits until no claimant is left. */
void cpu_claim_wait(struct cpu_claim *claim);
/*
 * The caller has @cpu's data for himself until cpu_claim_end(), with preemption off. @cpu is another CPU than this one;
 * interrupts are on, and stay on while anybody waits for the lock, or for this.
 */
void cpu_claim_begin(struct cpu_claim *claim, unsigned int cpu);
void cpu_claim_end(struct cpu_claim *claim);

/* The owner's way in and out. Preemption is off, and stays off in between. */
static ALWAYS_INLINE void cpu_claim_enter(struct cpu_claim *claim)
{
	store_relaxed(&claim->busy, 1);
	barrier();
	if (unlikely(load_acquire(&claim->claimed)))
		cpu_claim_wait(claim);
}

/* False, and the owner is not inside: claimed. For code that has another way then, and shall stay free of calls. */
static ALWAYS_INLINE bool cpu_claim_try_enter(struct cpu_claim *claim)
{
	store_relaxed(&claim->busy, 1);
	barrier();
	if (likely(!load_acquire(&claim->claimed)))
		return true;
	store_release(&claim->busy, 0);
	return false;
}

static ALWAYS_INLINE void cpu_claim_leave(struct cpu_claim *claim)
{
	store_release(&claim->busy, 0);
}
