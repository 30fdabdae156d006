/*
 * Spin locks.
 */
#include "kernel/spinlock.h"

#include <arch/cpu.h>

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

struct guarded {
	struct spinlock lock;
	uint64_t value;	  /* not atomic: the lock must do */
	uint32_t present; /* all begin together */
};

static int count_in_every_way(void *argument)
{
	struct guarded *guarded = argument;

	atomic_inc(&guarded->present);
	while (load_acquire(&guarded->present) < 4)
		thread_yield();
	for (int i = 0; i < 30000; i++) {
		unsigned long flags;

		switch (i % 3) {
		case 0:
			spin_lock(&guarded->lock);
			guarded->value++;
			spin_unlock(&guarded->lock);
			break;
		case 1:
			flags = spin_lock_irqsave(&guarded->lock);
			guarded->value++;
			spin_unlock_irqrestore(&guarded->lock, flags);
			break;
		default:
			while (!spin_trylock(&guarded->lock))
				cpu_relax();
			guarded->value++;
			spin_unlock(&guarded->lock);
		}
	}
	return 0;
}

KTEST(spinlock, one_at_a_time)
{
	struct guarded guarded = {.lock = SPINLOCK_INIT("test_guarded")};
	struct thread *threads[4];

	for (int i = 0; i < 4; i++) {
		threads[i] = thread_spawn("counter", count_in_every_way, &guarded);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	EXPECT_EQ(t, guarded.value, 120000u);
}

KTEST(spinlock, holding_one_forbids_sleeping)
{
	struct spinlock lock = SPINLOCK_INIT("test_preempt");

	EXPECT(t, preemptible());
	spin_lock(&lock);
	EXPECT(t, !preemptible());
	EXPECT(t, spin_is_locked(&lock));
	spin_unlock(&lock);
	EXPECT(t, preemptible());
	EXPECT(t, !spin_is_locked(&lock));
}

KTEST(spinlock, a_failed_try_leaves_no_trace)
{
	struct spinlock lock = SPINLOCK_INIT("test_try");

	REQUIRE(t, spin_trylock(&lock));
	EXPECT(t, !spin_trylock(&lock));
	spin_unlock(&lock);
	EXPECT(t, preemptible());
}

KTEST(spinlock, irqsave_nests_and_restores)
{
	struct spinlock outer = SPINLOCK_INIT("test_outer"), inner = SPINLOCK_INIT("test_inner");
	unsigned long outer_flags, inner_flags;

	REQUIRE(t, cpu_irqs_enabled());
	outer_flags = spin_lock_irqsave(&outer);
	inner_flags = spin_lock_irqsave(&inner);
	EXPECT(t, !cpu_irqs_enabled());
	spin_unlock_irqrestore(&inner, inner_flags);
	EXPECT(t, !cpu_irqs_enabled());
	spin_unlock_irqrestore(&outer, outer_flags);
	EXPECT(t, cpu_irqs_enabled());
}
