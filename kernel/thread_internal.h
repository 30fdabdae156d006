/*
 * Threads as the scheduler sees them: for scheduler.c, thread.c and lock_order.c.
 */
#pragma once

#include "kernel/lock_order_internal.h"
#include "kernel/scheduler.h"
#include "kernel/time.h"
#include "kernel/wait.h"

enum thread_state { THREAD_RUNNABLE, THREAD_BLOCKED, THREAD_DEAD };

struct thread {
	struct thread_context context;
	struct list_node run_node; /* in a run queue while runnable and not running */
	uint32_t raw_lock;	   /* state and token, against unblocking; taken before a run queue's */
	enum thread_state state;
	bool token;  /* an unblock that no block has used up */
	bool on_cpu; /* running, or its registers are not saved yet: no other CPU may continue it */
	bool stop;
	bool timed_out;
	bool is_idle;
	bool urgent;		/* see thread_be_urgent() */
	uint64_t slice_used_ns; /* before somebody urgent came between */
	int cpu;		/* where it runs or ran last */
	int pinned_cpu;		/* THREAD_ANY_CPU: not pinned */
	struct timer deadline;
	struct completion ended; /* its last switch is done: the stack may go */
	uint64_t stack_top;
	uint64_t run_ns, switched_in_ns;
	int (*run)(void *argument);
	void *argument;
	int result;
	uint32_t id;
	char name[THREAD_NAME_SIZE];
	void *slots[THREAD_SLOTS];
	struct held_locks held;
	struct list_node all; /* in the list of all threads */
};

/* Queues a thread that is runnable and runs nowhere; may interrupt another CPU. Interrupts off. */
void scheduler_enqueue(struct thread *thread);
/* Gives up the CPU; the caller has set its state. Interrupts off; they still are when it returns. */
void schedule(void);
/* Makes @idle (with a stack) the idle thread of @cpu. Before that CPU schedules. */
void scheduler_adopt(int cpu, struct thread *idle);
/* The first lines of a new thread, after the switch to it. */
void scheduler_finish_switch(void);
