/*
 * What smp.c and trampoline.S share. Also read by the assembler.
 */
#pragma once

/* As many as there may be CPUs, <arch/cpu.h>. */
#define SMP_MAX_ARRIVALS 64

/* struct arrival: 1 << ARRIVAL_SHIFT bytes. */
#define ARRIVAL_SHIFT 6
#define ARRIVAL_STACK 0

/* Instead of a stack. */
#define ARRIVAL_WAIT   0
#define ARRIVAL_CLOSED 1

#ifndef __ASSEMBLY__
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu_internal.h"

/* How far a processor is; the change away from COMING is made once, by it or by the boot CPU. */
enum arrival_state { ARRIVAL_COMING, ARRIVAL_READY, ARRIVAL_LEFT_OUT };

/* A place in the list of arrivals, for whoever comes next. */
struct arrival {
	uint64_t stack; /* for the way to the scheduler; stored last, when the rest is there */
	struct cpu_block *block;
	uint64_t idle_stack; /* known with its index; 0: not yet */
	uint64_t cycles;     /* its counter when it got ready */
	uint32_t state;
	struct clock_sync sync;
} CACHE_LINE_ALIGNED;

_Static_assert(sizeof(struct arrival) == 1 << ARRIVAL_SHIFT, "trampoline.S");
_Static_assert(offsetof(struct arrival, stack) == ARRIVAL_STACK, "trampoline.S");
_Static_assert(SMP_MAX_ARRIVALS == MAX_CPUS, "trampoline.S");

extern struct arrival smp_arrivals[SMP_MAX_ARRIVALS];
extern uint32_t smp_nr_arrivals;
extern uint64_t smp_control_registers[2]; /* CR0, CR4 of the boot CPU */

/* From trampoline.S. */
void smp_begin(struct arrival *arrival) NORETURN;
/* In trampoline.S: goes on in scheduler_enter_cpu() on that stack. */
void smp_change_stack(uint64_t stack) NORETURN;
#endif
