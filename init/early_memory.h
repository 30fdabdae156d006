/*
 * Memory until mm/ is there. Also implements kernel/memory.h.
 */
#pragma once

#include "kernel/boot_info.h"

void early_memory_init(const struct boot_info *info);
/* Physical memory below 4 GiB, or 0. */
uint64_t early_memory_take(uint64_t bytes, uint64_t align);
