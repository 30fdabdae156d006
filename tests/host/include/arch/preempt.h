/*
 * The host preempts as it likes; what is counted is whether the code under test keeps its pairs.
 */
#pragma once

#include "kernel/panic.h"

extern __thread int host_preempt_depth;

/*
 * With --disturb: now and then the thread sleeps here, so that rare orders of threads are seen. Not where native speed
 * is measured: a call here takes registers from the code around it.
 */
#ifdef BALLONET_DEBUG
#define HOST_CAN_DISTURB true
#else
#define HOST_CAN_DISTURB false
#endif
extern unsigned int host_disturb_one_in;
void host_sleep_at_random(void);

static ALWAYS_INLINE void host_disturb(void)
{
	if (HOST_CAN_DISTURB && host_disturb_one_in)
		host_sleep_at_random();
}

static ALWAYS_INLINE void preempt_disable(void)
{
	host_disturb();
	host_preempt_depth++;
}

static ALWAYS_INLINE void preempt_enable(void)
{
	DEBUG_ASSERT(host_preempt_depth > 0, "preempt_enable() without preempt_disable()");
	host_preempt_depth--;
	host_disturb();
}
