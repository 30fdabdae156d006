/*
 * Wait queues and completions between threads.
 */
#include "kernel/ktest.h"
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

/* Takers wait with time-outs about as long as the maker needs: wake-ups and time-outs meet. */
struct market {
	struct wait_queue queue;
	uint32_t goods, taken, closed;
};

static bool take_one(struct market *market)
{
	uint32_t goods = load_acquire(&market->goods);

	while (goods > 0)
		if (atomic_cas(&market->goods, &goods, goods - 1))
			return true;
	return false;
}

static int take_goods(void *argument)
{
	struct market *market = argument;
	uint64_t timeout_ns = 0;

	for (;;) {
		bool got = false;

		timeout_ns = (timeout_ns + 7 * NS_PER_US) % (60 * NS_PER_US);
		if (!wait_event_timeout(&market->queue, (got = take_one(market)) || load_acquire(&market->closed),
					timeout_ns))
			continue;
		if (!got)
			return 0;
		atomic_inc(&market->taken);
	}
}

KTEST(wait, time_outs_and_wake_ups_may_meet)
{
	struct market market = {.queue = WAIT_QUEUE_INIT(market.queue)};
	struct thread *threads[3];

	for (int i = 0; i < 3; i++) {
		threads[i] = thread_spawn("taker", take_goods, &market);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 500; i++) {
		atomic_inc(&market.goods);
		wake_up(&market.queue);
		if (i % 16 == 0)
			sleep_ns(30 * NS_PER_US);
	}
	while (load_acquire(&market.taken) < 500)
		sleep_ns(100 * NS_PER_US);
	store_release(&market.closed, 1u);
	wake_up_all(&market.queue);
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
	EXPECT_EQ(t, market.taken, 500u);
	EXPECT(t, list_empty(&market.queue.waiters));
}
