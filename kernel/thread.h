/*
 * Kernel threads: preemptive, on all CPUs; in the hosted build POSIX threads behind the same calls.
 *
 * A thread runs until its function returns, and lives until it is joined. Stacks are guarded. Threads never run in
 * interrupt context; `preempt_disable` nests and pins the caller to its CPU.
 */
#pragma once

#include <arch/preempt.h>

#include "lib/compiler.h"
#include "lib/format.h"

#define THREAD_NAME_SIZE 16
#define THREAD_ANY_CPU	 (-1)

/* What higher layers hang on a thread; each slot has one owner, named here. NULL at birth, see thread_on_spawn(). */
enum thread_slot { THREAD_SLOT_CGROUP, THREAD_SLOT_MM, THREAD_SLOT_ALLOC_FLAGS, THREAD_SLOT_TEST, THREAD_SLOTS };

struct thread;

/* @run starts at once, on @cpu only or on any. A thread or ERR_PTR(-ENOMEM). The caller must join it. May sleep. */
struct thread *thread_spawn_on(int cpu, const char *name, int (*run)(void *argument), void *argument) MUST_CHECK;
static inline struct thread *thread_spawn(const char *name, int (*run)(void *), void *argument)
{
	return thread_spawn_on(THREAD_ANY_CPU, name, run, argument);
}
/* Waits for its end and frees it; returns what @run returned. May sleep. */
int thread_join(struct thread *thread);
/*
 * Asks: thread_should_stop() is true for it from now on, its sleep_ns() ends at once, and a wait_event() of it looks at
 * its condition again (which says "|| thread_should_stop()" if the thread may be asked there). thread_join still
 * needed.
 */
void thread_stop(struct thread *thread);
bool thread_should_stop(void);

/*
 * From now on the caller runs as soon as it is woken, before those who wait for their turn; after a slice it waits for
 * one of them. For threads that others depend on and that work in bursts. No effect in the hosted build.
 */
void thread_be_urgent(void);

struct thread *thread_current(void);
const char *thread_name(const struct thread *thread);
uint32_t thread_id(const struct thread *thread);
void **thread_slot(struct thread *thread, enum thread_slot slot);
/* Called for every new thread, in its parent, before it runs (inherit slots); and at its end, in the dying thread. */
void thread_on_spawn(void (*hook)(struct thread *parent, struct thread *child));
void thread_on_exit(void (*hook)(struct thread *dying));

void thread_yield(void);
void sleep_ns(uint64_t ns);

/* preempt_disable() and preempt_enable() are in <arch/preempt.h>. */
bool preemptible(void); /* may sleep here: no lock, no preempt_disable, no interrupt */
bool in_interrupt(void);

/* A line per thread: id, name, state, cpu, run time. */
void thread_show_all(struct sink *out);
