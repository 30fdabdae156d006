/* The kernel's ELF file within the application. KERNEL_FILE comes from the Makefile. */
	.section .rodata
	.balign 4096
	.globl kernel_file, kernel_file_end
kernel_file:
	.incbin KERNEL_FILE
kernel_file_end:
	.section .note.GNU-stack, "", @progbits
