/*
 * Traps: exceptions and interrupts from the CPU's entry (entry.S) on.
 */
#pragma once

#ifndef __ASSEMBLY__
#include "lib/compiler.h"

/* What entry.S saves, in the order of the stack. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error; /* error: 0 if the CPU gave none */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* From entry.S, interrupts off. */
void trap_dispatch(struct trap_frame *frame);
/* From trap_dispatch, for vectors from VECTOR_FIRST_EXTERNAL on: irq.c. */
void interrupt_dispatch(uint8_t vector);
/* Fills the IDT; all CPUs share it. */
void trap_init(void);
/* Loads it on this CPU. */
void trap_load(void);
#endif

/* Exceptions we name. */
#define VECTOR_NMI	     2
#define VECTOR_DOUBLE_FAULT  8
#define VECTOR_GENERAL	     13
#define VECTOR_PAGE_FAULT    14
#define VECTOR_MACHINE_CHECK 18

/* 32..47: where the PICs are moved to (and masked); 48..0xef: lines and messages; above: the local APIC's own. */
#define VECTOR_FIRST_EXTERNAL 32
#define VECTOR_PIC	      32
#define VECTOR_PIC_END	      48
#define VECTOR_DEVICE	      48
#define VECTOR_DEVICE_END     0xf0
#define VECTOR_TIMER	      0xf0
#define VECTOR_RESCHEDULE     0xf1
#define VECTOR_CALL	      0xf2
#define VECTOR_WAKE	      0xf3 /* only ends a halt */
#define VECTOR_APIC_ERROR     0xfe
#define VECTOR_SPURIOUS	      0xff
