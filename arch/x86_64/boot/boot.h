/*
 * What start.S and the C part of the boot paths share. Also read by the assembler.
 */
#pragma once

#define BOOT_KIND_PVH	     1
#define BOOT_KIND_MULTIBOOT2 2
#define BOOT_KIND_EFI	     3

#ifndef __ASSEMBLY__
#include "lib/compiler.h"

/* start.S ends here, on the boot stack, in the image's high addresses; @pointer is what the loader passed, physical. */
void boot_start_64(int kind, uint64_t pointer) NORETURN;

extern uint64_t boot_entry_cycles;
/* Where the image's first byte is in physical memory. */
extern uint64_t boot_image_phys;
/* The page directory pointers of the stub's direct map: 512 GiB from address 0. */
extern uint64_t boot_pdpt[512];
/* The stack: an unmapped page (from paging_init() on), then boot_stack_bottom to boot_stack_top. */
extern char boot_stack_guard[], boot_stack_bottom[], boot_stack_top[];
#endif
