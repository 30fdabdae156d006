/*
 * The first instructions, for PVH and multiboot2: 32-bit protected mode, paging off, loaded at 2 MiB.
 *
 * Both entries note the cycle counter, keep the pointer they were given, build page tables in .bss (the first
 * 4 GiB both at 0 and in the direct map, and the image at -2 GiB, all writable: arch/x86_64/paging.c makes the final
 * ones) and go on in boot_start_64 in C with (kind, physical pointer).
 */
#define PHYS(symbol) ((symbol) - 0xffffffff80000000)

#define BOOT_KIND_PVH        1
#define BOOT_KIND_MULTIBOOT2 2

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18 /* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long PHYS(boot_entry_pvh)

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
	movl $BOOT_KIND_PVH, %ecx
	jmp boot_common

	.globl boot_entry_multiboot2
boot_entry_multiboot2:
	movl $BOOT_KIND_MULTIBOOT2, %ecx
	cmpl $0x36d76289, %eax
	je boot_common
	hlt

boot_common:
	cli
	cld
	movl $PHYS(boot_stack_top), %esp
	movl %ecx, %ebp /* kind */
	movl %ebx, %esi /* pointer */
	rdtsc
	movl %eax, PHYS(boot_entry_cycles)
	movl %edx, PHYS(boot_entry_cycles) + 4

	/* .bss may hold anything but what was just written: the tables are written whole. */
	movl $PHYS(boot_pd), %edi
	movl $0x83, %eax /* present, writable, large */
	xorl %edx, %edx
1:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	jnc 1b

	movl $PHYS(boot_pd) + 3, %eax
	movl $PHYS(boot_pdpt), %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 2b
	/* -2 GiB is entry 510 of the last table. */
	movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_image) + 510 * 8

	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4)
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_image) + 3, PHYS(boot_pml4) + 511 * 8

	movl %cr4, %eax
	orl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax /* long mode, no-execute */
	wrmsr
	movl %cr0, %eax
	andl $0x9fffffff, %eax /* caches on */
	orl $0x80010021, %eax /* paging, write protect, numeric errors, protection */
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	ljmp $8, $PHYS(boot_64)

	.code64
boot_64:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movabsq $boot_high, %rax
	jmp *%rax

	.text
boot_high:
	movq $boot_stack_top, %rsp
	movl %ebp, %edi
	movl %esi, %esi
	xorl %ebp, %ebp
	pushq %rbp
	call boot_start_64
	ud2

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
	.short 23
	.long PHYS(boot_gdt), 0

	/* In .data: not cleared when C begins. */
	.data
	.balign 8
	.globl boot_entry_cycles
boot_entry_cycles:
	.quad 0
	.balign 4096
boot_pml4:	.fill 512, 8, 0
boot_pdpt:	.fill 512, 8, 0
boot_pdpt_image: .fill 512, 8, 0
	.bss
	.balign 4096
boot_pd:	.skip 4 * 4096
	.globl boot_stack_bottom, boot_stack_top
	.balign 4096
boot_stack_bottom: .skip 16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
