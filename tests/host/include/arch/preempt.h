/*
 * The host preempts as it likes; what is counted is whether the code under test keeps its pairs.
 */
#pragma once

#include "kernel/panic.h"

extern __thread int host_preempt_depth;

static ALWAYS_INLINE void preempt_disable(void)
{
	host_preempt_depth++;
}

static ALWAYS_INLINE void preempt_enable(void)
{
	DEBUG_ASSERT(host_preempt_depth > 0, "preempt_enable() without preempt_disable()");
	host_preempt_depth--;
}
