/*
 * The text of the scheduler's trace events. Threads are written down by name: they may be gone when it is read.
 */
#include "kernel/scheduler_trace.h"

#include "lib/string.h"

TRACE_EVENT_DEFINE(sched, sched_switch,
		   "prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%c ==> next_comm=%s next_pid=%d next_prio=%d",
		   r->prev_comm, r->prev_pid, r->prev_prio, r->prev_state, r->next_comm, r->next_pid, r->next_prio);
TRACE_EVENT_DEFINE(sched, sched_wakeup, "comm=%s pid=%d prio=%d target_cpu=%03d", r->comm, r->pid, r->prio,
		   r->target_cpu);

static int32_t priority_of(const struct thread *thread)
{
	return thread->urgent ? 100 : 120;
}

static char state_of(const struct thread *thread)
{
	switch (thread->state) {
	case THREAD_RUNNABLE:
		return 'R';
	case THREAD_DEAD:
		return 'X';
	default:
		return 'S';
	}
}

void trace_sched_switch_emit(const struct thread *previous, const struct thread *next)
{
	struct trace_record_sched_switch record = {
		.prev_pid = (int32_t)previous->id,
		.prev_prio = priority_of(previous),
		.prev_state = state_of(previous),
		.next_pid = (int32_t)next->id,
		.next_prio = priority_of(next),
	};

	string_copy(record.prev_comm, previous->name, sizeof(record.prev_comm));
	string_copy(record.next_comm, next->name, sizeof(record.next_comm));
	trace_emit(&trace_event_sched_switch, &record);
}

void trace_sched_wakeup_emit(const struct thread *thread, int cpu)
{
	struct trace_record_sched_wakeup record = {
		.pid = (int32_t)thread->id, .prio = priority_of(thread), .target_cpu = cpu};

	string_copy(record.comm, thread->name, sizeof(record.comm));
	trace_emit(&trace_event_sched_wakeup, &record);
}
