/*
 * The scheduler's trace events, with Linux's names, fields and text (system "sched"). Who is urgent has priority 100,
 * everybody else 120.
 */
#pragma once

#include "kernel/thread_internal.h"
#include "kernel/trace.h"

TRACE_EVENT_DECLARE(sched_switch, char prev_comm[THREAD_NAME_SIZE]; int32_t prev_pid; int32_t prev_prio;
		    char prev_state; char next_comm[THREAD_NAME_SIZE]; int32_t next_pid; int32_t next_prio;);
TRACE_EVENT_DECLARE(sched_wakeup, char comm[THREAD_NAME_SIZE]; int32_t pid; int32_t prio; int32_t target_cpu;);

void trace_sched_switch_emit(const struct thread *previous, const struct thread *next);
void trace_sched_wakeup_emit(const struct thread *thread, int cpu);

/* This CPU leaves @previous, whose state says why, for @next. Interrupts off. */
static inline void trace_sched_switch(const struct thread *previous, const struct thread *next)
{
	if (trace_enabled(sched_switch))
		trace_sched_switch_emit(previous, next);
}

/* @thread can run, and waits in @cpu's queue. Interrupts off. */
static inline void trace_sched_wakeup(const struct thread *thread, int cpu)
{
	if (trace_enabled(sched_wakeup))
		trace_sched_wakeup_emit(thread, cpu);
}
