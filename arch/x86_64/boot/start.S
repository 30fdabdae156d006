/*
 * The first instructions: three entries, one way into C.
 *
 * PVH and multiboot2 arrive in 32-bit protected mode with paging off, the image at 2 MiB. Our EFI application arrives
 * in long mode, on the firmware's page tables, the image at any multiple of 2 MiB below 4 GiB; it is first taken down
 * to the state of the others, so that whatever paging the firmware had (five levels, say) is gone.
 *
 * From boot_common on, the code does not know where it is but for %ebp, the distance from 2 MiB: PHYS(symbol)(%ebp) is
 * a symbol's physical address. Page tables are built in .data and .bss: the first 4 GiB both at 0 and in the direct
 * map, and the image at -2 GiB, all writable and executable (arch/x86_64/paging.c makes the final ones). Then C, in
 * boot_start_64(kind, pointer).
 */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/boot/efi_handover.h"

#define PHYS(symbol) ((symbol) - 0xffffffff80000000)
#define LOAD_ADDRESS 0x200000

/* CPUID 0x80000001, EDX: long mode, no-execute */
#define CPU_NEEDED 0x20100000
#define EXIT_PANIC 18

#define CODE_64 8
#define DATA    16
#define CODE_32 24

#define TABLE 3    /* present, writable */
#define LARGE 0x83 /* and a page of 2 MiB */

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18 /* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long PHYS(boot_entry_pvh)

	.section .note.efi, "a", @note
	.balign 4
	.long 9, 8, EFI_NOTE_TYPE
	.asciz EFI_NOTE_NAME
	.balign 4
	.quad PHYS(boot_entry_efi)

	.section .multiboot2, "a"
	.balign 8
multiboot2_header:
	.long 0xe85250d6, 0, multiboot2_header_end - multiboot2_header
	.long -(0xe85250d6 + (multiboot2_header_end - multiboot2_header))
	/* entry address (physical) */
	.short 3, 0
	.long 12, PHYS(boot_entry_multiboot2)
	.balign 8
	/* page-align modules; end */
	.short 6, 0
	.long 8
	.short 0, 0
	.long 8
multiboot2_header_end:

	.section .boot.text, "ax"
	.code32
	.globl boot_entry_pvh
boot_entry_pvh:
	movl $BOOT_KIND_PVH, %edi
	movl %ebx, %esi
	xorl %ebp, %ebp
	jmp boot_common

	.globl boot_entry_multiboot2
boot_entry_multiboot2:
	movl $BOOT_KIND_MULTIBOOT2, %edi
	movl %ebx, %esi
	xorl %ebp, %ebp
	cmpl $0x36d76289, %eax
	je boot_common
	movl $PHYS(boot_text_loader), %esi

	/* Says the text at %esi(%ebp) on COM1 and leaves QEMU as a panic does. */
boot_fail:
	addl %ebp, %esi
	movl $0x3f8, %edx
1:	lodsb
	testb %al, %al
	jz 2f
	outb %al, %dx
	jmp 1b
2:	movb $EXIT_PANIC, %al
	outb %al, $0xf4
3:	cli
	hlt
	jmp 3b

	.code64
	/* %rdi: the hand-over structure, below 4 GiB. Interrupts are off, boot services are gone. */
	.globl boot_entry_efi
boot_entry_efi:
	cli
	movl %edi, %esi
	leaq boot_entry_efi(%rip), %rbp
	subq $PHYS(boot_entry_efi), %rbp
	leaq boot_gdt(%rip), %rax
	movq %rax, boot_gdt_pointer + 2(%rip)
	lgdt boot_gdt_pointer(%rip)
	leaq boot_stack_top(%rip), %rsp
	leaq 1f(%rip), %rax
	pushq $CODE_32
	pushq %rax
	lretq
	.code32
1:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr0, %eax
	andl $0x7fffffff, %eax /* paging off: long mode ends */
	movl %eax, %cr0
	xorl %eax, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	xorl %edx, %edx
	wrmsr
	movl $BOOT_KIND_EFI, %edi

	/* %edi: kind, %esi: the loader's pointer, %ebp: the image's distance from its load address. */
