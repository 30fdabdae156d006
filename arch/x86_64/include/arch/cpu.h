/*
 * The few things about the CPU that the machine-independent folders may use. The hosted build has its own.
 */
#pragma once

#include "lib/compiler.h"

#define MAX_CPUS 64

/* First member of the per-CPU block that GS points to (<arch/percpu.h>). */
static ALWAYS_INLINE unsigned int cpu_id(void)
{
	unsigned int id;

	/* volatile: a thread may move between two reads; stable only with preemption off. */
	__asm__ volatile("movl %%gs:0, %0" : "=r"(id));
	return id;
}

/* The same; always known here, negative where it is not (hosted). */
static ALWAYS_INLINE int cpu_id_if_known(void)
{
	unsigned int id = cpu_id();

	if (id >= MAX_CPUS)
		__builtin_unreachable();
	return (int)id;
}

/* The node of this CPU (percpu.h: node). */
static ALWAYS_INLINE unsigned int cpu_this_node(void)
{
	unsigned int node;

	__asm__ volatile("movl %%gs:36, %0" : "=r"(node));
	return node;
}

/*
 * In every loop that waits for another CPU. Pauses at every 256th turn only: under QEMU's multi-threaded TCG each pause
 * takes the lock that all devices share, and a CPU that does little else starves the one it waits for (measured:
 * starting three CPUs 125 ms, so 1.3 ms). Never to pause would not do: with -icount, only a pause lets another CPU run.
 */
static ALWAYS_INLINE void cpu_relax(void)
{
	/* percpu.h: relax_turns */
	__asm__ volatile("decl %%gs:40; jns 1f; movl $255, %%gs:40; pause; 1:" ::: "memory", "cc");
}

/* Disables interrupts on this CPU; gives the state from before to restore. */
static ALWAYS_INLINE unsigned long cpu_irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
	return flags;
}

static ALWAYS_INLINE void cpu_irq_restore(unsigned long flags)
{
	if (flags & 0x200)
		__asm__ volatile("sti" ::: "memory");
}

static ALWAYS_INLINE bool cpu_irqs_enabled(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
	return flags & 0x200;
}

/* The cycle counter; its rate is known to kernel/time.h only. */
static ALWAYS_INLINE uint64_t cpu_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}
