/*
 * What arch/ calls in the scheduler, and what the scheduler needs of arch/. Nobody else includes this.
 */
#pragma once

#include "kernel/machine.h"
#include "kernel/thread.h"

/* ---- provided by kernel/ (thread.c, timer.c), called by arch/ and init/ ---- */

/* The running context of the boot CPU becomes thread 0 "init"; its idle thread is made. kmalloc works. */
void scheduler_init(void);
/* Makes the idle thread of @cpu ahead of starting it; the top of its stack, 16-byte aligned. 0: no memory. */
uint64_t scheduler_prepare_cpu(unsigned int cpu);
/* The last thing an application processor calls, on that stack, interrupts off: it is now the idle thread. */
void scheduler_enter_cpu(void) NORETURN;
/* What all CPUs' idle threads have run so far: for /proc/uptime. */
uint64_t scheduler_idle_ns(void);
/* Around every interrupt handler (not exceptions), interrupts off. Leaving may switch threads. */
void interrupt_enter(void);
void interrupt_leave(void);
/* From the timer interrupt: runs expired timers, sets the next. */
void timer_interrupt(void);
/* The CPU in whose queue timers go that are armed here (hosted: the timer thread's). Interrupts off. */
unsigned int timer_home(void);
/* From the reschedule interrupt: nothing else to do than what interrupt_leave() does. */

/* ---- the primitive under wait queues and mutexes; POSIX threads provide it in the hosted build ---- */

/*
 * Sleeps until thread_unblock() on the caller or until @deadline_ns; an unblock that came before is not lost, it makes
 * the next block return at once. False: the deadline passed. May return true without cause: callers loop.
 */
bool thread_block(uint64_t deadline_ns);
/* Any context. */
void thread_unblock(struct thread *thread);

/* ---- provided by arch/x86_64/, called by kernel/ ---- */

/* Saved callee-saved registers live on the stack; this is all that is needed. */
struct thread_context {
	uint64_t stack_pointer;
};
/* Saves into @from, continues @to. Interrupts off. */
void arch_switch(struct thread_context *from, struct thread_context *to);
/* A context that, switched to, calls @start(@argument) with interrupts off on the stack that ends at @stack_top. */
void arch_context_init(struct thread_context *context, uint64_t stack_top, void (*start)(void *), void *argument);
/* A kernel stack with an unmapped page below; the top. 0: no memory. May sleep. STACK_BYTES is its size. */
#define STACK_BYTES 16384ul
uint64_t arch_stack_alloc(void);
void arch_stack_free(uint64_t stack_top);
/* The next timer interrupt of this CPU at @deadline_ns (time_ns' clock; UINT64_MAX: none). */
void arch_timer_set(uint64_t deadline_ns);
/* Makes @cpu run interrupt_leave() soon. */
void arch_reschedule(unsigned int cpu);
/* Enables interrupts and halts, without a gap between; returns after an interrupt, interrupts on. */
void arch_idle(void);
/* The CPU's thread pointer, preempt count and interrupt depth are in the per-CPU block: <arch/percpu.h>. */
