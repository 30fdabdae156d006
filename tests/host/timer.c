/*
 * The hosted timer interrupt: one POSIX thread that sleeps until the deadline that kernel/timer.c last set.
 *
 * It stands for the one-shot timer of the only CPU that has timers here; their functions run on it, "in an interrupt".
 */
#include <pthread.h>

#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "kernel/time.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static uint64_t next_ns = UINT64_MAX;

/* Returns when the deadline has passed; it is then used up. */
static void wait_for_deadline(void)
{
	pthread_mutex_lock(&mutex);
	while (time_ns() < next_ns) {
		struct timespec until = {(time_t)(next_ns / NS_PER_S), (long)(next_ns % NS_PER_S)};

		if (next_ns == UINT64_MAX)
			pthread_cond_wait(&changed, &mutex);
		else
			pthread_cond_timedwait(&changed, &mutex, &until);
	}
	next_ns = UINT64_MAX;
	pthread_mutex_unlock(&mutex);
}

static void *timer_main(void *argument UNUSED)
{
	for (;;) {
		wait_for_deadline();
		interrupt_enter();
		timer_interrupt();
		interrupt_leave();
	}
	return NULL;
}

static void start(void)
{
	pthread_condattr_t attributes;
	pthread_t thread;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attributes);
	if (pthread_create(&thread, NULL, timer_main, NULL) != 0)
		panic("the hosted timer thread cannot be made");
	pthread_detach(thread);
}

void arch_timer_set(uint64_t deadline_ns)
{
	pthread_once(&started, start);
	pthread_mutex_lock(&mutex);
	next_ns = deadline_ns;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

unsigned int timer_home(void)
{
	return 0;
}
