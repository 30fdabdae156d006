/*
 * What our EFI application leaves for the kernel. Both are built together, but the kernel checks it as any loader's.
 * All of it lies below 4 GiB, in memory of the type "loader data".
 */
#pragma once

/* The kernel's ELF file says where the application enters it: a note of this name and type, a 64-bit address. */
#define EFI_NOTE_NAME "Ballonet"
#define EFI_NOTE_TYPE 1

#ifndef __ASSEMBLY__
#include <stdint.h>

#define EFI_HANDOVER_MAGIC 0x74656e6f6c6c6142ull /* "Ballonet" */

struct efi_handover {
	uint64_t magic;
	uint64_t bytes;	       /* of this structure */
	uint64_t entry_cycles; /* cycle counter at the application's first instruction */
	uint64_t rsdp;	       /* 0: none */
	uint64_t memory_map, memory_map_bytes, descriptor_bytes;
	uint64_t cmdline, cmdline_bytes; /* without a NUL */
	uint64_t framebuffer;		 /* 0: none */
	uint32_t width, height, pitch_bytes, bits_per_pixel;
	uint32_t red_shift, green_shift, blue_shift, reserved;
};
#endif
