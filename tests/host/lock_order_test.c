/*
 * The lock-order checker must panic: each case in a child process of its own.
 */
#include "kernel/ktest.h"
#include "kernel/mutex.h"
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

KTEST(lock_order, a_consistent_order_is_fine)
{
	EXPECT(t, !host_panics(consistent_order, NULL, "inversion"));
}

#endif
