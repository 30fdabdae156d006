/*
 * The boot paths' parsers: what a loader left in memory goes in, struct boot_info comes out.
 *
 * All of it is untrusted. A parser reads memory only through the map it is given, and within the lengths it asked for;
 * what is wrong is complained about in boot_info, and the rest is still used. Pure: both worlds, tests and fuzzers.
 */
#pragma once

#include "kernel/boot_info.h"

/* How a parser sees physical memory: a pointer to [phys, phys + bytes), or NULL if that cannot be read. */
typedef const void *(*boot_map)(uint64_t phys, size_t bytes, void *context);

/*
 * Fills @info from the structure at @phys. 0; or -EINVAL if there is none (the complaint says why): then @info has no
 * memory.
 */
int pvh_parse(struct boot_info *info, uint64_t phys, boot_map map, void *context) MUST_CHECK;
int multiboot2_parse(struct boot_info *info, uint64_t phys, boot_map map,
		     void *context) MUST_CHECK; /* What our EFI application leaves, see efi_handover.h. */
int efi_parse(struct boot_info *info, uint64_t phys, boot_map map, void *context) MUST_CHECK;

/* An EFI memory map (UEFI 2.9, 7.2) of @bytes at @memory_map: adds its ranges. 0, or -EINVAL with a complaint. */
int efi_map_parse(struct boot_info *info, const void *memory_map, size_t bytes, size_t descriptor_bytes) MUST_CHECK;
