/*
 * The hosted CPU: a thread of the host has an index of its own for as long as it lives (tests/host/cpu.c).
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

static ALWAYS_INLINE void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static ALWAYS_INLINE unsigned long cpu_irq_save(void)
{
	return 0;
}

static ALWAYS_INLINE void cpu_irq_restore(unsigned long flags UNUSED)
{
}

static ALWAYS_INLINE bool cpu_irqs_enabled(void)
{
	return true;
}

static ALWAYS_INLINE uint64_t cpu_cycles(void)
{
	return __builtin_ia32_rdtsc();
}
