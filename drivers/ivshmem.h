/*
 * QEMU's ivshmem-plain: a piece of the host's memory in BAR 2, the same bytes on both sides. It stands for the memory
 * of a device: ordinary to read and write, coherent, and none of the allocator's.
 *
 *   -object memory-backend-file,id=vram,size=16M,mem-path=FILE,share=on -device ivshmem-plain,memdev=vram
 *
 * Ranges of it are handed out by whole pages; who uses a part takes it first. Devices are never removed.
 */
#pragma once

#include "drivers/pci.h"
#include "kernel/mutex.h"

struct ivshmem {
	struct list_node node;
	unsigned int index; /* 0.. in the order of discovery */
	struct pci_device *pci;
	uint64_t phys, bytes; /* of the BAR; whole pages */
	char *address;	      /* all of it, mapped write-back */
	struct mutex lock;    /* taken, free_bytes */
	uint64_t *taken;      /* a bit a page */
	uint64_t free_bytes;
};

/* Takes every such device among @pci_devices; how many there are. One that is not usable gives an error line. */
unsigned int ivshmem_probe(struct list_node *pci_devices);
/* NULL: there are not so many. */
struct ivshmem *ivshmem_find(unsigned int index);

/*
 * The lowest free range of @bytes (rounded up to whole pages) whose physical address is a multiple of @align (a power
 * of two; 0: a page's). 0 with its place in the BAR in *@offset, -EINVAL (no bytes, a wrong @align), -ENOMEM. May
 * sleep.
 */
int ivshmem_take(struct ivshmem *ivshmem, uint64_t bytes, uint64_t align, uint64_t *offset) MUST_CHECK;
/* As taken, or any part of it in whole pages. May sleep. */
void ivshmem_give_back(struct ivshmem *ivshmem, uint64_t offset, uint64_t bytes);
