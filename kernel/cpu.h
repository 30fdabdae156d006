/*
 * CPUs: how many, which one, and calling another.
 */
#pragma once

#include <arch/cpu.h> /* MAX_CPUS, cpu_id(), cpu_this_node(), cpu_relax(), interrupt state */

/* CPUs that run; indices 0..cpu_count()-1 without gaps. Fixed once boot is over. */
unsigned int cpu_count(void);
/* The NUMA node of a CPU. */
unsigned int cpu_node(unsigned int cpu);

/* Runs @function on @cpu in interrupt context and waits until it has. Interrupts must be on. */
void cpu_call(unsigned int cpu, void (*function)(void *argument), void *argument);
/* On all CPUs of a mask, and on all: this one too if it is among them. */
void cpu_call_mask(uint64_t cpus, void (*function)(void *argument), void *argument);
void cpu_call_all(void (*function)(void *argument), void *argument);
/*
 * On return @cpu has passed a full memory barrier since the call. With it one side of a two-sided handshake can do
 * without a barrier of its own. Same conditions as cpu_call().
 */
void cpu_barrier(unsigned int cpu);
