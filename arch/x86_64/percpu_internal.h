/*
 * Everything arch/x86_64 keeps for a CPU, behind <arch/percpu.h>'s struct percpu, which comes first.
 *
 * The boot CPU's block is in .bss; the others' are allocated by smp.c before they start. Blocks are never freed.
 */
#pragma once

#include "arch/x86_64/trap.h"

#include <arch/cpu.h>
#include <arch/percpu.h>

/* Stacks of their own for what may come when the current one is bad (IST numbers 1..3), see cpu.c. */
enum { IST_DOUBLE_FAULT = 1, IST_NMI, IST_MACHINE_CHECK, NR_IST };
#define IST_STACK_BYTES 8192

/* Selectors; the boot stub's GDT has code and data at the same places. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

struct task_state {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* [n] is IST n + 1 */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} PACKED;

/* A function that another CPU is asked to run (call.c); lives in the asking CPU's block. */
struct cpu_call_request {
	struct cpu_call_request *next;
	void (*function)(void *argument);
	void *argument;
	uint32_t done;
};

/* Where a CPU was when a panic elsewhere stopped it (stop.c). */
struct stopped_at {
	uint64_t rip, rbp;
	bool stopped;
};

/* Counted by this CPU alone, shown by irq_show(). */
struct interrupt_counts {
	uint64_t timer, reschedule, call, spurious, error, unexpected;
};

struct cpu_block {
	struct percpu public;
	struct trap_frame *trap;	/* the exception being handled, innermost; NULL: none */
	int64_t cycle_offset;		/* added to this CPU's cycle counter to agree with the boot CPU's (clock.c) */
	uint64_t timer_deadline_ns;	/* what the local timer is set to; UINT64_MAX: nothing */
	struct cpu_call_request *calls; /* pushed by other CPUs, newest first */
	struct cpu_call_request requests[MAX_CPUS]; /* this CPU's own requests, by target */
	struct stopped_at stopped;
	struct interrupt_counts counts;
	uint64_t gdt[5];
	struct task_state tss;
	char ist_stacks[NR_IST - 1][IST_STACK_BYTES] ALIGNED(16);
};

_Static_assert(offsetof(struct cpu_block, public) == 0, "GS points to the block");

/* All blocks by index; [0, cpu_count()) are there. */
extern struct cpu_block *cpu_blocks[MAX_CPUS];

static ALWAYS_INLINE struct cpu_block *this_cpu_block(void)
{
	return (struct cpu_block *)PERCPU_READ(struct percpu *, 8);
}

/* Fills a block (zeroed by the caller). */
void cpu_block_init(struct cpu_block *block, uint32_t cpu, uint32_t apic_id, uint32_t node);
/* On the CPU itself: GDT, TSS, IDT and GS from its block. */
void cpu_block_load(struct cpu_block *block);
/* Adds running CPUs to cpu_count(): smp.c, once their blocks are in cpu_blocks[]. */
void cpu_set_count(unsigned int count);
