/*
 * PVH: QEMU's -kernel. The loader leaves a start info structure (Xen's public/arch-x86/hvm/start_info.h): version 1
 * has the memory map; the command line is a NUL-terminated string of unknown length.
 */
#include "arch/x86_64/boot/parsers.h"

#include "lib/errno.h"
#include "lib/string.h"

#define PVH_MAGIC	0x336ec578u
#define PVH_MOST_RANGES 4096u
#define CHUNK_BYTES	4096u

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp;
	/* version 1 */
	uint64_t memory_map;
	uint32_t nr_ranges, reserved;
};

struct pvh_range {
	uint64_t address, bytes;
	uint32_t type, reserved;
};

/* By the type's number; what is disabled or persistent memory is not for us. */
static enum boot_memory range_type(uint32_t type)
{
	static const enum boot_memory types[] = {
		BOOT_MEMORY_RESERVED, BOOT_MEMORY_USABLE, BOOT_MEMORY_RESERVED,
		BOOT_MEMORY_ACPI,     BOOT_MEMORY_NVS,	  BOOT_MEMORY_BAD,
	};

	return type < ARRAY_SIZE(types) ? types[type] : BOOT_MEMORY_RESERVED;
}

/* Entry by entry: a map that runs out of readable memory still gives what came before. */
static void read_memory_map(struct boot_info *info, const struct pvh_start_info *start, boot_map map, void *context)
{
	uint32_t count = MIN(start->nr_ranges, PVH_MOST_RANGES);

	if (count < start->nr_ranges)
		boot_info_complain(info, "PVH: memory map of %u ranges: only %u are read", start->nr_ranges, count);
	for (uint32_t i = 0; i < count; i++) {
		const void *entry =
			map(start->memory_map + i * sizeof(struct pvh_range), sizeof(struct pvh_range), context);
		struct pvh_range range;

		if (!entry) {
			boot_info_complain(info, "PVH: memory map ends after %u of %u ranges", i, start->nr_ranges);
			return;
		}
		memcpy(&range, entry, sizeof(range));
		boot_info_add_range(info, range.address, range.bytes, range_type(range.type));
	}
}

/* Its length is known only when its NUL is seen: page by page, so that nothing unreadable is asked for. */
static void read_cmdline(struct boot_info *info, uint64_t phys, boot_map map, void *context)
{
	for (size_t done = 0; phys && done <= BOOT_CMDLINE_SIZE;) {
		size_t chunk = CHUNK_BYTES - phys % CHUNK_BYTES;
		const char *text = map(phys, chunk, context);
		size_t length;

		if (!text) {
			boot_info_complain(info, "PVH: command line at 0x%llx cannot be read",
					   (unsigned long long)phys);
			return;
		}
		length = strnlen(text, chunk);
		boot_info_add_cmdline(info, text, length);
		if (length < chunk)
			return;
		phys += chunk;
		done += chunk;
	}
}

int pvh_parse(struct boot_info *info, uint64_t phys, boot_map map, void *context)
{
	struct pvh_start_info start;
	const void *found = map(phys, sizeof(start), context);

	info->source = "pvh";
	if (!found) {
		boot_info_complain(info, "PVH: start info at 0x%llx cannot be read", (unsigned long long)phys);
		return -EINVAL;
	}
	memcpy(&start, found, sizeof(start));
	if (start.magic != PVH_MAGIC) {
		boot_info_complain(info, "PVH: start info has magic 0x%x, expected 0x%x", start.magic, PVH_MAGIC);
		return -EINVAL;
	}
	if (start.version < 1) {
		boot_info_complain(info, "PVH: start info of version 0 has no memory map");
		return -EINVAL;
	}
	info->rsdp = start.rsdp;
	read_memory_map(info, &start, map, context);
	read_cmdline(info, start.cmdline, map, context);
	return 0;
}
