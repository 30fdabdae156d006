/*
 * Page size and the direct map (guest). The hosted build has the same header over an arena (tests/host/include).
 *
 * Address space, high half:
 *   0xffff800000000000  direct map of physical memory (RAM and ACPI), read-write, no execute, large pages
 *   0xffffc00000000000  page structures (one array for all memory, backed where memory is)
 *   0xffffd00000000000  device mappings (BARs, local APIC), uncached
 *   0xffffe00000000000  kernel stacks, each with an unmapped page below
 *   0xffffec0000000000  KASAN shadow (kasan builds)
 *   0xffffffff80000000  the kernel image: text read-execute, rodata read-only, data read-write
 */
#pragma once

#include "lib/compiler.h"

#define PAGE_SHIFT	 12u
#define PAGE_SIZE	 (1ul << PAGE_SHIFT)
#define LARGE_PAGE_SHIFT 21u
#define LARGE_PAGE_SIZE	 (1ul << LARGE_PAGE_SHIFT)

#define DIRECT_MAP_BASE	  0xffff800000000000ul
#define PAGE_STRUCT_BASE  0xffffc00000000000ul
#define DEVICE_MAP_BASE	  0xffffd00000000000ul
#define STACK_AREA_BASE	  0xffffe00000000000ul
#define KASAN_SHADOW_BASE 0xffffec0000000000ul
#define KERNEL_BASE	  0xffffffff80000000ul

/* Only for addresses that are RAM (or ACPI tables); device memory is mapped by device_map(). */
static inline void *phys_to_virt(uint64_t phys)
{
	return (void *)(DIRECT_MAP_BASE + phys);
}

/* Only for direct-map addresses; kernel image addresses: see image_to_phys() in arch/paging.h. */
static inline uint64_t virt_to_phys(const void *virt)
{
	return (uint64_t)virt - DIRECT_MAP_BASE;
}
