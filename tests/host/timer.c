/*
 * Timers of the hosted build: one POSIX thread that sleeps until the first deadline. Its functions run on it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "kernel/time.h"
#include "lib/atomic.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_t timer_thread;
static struct list_node timers = LIST_INIT(timers);
static struct timer *running;

static struct timer *first(void)
{
	return list_empty(&timers) ? NULL : list_first_entry(&timers, struct timer, node);
}

static void run_first(void)
{
	struct timer *timer = first();

	list_del(&timer->node);
	store_relaxed(&timer->cpu, -1);
	running = timer;
	pthread_mutex_unlock(&mutex);
	timer->expire(timer);
	pthread_mutex_lock(&mutex);
	running = NULL;
	pthread_cond_broadcast(&changed);
}

static void *timer_main(void *argument UNUSED)
{
	pthread_mutex_lock(&mutex);
	for (;;) {
		struct timer *next = first();

		if (!next) {
			pthread_cond_wait(&changed, &mutex);
		} else if (next->deadline_ns <= time_ns()) {
			run_first();
		} else {
			struct timespec until = {next->deadline_ns / NS_PER_S, next->deadline_ns % NS_PER_S};

			pthread_cond_timedwait(&changed, &mutex, &until);
		}
	}
	return NULL;
}

static void start(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attributes);
	pthread_create(&timer_thread, NULL, timer_main, NULL);
}

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
	list_init(&timer->node);
	timer->expire = expire;
	timer->deadline_ns = 0;
	timer->cpu = -1;
}

static bool remove_armed(struct timer *timer)
{
	if (timer->cpu < 0)
		return false;
	list_del(&timer->node);
	store_relaxed(&timer->cpu, -1);
	return true;
}

static void wait_until_run(struct timer *timer)
{
	while (running == timer && !pthread_equal(pthread_self(), timer_thread))
		pthread_cond_wait(&changed, &mutex);
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	struct list_node *before;

	pthread_once(&started, start);
	pthread_mutex_lock(&mutex);
	remove_armed(timer);
	timer->deadline_ns = deadline_ns;
	store_relaxed(&timer->cpu, 0);
	before = timers.prev;
	while (before != &timers && list_entry(before, struct timer, node)->deadline_ns > deadline_ns)
		before = before->prev;
	list_insert_between(&timer->node, before, before->next);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

bool timer_cancel(struct timer *timer)
{
	bool was_armed;

	pthread_once(&started, start);
	pthread_mutex_lock(&mutex);
	was_armed = remove_armed(timer);
	wait_until_run(timer);
	pthread_mutex_unlock(&mutex);
	return was_armed;
}
