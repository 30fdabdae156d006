/*
 * What every boot path (PVH, multiboot2, EFI) hands over: one neutral description of the machine.
 *
 * Filled by arch/x86_64/boot/ from untrusted firmware data; boot_info_sanitise() makes it sound: ranges sorted by
 * start, not overlapping, page-aligned, not empty; where two overlap the less usable type wins. After that,
 * everything reads it and nothing changes it.
 */
#pragma once

#include "lib/compiler.h"
#include "lib/format.h"

#define BOOT_MAX_RANGES	  128
#define BOOT_CMDLINE_SIZE 4096
#define BOOT_RSDP_BYTES	  36
/* Memory from here on cannot be addressed by any x86_64 CPU. */
#define BOOT_PHYSICAL_END (1ull << 52)

enum boot_memory { /* from most to least usable */
		   BOOT_MEMORY_USABLE,
		   BOOT_MEMORY_BOOT_SERVICES, /* firmware's and loader's, free once boot_info is filled */
		   BOOT_MEMORY_ACPI,	      /* tables, may be reclaimed when they have been read */
		   BOOT_MEMORY_NVS,
		   BOOT_MEMORY_RESERVED,
		   BOOT_MEMORY_BAD,
};

/* Physical addresses in bytes, [start, end). */
struct boot_range {
	uint64_t start, end;
	enum boot_memory type;
};

struct boot_framebuffer {
	uint64_t address; /* 0: none */
	uint32_t width, height, pitch_bytes, bits_per_pixel;
	uint8_t red_shift, green_shift, blue_shift;
};

struct boot_info {
	const char *source;		 /* "pvh", "multiboot2", "efi" */
	uint64_t entry_cycles;		 /* cycle counter at the first instruction of ours */
	uint64_t image_start, image_end; /* physical, where the kernel was loaded */
	uint64_t rsdp;			 /* physical address, 0: none */
	/* Loaders that hand over a copy of the RSDP (multiboot2): its length, 0: none. It is kept here. */
	size_t rsdp_copy_bytes;
	uint8_t rsdp_copy[BOOT_RSDP_BYTES];
	size_t nr_ranges;
	struct boot_range ranges[BOOT_MAX_RANGES];
	struct boot_framebuffer framebuffer;
	char cmdline[BOOT_CMDLINE_SIZE];
	/* What was wrong with the firmware's data, a line each, printed once printing works. "" if nothing. */
	char complaints[1024];
	size_t complaints_length;
};

/*
 * Adds a range as found. One that begins where the last one ended, with the same type, extends it; an empty one is
 * nothing. Complained about: ranges beyond BOOT_MAX_RANGES are dropped; one that leaves the address space is dropped if
 * it is usable, else cut.
 */
void boot_info_add_range(struct boot_info *info, uint64_t start, uint64_t bytes, enum boot_memory type);
/* Appends to the command line; what does not fit is cut, with a complaint. */
void boot_info_add_cmdline(struct boot_info *info, const char *text, size_t bytes);
/* Appends a line to complaints (cut silently when full). */
void boot_info_complain(struct boot_info *info, const char *fmt, ...) PRINTF(2, 3);
/*
 * See above; also takes page 0 and the legacy hole (640 KiB to 1 MiB) out of what is usable, and complains about
 * overlaps of different types. 0, or -EINVAL if no usable memory is left.
 */
int boot_info_sanitise(struct boot_info *info) MUST_CHECK;
/* Bytes of the usable types (USABLE and BOOT_SERVICES). */
uint64_t boot_info_usable_bytes(const struct boot_info *info);
