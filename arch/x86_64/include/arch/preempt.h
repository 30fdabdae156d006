/*
 * Turning preemption off and on: one instruction each, for the hot paths that pin themselves to a CPU.
 */
#pragma once

#include <arch/percpu.h>

#include "kernel/panic.h"

/* The scheduler's: a switch was asked for while preemption was off. */
void preempt_catch_up(void);

static ALWAYS_INLINE void preempt_disable(void)
{
	percpu_preempt_add(1);
	barrier();
}

static ALWAYS_INLINE void preempt_enable(void)
{
	barrier();
	DEBUG_ASSERT(percpu_preempt_count() > 0, "preempt_enable() without preempt_disable()");
	percpu_preempt_add(-1);
	if (unlikely(percpu_need_resched()))
		preempt_catch_up();
}
