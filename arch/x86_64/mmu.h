/*
 * The CPU's side of address spaces (kernel/address_space.h): for traps and boot.
 */
#pragma once

#include "arch/x86_64/trap.h"

/* Once the page allocator works, before the first address space. */
void mmu_init(void);
/* From a page fault: true if it was an access of user_read() or user_write(), which is then settled. */
bool mmu_fault(struct trap_frame *frame);
