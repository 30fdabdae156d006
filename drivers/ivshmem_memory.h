/*
 * Parts of an ivshmem device's BAR as memory that address spaces map (mm/vm/device.h), named on the command line:
 *
 *   ivshmem.coherent=8M    coherent<n>: the CPU reads and writes it in place
 *   ivshmem.private=2M     private<n>: only the device's copy engine reaches it
 *
 * of every ivshmem<n>, from its beginning, in this order. What is left is `vram<n>`, for buffers (drivers/dma_heap.h).
 * Either way the host's file shows the bytes.
 */
#pragma once

#include "drivers/ivshmem.h"
#include "mm/vm/device.h"

/* What the command line says, on all devices; an error line for what is not to be had. Once, after ivshmem_probe(). */
void ivshmem_memory_start(void);

/* Takes @bytes (whole pages) of @ivshmem and registers them. NULL: no room there, no memory, too many devices. */
struct device_memory *ivshmem_memory_add(struct ivshmem *ivshmem, enum device_kind kind, uint64_t bytes) MUST_CHECK;
/* Gives the range back. 0, or -EBUSY: a page of it is in use. */
int ivshmem_memory_remove(struct device_memory *device) MUST_CHECK;
