/*
 * The hosted CPU: a thread of the host has an index of its own for as long as it lives (tests/host/thread.c), so what
 * is per CPU in the guest is per thread here. At most MAX_CPUS threads live at a time; cpu_count() is MAX_CPUS.
 *
 * "Interrupts" are what the timer thread does. cpu_irq_save() keeps none away, it only notes the state for the
 * lock-order checker.
 */
#pragma once

#include "lib/compiler.h"

#define MAX_CPUS 64

/* 0..MAX_CPUS-1, different for all living threads; given at a thread's first call, taken back at its end. */
extern __thread unsigned int host_cpu_index; /* index + 1, 0: none yet */
unsigned int host_cpu_assign(void);

static ALWAYS_INLINE unsigned int cpu_id(void)
{
	return likely(host_cpu_index) ? host_cpu_index - 1 : host_cpu_assign();
}

/* The same without a call: negative if the thread has never asked. */
static ALWAYS_INLINE int cpu_id_if_known(void)
{
	return (int)host_cpu_index - 1;
}

/* The node of this CPU. */
static ALWAYS_INLINE unsigned int cpu_this_node(void)
{
	return 0;
}

extern __thread bool host_irqs_off;
/* Yields now and then: the host may have fewer CPUs than we have threads. */
void host_relax(void);

static ALWAYS_INLINE void cpu_relax(void)
{
	host_relax();
}

static ALWAYS_INLINE unsigned long cpu_irq_save(void)
{
	unsigned long were_on = !host_irqs_off;

	host_irqs_off = true;
	return were_on;
}

static ALWAYS_INLINE void cpu_irq_restore(unsigned long flags)
{
	host_irqs_off = !flags;
}

static ALWAYS_INLINE bool cpu_irqs_enabled(void)
{
	return !host_irqs_off;
}

static ALWAYS_INLINE uint64_t cpu_cycles(void)
{
	return __builtin_ia32_rdtsc();
}
