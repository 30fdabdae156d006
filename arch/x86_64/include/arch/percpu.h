/*
 * The block of this CPU, behind GS.
 *
 * GS points to it from cpu_early_init() on (application processors: before their first line of C). The scheduler's
 * words come first and are reached by one instruction each, so that an interrupt cannot come between: a thread that may
 * move to another CPU can read its own thread pointer and change its preempt count without turning anything off.
 * Everything else is private to arch/x86_64/percpu_internal.h.
 */
#pragma once

#include "lib/compiler.h"

struct thread;

struct percpu {
	/* Offsets are fixed: <arch/cpu.h>, the accessors below and assembly use them. */
	uint32_t cpu;		  /* 0:  index */
	uint32_t apic_id;	  /* 4 */
	struct percpu *self;	  /* 8:  this block's address */
	struct thread *thread;	  /* 16: the running thread; the scheduler's */
	uint32_t preempt_count;	  /* 24: above 0: the thread stays; the scheduler's */
	uint32_t interrupt_depth; /* 28: interrupt handlers on the stack; the scheduler's */
	uint32_t need_resched;	  /* 32: switch at the next chance; the scheduler's */
	uint32_t node;		  /* 36 */
	uint32_t relax_turns;	  /* 40: until cpu_relax() pauses again */
};

#define PERCPU_READ(type, offset)                                                  \
	({                                                                         \
		type _value;                                                       \
		__asm__ volatile("mov %%gs:%c1, %0" : "=r"(_value) : "i"(offset)); \
		_value;                                                            \
	})
#define PERCPU_WRITE(type, offset, value) \
	__asm__ volatile("mov %0, %%gs:%c1" ::"r"((type)(value)), "i"(offset) : "memory")
#define PERCPU_ADD32(offset, value) \
	__asm__ volatile("addl %0, %%gs:%c1" ::"er"((uint32_t)(value)), "i"(offset) : "memory", "cc")

/* The same on every CPU that asks for the same thread; no need to turn preemption off. */
static ALWAYS_INLINE struct thread *percpu_thread(void)
{
	return PERCPU_READ(struct thread *, 16);
}
static ALWAYS_INLINE void percpu_set_thread(struct thread *thread)
{
	PERCPU_WRITE(struct thread *, 16, thread);
}

static ALWAYS_INLINE uint32_t percpu_preempt_count(void)
{
	return PERCPU_READ(uint32_t, 24);
}
static ALWAYS_INLINE void percpu_set_preempt_count(uint32_t count)
{
	PERCPU_WRITE(uint32_t, 24, count);
}
static ALWAYS_INLINE void percpu_preempt_add(int delta)
{
	PERCPU_ADD32(24, delta);
}

static ALWAYS_INLINE uint32_t percpu_interrupt_depth(void)
{
	return PERCPU_READ(uint32_t, 28);
}
static ALWAYS_INLINE void percpu_interrupt_add(int delta)
{
	PERCPU_ADD32(28, delta);
}

static ALWAYS_INLINE bool percpu_need_resched(void)
{
	return PERCPU_READ(uint32_t, 32) != 0;
}
static ALWAYS_INLINE void percpu_set_need_resched(bool need)
{
	PERCPU_WRITE(uint32_t, 32, need);
}

/* Another CPU's block, or this one's; for reading what may change at any time (diagnostics), and for need_resched. */
struct percpu *percpu_of(unsigned int cpu);

_Static_assert(offsetof(struct percpu, cpu) == 0, "cpu_id() reads it");
_Static_assert(offsetof(struct percpu, self) == 8, "offset");
_Static_assert(offsetof(struct percpu, thread) == 16, "offset");
_Static_assert(offsetof(struct percpu, preempt_count) == 24, "offset");
_Static_assert(offsetof(struct percpu, interrupt_depth) == 28, "offset");
_Static_assert(offsetof(struct percpu, need_resched) == 32, "offset");
_Static_assert(offsetof(struct percpu, node) == 36, "cpu_this_node() reads it");
_Static_assert(offsetof(struct percpu, relax_turns) == 40, "offset");