boot_common:
	cli
	cld
	/* With too little memory the image's end lies in nothing: what is written there is not read back. */
	leal PHYS(image_end) - 4(%ebp), %ebx
	movl (%ebx), %ecx
	movl $0x42616c6c, (%ebx)
	cmpl $0x42616c6c, (%ebx)
	movl %ecx, (%ebx)
	jne boot_no_memory
	rdtsc
	movl %eax, PHYS(boot_entry_cycles)(%ebp)
	movl %edx, PHYS(boot_entry_cycles) + 4(%ebp)
	addl %ebp, PHYS(boot_image_phys)(%ebp)
	leal PHYS(boot_stack_top)(%ebp), %esp
	pushl %edi

	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb boot_old_cpu
	movl $0x80000001, %eax
	cpuid
	notl %edx
	testl $CPU_NEEDED, %edx
	jz boot_tables
boot_no_memory:
	movl $PHYS(boot_text_memory), %esi
	jmp boot_fail
boot_old_cpu:
	movl $PHYS(boot_text_cpu), %esi
	jmp boot_fail

boot_tables:
	/* Two page directories are written whole: .bss is cleared, but the loader's word is all there is for it. */
	leal PHYS(boot_pd)(%ebp), %edi
	movl $LARGE, %eax
	xorl %edx, %edx
1:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	jnc 1b

	/* The image: its first 2 MiB are at entry 1, as it is linked. */
	leal PHYS(boot_pd_image)(%ebp), %edi
	leal LARGE(%ebp), %eax
	movl $512, %ecx
2:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	loop 2b

	leal PHYS(boot_pd) + TABLE(%ebp), %eax
	leal PHYS(boot_pdpt)(%ebp), %edi
	movl $4, %ecx
3:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 3b
	/* -2 GiB is entry 510 of the last table. */
	leal PHYS(boot_pd_image) + TABLE(%ebp), %eax
	movl %eax, PHYS(boot_pdpt_image) + 510 * 8(%ebp)
	leal PHYS(boot_pdpt) + TABLE(%ebp), %eax
	movl %eax, PHYS(boot_pml4)(%ebp)
	movl %eax, PHYS(boot_pml4) + 256 * 8(%ebp)
	leal PHYS(boot_pdpt_image) + TABLE(%ebp), %eax
	movl %eax, PHYS(boot_pml4) + 511 * 8(%ebp)

	movl %cr4, %eax
	orl $0x20, %eax /* PAE */
	movl %eax, %cr4
	leal PHYS(boot_pml4)(%ebp), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax /* long mode, no-execute */
	wrmsr
	popl %edi
	movl %cr0, %eax
	andl $0x9fffffff, %eax /* caches on */
	orl $0x80010021, %eax  /* paging, write protect, numeric errors, protection */
	movl %eax, %cr0
	leal PHYS(boot_gdt)(%ebp), %eax
	movl %eax, PHYS(boot_gdt_pointer) + 2(%ebp)
	lgdt PHYS(boot_gdt_pointer)(%ebp)
	leal PHYS(boot_64)(%ebp), %eax
	pushl $CODE_64
	pushl %eax
	lret

	.code64
boot_64:
	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movabsq $boot_high, %rax
	jmp *%rax

boot_text_cpu:
	.asciz "Ballonet: this CPU has no long mode or no NX: cannot run\n"
boot_text_memory:
	.asciz "Ballonet: the kernel does not fit into this machine's memory: cannot run\n"
boot_text_loader:
	.asciz "Ballonet: entered by something else than a multiboot2 loader: cannot run\n"

	.text
boot_high:
	movq $boot_stack_top, %rsp
	movl %esi, %esi
	xorl %ebp, %ebp
	pushq %rbp
	call boot_start_64
	ud2

	/* In .data, since written before C begins: a loader or the EFI application may clear .bss only once. */
	.data
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
boot_gdt_pointer:
	.short 31
	.long PHYS(boot_gdt), 0
	.balign 8
	.globl boot_entry_cycles, boot_image_phys
boot_entry_cycles:
	.quad 0
boot_image_phys:
	.quad LOAD_ADDRESS
	.balign 4096
	.globl boot_pdpt
boot_pml4:	.fill 512, 8, 0
boot_pdpt:	.fill 512, 8, 0
boot_pdpt_image: .fill 512, 8, 0

	.bss
	.balign 4096
boot_pd:	.skip 4 * 4096
boot_pd_image:	.skip 4096
	.globl boot_stack_guard, boot_stack_bottom, boot_stack_top
boot_stack_guard:  .skip 4096
boot_stack_bottom: .skip 16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
