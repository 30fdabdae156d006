/*
 * The first instructions of an application processor: from real mode, at the start of a page below 1 MiB (smp.c has
 * copied this there and filled in the blanks), straight into long mode on the kernel's page tables.
 *
 * There is no stack yet, and all processors come at once: each takes the next place in the list of arrivals, and finds
 * a stack and a block there, or that it came too late.
 */
#include "arch/x86_64/smp_internal.h"

#define CODE_64 8
#define AT(symbol) ((symbol) - trampoline_start)

	.section .rodata
	.globl trampoline_start, trampoline_end, trampoline_gdt_base, trampoline_cr3, trampoline_target
	.balign 16
	.code16
trampoline_start:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl AT(trampoline_gdt_pointer)
	movl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl AT(trampoline_cr3), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax /* long mode, no-execute */
	wrmsr
	movl $0x80010033, %eax /* paging, write protect, numeric errors, protection; caches on */
	movl %eax, %cr0
	ljmpl *AT(trampoline_target)

	.balign 8
trampoline_gdt: /* accessed already: the page is read-only to the CPU */
	.quad 0, 0x00af9b000000ffff
trampoline_gdt_pointer:
	.short 15
trampoline_gdt_base:
	.long AT(trampoline_gdt)
trampoline_target: /* 32-bit offset, selector */
	.long AT(trampoline_64)
	.short CODE_64
	.balign 4
trampoline_cr3:
	.long 0

	.code64
trampoline_64:
	movq $smp_arrive, %rax
	jmp *%rax
trampoline_end:

	.text
smp_arrive:
	movq smp_control_registers(%rip), %rax
	movq %rax, %cr0
	movq smp_control_registers + 8(%rip), %rax
	movq %rax, %cr4

	movl $1, %eax
	lock xaddl %eax, smp_nr_arrivals(%rip)
	cmpl $SMP_MAX_ARRIVALS, %eax
	jae park
	shll $ARRIVAL_SHIFT, %eax
	leaq smp_arrivals(%rax), %rdi
1:	pause
	movq ARRIVAL_STACK(%rdi), %rsp
	cmpq $ARRIVAL_WAIT, %rsp
	je 1b
	cmpq $ARRIVAL_CLOSED, %rsp
	je park
	xorl %ebp, %ebp
	pushq %rbp
	pushq %rbp
	call smp_begin
park:	cli
	hlt
	jmp park

/* void smp_change_stack(uint64_t stack): goes on in scheduler_enter_cpu() on another stack. */
	.globl smp_change_stack
smp_change_stack:
	movq %rdi, %rsp
	xorl %ebp, %ebp
	pushq %rbp
	pushq %rbp
	call scheduler_enter_cpu
	ud2

	.section .note.GNU-stack, "", @progbits
