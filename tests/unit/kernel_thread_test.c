/*
 * Threads: born, named, stopped, joined; thousands of them.
 */
#include "kernel/thread.h"

#include "kernel/ktest.h"
#include "kernel/mutex.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/string.h"

static int answer(void *argument)
{
	return *(int *)argument;
}

KTEST(thread, join_gives_what_the_function_returned)
{
	int value = -1234;
	struct thread *thread = thread_spawn("answer", answer, &value);

	REQUIRE(t, !IS_ERR(thread));
	EXPECT_EQ(t, thread_join(thread), -1234);
}

static int compare_names(void *argument UNUSED)
{
	return strcmp(thread_name(thread_current()), "a long name, cu");
}

KTEST(thread, has_a_name_and_a_number)
{
	struct thread *first = thread_spawn("a long name, cut", compare_names, NULL);
	struct thread *second = thread_spawn("a long name, cut", compare_names, NULL);

	REQUIRE(t, !IS_ERR(first));
	REQUIRE(t, !IS_ERR(second));
	EXPECT(t, thread_id(first) != thread_id(second));
	EXPECT(t, thread_id(thread_current()) != thread_id(first));
	EXPECT_EQ(t, thread_join(first), 0);
	EXPECT_EQ(t, thread_join(second), 0);
}

static int count_one(void *argument)
{
	atomic_inc((uint32_t *)argument);
	return 0;
}

KTEST(thread, thousands_are_spawned_and_joined)
{
	struct thread *threads[8];
	uint32_t count = 0;

	for (int round = 0; round < 250; round++) {
		for (int i = 0; i < 8; i++) {
			threads[i] = thread_spawn("one", count_one, &count);
			REQUIRE(t, !IS_ERR(threads[i]));
		}
		for (int i = 0; i < 8; i++)
			EXPECT_EQ(t, thread_join(threads[(i + round) % 8]), 0);
	}
	EXPECT_EQ(t, count, 2000u);
}

static int spawn_more(void *argument)
{
	struct thread *thread = thread_spawn("leaf", count_one, argument);

	return IS_ERR(thread) ? -ENOMEM : thread_join(thread);
}

KTEST(thread, a_thread_may_spawn_and_join_others)
{
	struct thread *threads[4];
	uint32_t count = 0;

	for (int i = 0; i < 4; i++) {
		threads[i] = thread_spawn("branch", spawn_more, &count);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < 4; i++)
		EXPECT_OK(t, thread_join(threads[i]));
	EXPECT_EQ(t, count, 4u);
}

/* ---- hooks and slots ---- */

static uint32_t hooked;

static void inherit(struct thread *parent, struct thread *child)
{
	*thread_slot(child, THREAD_SLOT_TEST) = *thread_slot(parent, THREAD_SLOT_TEST);
}

static void note_end(struct thread *dying)
{
	if (*thread_slot(dying, THREAD_SLOT_TEST) == &hooked)
		atomic_inc(&hooked);
}

static int check_inherited(void *argument UNUSED)
{
	return *thread_slot(thread_current(), THREAD_SLOT_TEST) == &hooked ? 0 : -EINVAL;
}

KTEST(thread, hooks_see_birth_and_end)
{
	static bool registered;
	struct thread *thread;

	if (!registered) {
		thread_on_spawn(inherit);
		thread_on_exit(note_end);
		registered = true;
	}
	hooked = 0;
	*thread_slot(thread_current(), THREAD_SLOT_TEST) = &hooked;
	thread = thread_spawn("heir", check_inherited, NULL);
	*thread_slot(thread_current(), THREAD_SLOT_TEST) = NULL;
	REQUIRE(t, !IS_ERR(thread));
	EXPECT_OK(t, thread_join(thread));
	EXPECT_EQ(t, hooked, 1u);
}

/* ---- sleeping and stopping ---- */

KTEST(thread, sleeps_at_least_as_long_as_asked)
{
	for (uint64_t ns = NS_PER_US; ns <= 4 * NS_PER_MS; ns *= 4) {
		uint64_t start = time_ns();

		sleep_ns(ns);
		EXPECT(t, time_ns() - start >= ns);
	}
}

static int sleep_long(void *argument UNUSED)
{
	sleep_ns(100 * NS_PER_S);
	return thread_should_stop();
}

KTEST(thread, stopping_ends_a_sleep)
{
	struct thread *thread = thread_spawn("sleeper", sleep_long, NULL);
	uint64_t start = time_ns();

	REQUIRE(t, !IS_ERR(thread));
	sleep_ns(NS_PER_MS);
	thread_stop(thread);
	EXPECT_EQ(t, thread_join(thread), 1);
	EXPECT(t, time_ns() - start < 50 * NS_PER_S);
}

struct stopped_in_condition {
	struct wait_queue queue;
	struct mutex mutex;
	uint32_t looks;
};

/*
 * The second look, on the queue already, reads the stop first and then sleeps on a mutex, which uses up the unblocking
 * that the stop causes.
 */
static bool look(struct stopped_in_condition *at)
{
	bool stop = thread_should_stop();

	if (atomic_add_return(&at->looks, 1) == 2) {
		mutex_lock(&at->mutex);
		mutex_unlock(&at->mutex);
	}
	return stop;
}

static int wait_for_stop(void *argument)
{
	struct stopped_in_condition *at = argument;

	return wait_event_timeout(&at->queue, look(at), 10 * NS_PER_S) ? 0 : -ETIMEDOUT;
}

KTEST(thread, a_stop_is_not_lost_in_a_condition_that_sleeps)
{
	struct stopped_in_condition at = {.queue = WAIT_QUEUE_INIT(at.queue),
					  .mutex = MUTEX_INIT(at.mutex, "test_look")};
	uint64_t start = time_ns();
	struct thread *thread;

	mutex_lock(&at.mutex);
	thread = thread_spawn("waiter", wait_for_stop, &at);
	if (IS_ERR(thread)) {
		mutex_unlock(&at.mutex);
		REQUIRE(t, false);
	}
	while (load_acquire(&at.looks) < 2)
		thread_yield();
	sleep_ns(NS_PER_MS); /* it waits for the mutex by now */
	thread_stop(thread);
	sleep_ns(NS_PER_MS);
	mutex_unlock(&at.mutex);
	EXPECT_OK(t, thread_join(thread));
	EXPECT(t, time_ns() - start < 5 * NS_PER_S);
}

struct counting_sink {
	struct sink sink;
	size_t lines;
};

static void count_lines(struct sink *sink, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		container_of(sink, struct counting_sink, sink)->lines += text[i] == '\n';
}

KTEST(thread, all_are_shown)
{
	struct counting_sink counting = {.sink = {.write = count_lines}};

	thread_show_all(&counting.sink);
	EXPECT(t, counting.lines >= 1);
}
