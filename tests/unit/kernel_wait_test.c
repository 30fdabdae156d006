/*
 * Wait queues, completions and mutexes between threads.
 */
#include "kernel/ktest.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/atomic.h"

KTEST(wait, a_timeout_passes_when_nobody_wakes)
{
	struct wait_queue queue = WAIT_QUEUE_INIT(queue);
	uint64_t start = time_ns();

	EXPECT(t, !wait_event_timeout(&queue, false, 5 * NS_PER_MS));
	EXPECT(t, time_ns() - start >= 5 * NS_PER_MS);
	EXPECT(t, list_empty(&queue.waiters));
}

KTEST(wait, a_true_condition_does_not_sleep)
{
	struct wait_queue queue = WAIT_QUEUE_INIT(queue);

	EXPECT(t, wait_event_timeout(&queue, true, 0));
}

KTEST(wait, a_condition_is_looked_at_once_more_when_time_is_up)
{
	struct wait_queue queue = WAIT_QUEUE_INIT(queue);
	int looks = 0;

	EXPECT(t, wait_event_timeout(&queue, ++looks == 3, 0));
	EXPECT_EQ(t, looks, 3);
}

struct relay {
	struct wait_queue queue;
	uint32_t turn, rounds, players;
};

struct relay_player {
	struct relay *relay;
	uint32_t number;
};

/* Every player waits for its turn and passes it on: a lost wake-up would hang. */
static int relay_play(void *argument)
{
	struct relay_player *player = argument;
	struct relay *relay = player->relay;

	for (uint32_t round = 0; round < relay->rounds; round++) {
		uint32_t mine = round * relay->players + player->number;

		if (!wait_event_timeout(&relay->queue, load_acquire(&relay->turn) == mine, 20 * NS_PER_S))
			return -ETIMEDOUT;
		store_release(&relay->turn, mine + 1);
		wake_up_all(&relay->queue);
	}
	return 0;
}

KTEST(wait, no_wake_up_is_lost_in_a_relay)
{
	struct relay relay = {.queue = WAIT_QUEUE_INIT(relay.queue), .rounds = 300, .players = 4};
	struct relay_player players[4];
	struct thread *threads[4];

	for (uint32_t i = 0; i < 4; i++) {
		players[i] = (struct relay_player){&relay, i};
		threads[i] = thread_spawn("relay", relay_play, &players[i]);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (uint32_t i = 0; i < 4; i++)
		EXPECT_OK(t, thread_join(threads[i]));
	EXPECT_EQ(t, relay.turn, 1200u);
}

static int wait_for_completion(void *completion)
{
	return completion_wait(completion, 20 * NS_PER_S) ? 0 : -ETIMEDOUT;
}

KTEST(wait, a_completion_lets_all_waiters_go)
{
	struct completion completion;
	struct thread *threads[3];

	completion_init(&completion);
	EXPECT(t, !completion_wait(&completion, NS_PER_MS));
	for (int i = 0; i < 3; i++) {
		threads[i] = thread_spawn("waiter", wait_for_completion, &completion);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	completion_done(&completion);
	for (int i = 0; i < 3; i++)
		EXPECT_OK(t, thread_join(threads[i]));
	EXPECT(t, completion_wait(&completion, 0));
}

struct counted {
	struct mutex mutex;
	uint64_t value;  /* not atomic: the mutex must do */
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
