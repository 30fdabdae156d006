/*
 * Where the CPU enters on exceptions and interrupts.
 *
 * Each vector has a stub of 16 bytes that makes the stack look the same for all (an error code, then the vector) and
 * goes on in trap_common, which completes struct trap_frame (trap.h) and calls trap_dispatch(). There is no user mode:
 * GS is always ours. The CPU aligned the stack before it pushed five words; with error code, vector and 15 registers
 * it is aligned again.
 *
 * Below the frame goes a link as a function's prologue makes it, (rbp, rip) of the interrupted code: so a walk along
 * frame pointers passes through traps without knowing of them.
 */
#include "arch/x86_64/trap.h"

#define FRAME_RBP (8 * 8)
#define FRAME_RIP (17 * 8)

	.text
	.globl trap_stubs
	.balign 16
trap_stubs:
vector = 0
	.rept 256
	.balign 16
	/* The exceptions for which the CPU pushes an error code itself. */
	.if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21 && vector != 29 && vector != 30
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
vector = vector + 1
	.endr

	.balign 16
trap_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	pushq FRAME_RIP(%rdi)
	pushq %rbp
	movq %rsp, %rbp
	call trap_dispatch
	addq $16, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq

/*
 * bool arch_read_safely(uint64_t address, uint64_t *value): trap.c takes a fault at read_safely_access to
 * read_safely_fault instead of panicking.
 */
	.globl arch_read_safely, read_safely_access, read_safely_fault
arch_read_safely:
read_safely_access:
	movq (%rdi), %rax
	movq %rax, (%rsi)
	movl $1, %eax
	ret
read_safely_fault:
	xorl %eax, %eax
	ret

/*
 * int user_copy(void *to, const void *from, size_t bytes): 0, or -EFAULT (mmu.c takes a fault that cannot be resolved
 * from between begin and end to user_copy_fault).
 */
	.globl user_copy, user_copy_begin, user_copy_end, user_copy_fault
user_copy:
user_copy_begin:
	cmpq $8, %rdx
	jb 2f
1:	movq (%rsi), %rax
	movq %rax, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
	subq $8, %rdx
	cmpq $8, %rdx
	jae 1b
2:	testq %rdx, %rdx
	jz 4f
3:	movb (%rsi), %al
	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jnz 3b
4:	xorl %eax, %eax
user_copy_end:
	ret
user_copy_fault:
	movl $-14, %eax
	ret

	.section .note.GNU-stack, "", @progbits
