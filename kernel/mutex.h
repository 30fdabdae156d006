/*
 * Mutexes: owned by a thread, may be held while sleeping, not from interrupts. Fair: waiters get it in order.
 */
#pragma once

#include "kernel/wait.h"

struct thread;

struct mutex {
	struct thread *owner; /* NULL: free */
	const char *name;     /* lock class, as for spin locks */
	struct wait_queue waiters;
};

#define MUTEX_INIT(mutex, class)                                                            \
	{                                                                                   \
		.owner = NULL, .name = (class), .waiters = WAIT_QUEUE_INIT((mutex).waiters) \
	}

void mutex_init(struct mutex *mutex, const char *name);
/* May sleep. */
void mutex_lock(struct mutex *mutex);
bool mutex_trylock(struct mutex *mutex) MUST_CHECK;
void mutex_unlock(struct mutex *mutex);
bool mutex_is_mine(const struct mutex *mutex);
