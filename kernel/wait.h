/*
 * Waiting for a condition, with or without a time-out.
 *
 * The waker first makes the condition true, then wakes; the waiter is on the queue before it looks. wake_up* may be
 * called from interrupts and with spin locks held; waiting may not.
 */
#pragma once

#include "kernel/spinlock.h"
#include "lib/list.h"

#define WAIT_FOREVER UINT64_MAX

struct thread;

struct wait_queue {
	struct spinlock lock;
	struct list_node waiters; /* struct waiter, first come first */
};

struct waiter {
	struct list_node node;
	struct thread *thread;
	bool woken;
	bool stopping; /* the thread had been asked to stop before it began to wait */
};

#define WAIT_QUEUE_INIT(queue)                                                             \
	{                                                                                  \
		.lock = SPINLOCK_INIT("wait_queue"), .waiters = LIST_INIT((queue).waiters) \
	}

void wait_queue_init(struct wait_queue *queue);

/*
 * The three steps behind wait_event(); for loops that need more. wait_sleep returns false once @deadline_ns passed,
 * true when woken or when the thread is asked to stop; wait_finish is due in any case.
 */
void wait_prepare(struct wait_queue *queue, struct waiter *waiter);
bool wait_sleep(struct waiter *waiter, uint64_t deadline_ns);
void wait_finish(struct wait_queue *queue, struct waiter *waiter);

/*
 * The first waiter, or all. True if there was one. Who waits for one of several things and was woken by wake_up() for a
 * second one while it took the first passes the wake-up on: it wakes again if there is more (see kernel/work.c).
 */
bool wake_up(struct wait_queue *queue);
void wake_up_all(struct wait_queue *queue);

/* time_ns() + @timeout_ns, saturating. */
uint64_t wait_deadline(uint64_t timeout_ns);

/* Sleeps until @condition; evaluates it again after every wake-up. True, or false if @timeout_ns passed first. */
#define wait_event_timeout(queue, condition, timeout_ns)                       \
	({                                                                     \
		struct waiter _waiter;                                         \
		uint64_t _deadline = wait_deadline(timeout_ns);                \
		bool _true = (condition);                                      \
		while (!_true) {                                               \
			bool _time_left;                                       \
			wait_prepare((queue), &_waiter);                       \
			_true = (condition);                                   \
			_time_left = _true || wait_sleep(&_waiter, _deadline); \
			wait_finish((queue), &_waiter);                        \
			if (!_true)                                            \
				_true = (condition);                           \
			if (!_time_left)                                       \
				break;                                         \
		}                                                              \
		_true;                                                         \
	})
#define wait_event(queue, condition) ((void)wait_event_timeout((queue), (condition), WAIT_FOREVER))

/* Done once, waited for by any number. Who saw it done through completion_wait() may free it. */
struct completion {
	bool done;
	struct wait_queue queue;
};
void completion_init(struct completion *completion);
void completion_done(struct completion *completion);
/* True, or false if @timeout_ns passed first. */
bool completion_wait(struct completion *completion, uint64_t timeout_ns);
