/*
 * Mutexes: one at a time, first come first served.
 */
#include "kernel/ktest.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"

struct counted {
	struct mutex mutex;
	uint64_t value;	 /* not atomic: the mutex must do */
	uint32_t inside; /* threads between lock and unlock */
	uint32_t overlaps;
};

static int count_up(void *argument)
{
	struct counted *counted = argument;

	for (int i = 0; i < 2000; i++) {
		mutex_lock(&counted->mutex);
		if (atomic_add_return(&counted->inside, 1) != 1)
			atomic_inc(&counted->overlaps);
		counted->value++;
		if (i % 64 == 0)
			thread_yield();
		atomic_dec(&counted->inside);
		mutex_unlock(&counted->mutex);
	}
	return 0;
}

KTEST(mutex, one_at_a_time)
{
	struct counted counted = {.mutex = MUTEX_INIT(counted.mutex, "test_counted")};
	struct thread *threads[4];

	for (int i = 0; i < 4; i++) {
		threads[i] = thread_spawn("counter", count_up, &counted);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	EXPECT_EQ(t, counted.value, 8000u);
	EXPECT_EQ(t, counted.overlaps, 0u);
	EXPECT(t, counted.mutex.owner == NULL);
}

KTEST(mutex, a_held_one_cannot_be_tried)
{
	struct mutex mutex = MUTEX_INIT(mutex, "test_try");

	REQUIRE(t, mutex_trylock(&mutex));
	EXPECT(t, mutex_is_mine(&mutex));
	EXPECT(t, !mutex_trylock(&mutex));
	mutex_unlock(&mutex);
	EXPECT(t, !mutex_is_mine(&mutex));
}

struct queue_up {
	struct mutex mutex;
	uint32_t order[6], served;
};

struct customer {
	struct queue_up *shop;
	uint32_t number;
};

static int be_served(void *argument)
{
	struct customer *customer = argument;
	struct queue_up *shop = customer->shop;

	mutex_lock(&shop->mutex);
	shop->order[shop->served++] = customer->number;
	mutex_unlock(&shop->mutex);
	return 0;
}

static unsigned int nr_waiting(struct mutex *mutex)
{
	unsigned long flags = spin_lock_irqsave(&mutex->waiters.lock);
	struct list_node *node;
	unsigned int count = 0;

	list_for_each(node, &mutex->waiters.waiters)
		count++;
	spin_unlock_irqrestore(&mutex->waiters.lock, flags);
	return count;
}

KTEST(mutex, waiters_get_it_in_the_order_in_which_they_came)
{
	struct queue_up shop = {.mutex = MUTEX_INIT(shop.mutex, "test_shop")};
	struct customer customers[6];
	struct thread *threads[6];

	mutex_lock(&shop.mutex);
	for (uint32_t i = 0; i < 6; i++) {
		customers[i] = (struct customer){&shop, i};
		threads[i] = thread_spawn("customer", be_served, &customers[i]);
		REQUIRE(t, !IS_ERR(threads[i]));
		while (nr_waiting(&shop.mutex) != i + 1)
			thread_yield();
	}
	mutex_unlock(&shop.mutex);
	/* Late, and at once: must not get in before those who wait. */
	mutex_lock(&shop.mutex);
	EXPECT_EQ(t, shop.served, 6u);
	mutex_unlock(&shop.mutex);
	for (uint32_t i = 0; i < 6; i++) {
		thread_join(threads[i]);
		EXPECT_EQ(t, shop.order[i], i);
	}
}
