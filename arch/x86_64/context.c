/*
 * New threads and idle CPUs.
 *
 * A new context is a stack that looks as if the thread had called arch_switch() from context_begin (switch.S). Above
 * that is a frame link of zeros, where walks along the stack end.
 */
#include "kernel/panic.h"
#include "kernel/scheduler.h"

#include <arch/cpu.h>

void context_begin(void); /* switch.S: not to be called */

/* In the order in which arch_switch() pops it. */
struct switch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp;
	uint64_t return_address;
	uint64_t end_of_chain[2];
};

void arch_context_init(struct thread_context *context, uint64_t stack_top, void (*start)(void *), void *argument)
{
	struct switch_frame *frame = (struct switch_frame *)stack_top - 1;

	ASSERT(IS_ALIGNED(stack_top, 16), "stack top %#lx", stack_top);
	*frame = (struct switch_frame){
		.rbx = (uint64_t)start,
		.r12 = (uint64_t)argument,
		.return_address = (uint64_t)context_begin,
	};
	context->stack_pointer = (uint64_t)frame;
}

void arch_idle(void)
{
	/* An interrupt is held off for one instruction after sti: none can come between it and hlt and be slept over.
	 */
	__asm__ volatile("sti; hlt" ::: "memory");
}
