/*
 * Heaps of device memory; see dma_buf.h.
 */
#pragma once

#include "drivers/dma_buf.h"
#include "drivers/ivshmem.h"

extern struct dma_heap dma_heap_system;

/* "vram<n>" for ivshmem<n>. 0 or -errno. */
int dma_heap_add_vram(struct ivshmem *ivshmem) MUST_CHECK;
/* One for every ivshmem there is. 0 or -errno: the rest has none. */
int dma_heaps_of_devices(void) MUST_CHECK;
