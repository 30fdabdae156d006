/*
 * The lock-order checker must panic: each case in a child process of its own.
 */
#include "kernel/ktest.h"
#include "kernel/mutex.h"
#include "kernel/scheduler.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "tests/host/host.h"

#ifdef BALLONET_DEBUG

static struct spinlock a = SPINLOCK_INIT("test_a"), b = SPINLOCK_INIT("test_b"), c = SPINLOCK_INIT("test_c");
static struct mutex m = MUTEX_INIT(m, "test_m");

static void take_both(struct spinlock *first, struct spinlock *second)
{
	spin_lock(first);
	spin_lock(second);
	spin_unlock(second);
	spin_unlock(first);
}

static void invert_over_three(void *argument UNUSED)
{
	take_both(&a, &b);
	take_both(&b, &c);
	take_both(&c, &a);
}

static void take_twice(void *argument UNUSED)
{
	spin_lock(&a);
	spin_lock(&a);
}

static void release_unheld(void *argument UNUSED)
{
	spin_unlock(&b);
}

static void sleep_with_spin_lock(void *argument UNUSED)
{
	spin_lock(&a);
	mutex_lock(&m);
}

static void nest_two_of_a_class(void *argument UNUSED)
{
	struct spinlock other = SPINLOCK_INIT("test_a");

	take_both(&a, &other);
}

static void take_in_an_interrupt_and_outside(void *argument UNUSED)
{
	interrupt_enter();
	spin_lock(&a);
	spin_unlock(&a);
	interrupt_leave();
	spin_unlock_irqrestore(&a, spin_lock_irqsave(&a)); /* this is how it should be */
	spin_lock(&a);
}

static void sleep_in_an_interrupt(void *argument UNUSED)
{
	interrupt_enter();
	sleep_ns(1);
}

static void unlock_of_another(void *argument UNUSED)
{
	/* No thread can be made here: this is a child of a process with several. */
	m.owner = (struct thread *)&a;
	mutex_unlock(&m);
}

static void invert_mutex_and_spin_lock_by_trying(void *argument UNUSED)
{
	mutex_lock(&m);
	spin_lock(&a);
	spin_unlock(&a);
	mutex_unlock(&m);
	spin_lock(&a);
	if (mutex_trylock(&m)) /* cannot wait, so cannot deadlock: no panic */
		mutex_unlock(&m);
	spin_unlock(&a);
}

static void consistent_order(void *argument UNUSED)
{
	for (int i = 0; i < 3; i++) {
		take_both(&a, &b);
		take_both(&b, &c);
		take_both(&a, &c);
	}
}

KTEST(lock_order, an_inversion_over_three_locks_panics_and_names_the_chain)
{
	EXPECT(t, host_panics(invert_over_three, NULL, "test_a -> test_b -> test_c"));
	EXPECT(t, host_panics(invert_over_three, NULL, "now test_a is to be taken at"));
	EXPECT(t, host_panics(invert_over_three, NULL, "earlier test_c was taken at"));
}

KTEST(lock_order, recursion_panics)
{
	EXPECT(t, host_panics(take_twice, NULL, "test_a is taken again"));
}

KTEST(lock_order, releasing_what_is_not_held_panics)
{
	EXPECT(t, host_panics(release_unheld, NULL, "test_b is released"));
}

KTEST(lock_order, sleeping_with_a_spin_lock_panics)
{
	EXPECT(t, host_panics(sleep_with_spin_lock, NULL, "spin lock test_a is held"));
}

KTEST(lock_order, two_locks_of_one_class_panic)
{
	EXPECT(t, host_panics(nest_two_of_a_class, NULL, "two locks of class test_a"));
}

KTEST(lock_order, a_lock_of_interrupts_is_not_taken_with_interrupts_on)
{
	EXPECT(t, host_panics(take_in_an_interrupt_and_outside, NULL, "lock test_a is taken by interrupt handlers"));
}

KTEST(lock_order, sleeping_in_an_interrupt_panics)
{
	EXPECT(t, host_panics(sleep_in_an_interrupt, NULL, "sleep_ns may sleep, but this is an interrupt"));
}

KTEST(lock_order, a_mutex_is_released_by_its_owner)
{
	EXPECT(t, host_panics(unlock_of_another, NULL, "mutex test_m unlocked by a thread that does not hold it"));
}

KTEST(lock_order, a_trylock_adds_no_order)
{
	EXPECT(t, !host_panics(invert_mutex_and_spin_lock_by_trying, NULL, ""));
}

KTEST(lock_order, a_consistent_order_is_fine)
{
	EXPECT(t, !host_panics(consistent_order, NULL, "inversion"));
}

#endif
