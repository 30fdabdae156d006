/*
 * Memory at boot.
 */
#pragma once

#include "kernel/init.h"
#include "kernel/machine.h"

/* After this alloc_pages() and kmalloc() work. Panics if there is not enough for the kernel itself. */
void memory_init(const struct boot_info *info, const struct machine *machine);
