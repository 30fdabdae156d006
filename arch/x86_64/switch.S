/*
 * Switching between threads: what the calling convention makes the callee keep goes on the old stack, then the stack
 * pointer changes. Interrupts are off on both sides, so flags need no saving.
 */
	.text
/* void arch_switch(struct thread_context *from, struct thread_context *to) */
	.globl arch_switch
arch_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq (%rsi), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/* Where a new context (context.c) begins: %rbx is the function, %r12 its argument, the stack aligned and at its top. */
	.globl context_begin
context_begin:
	movq %r12, %rdi
	call *%rbx
	ud2

	.section .note.GNU-stack, "", @progbits
