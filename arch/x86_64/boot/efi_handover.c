/*
 * The kernel's side of our EFI application: reads the hand-over structure.
 */
#include "arch/x86_64/boot/efi_handover.h"
#include "arch/x86_64/boot/parsers.h"

#include "lib/errno.h"
#include "lib/string.h"

#define MEMORY_MAP_MOST_BYTES (1u << 20)

static void read_cmdline(struct boot_info *info, const struct efi_handover *from, boot_map map, void *context)
{
	size_t bytes = MIN(from->cmdline_bytes, (uint64_t)BOOT_CMDLINE_SIZE);
	const char *text = bytes ? map(from->cmdline, bytes, context) : "";

	if (text)
		boot_info_add_cmdline(info, text, strnlen(text, bytes));
	else
		boot_info_complain(info, "EFI: command line at 0x%llx cannot be read",
				   (unsigned long long)from->cmdline);
}

static void read_framebuffer(struct boot_info *info, const struct efi_handover *from)
{
	if (!from->framebuffer)
		return;
	info->framebuffer = (struct boot_framebuffer){
		.address = from->framebuffer,
		.width = from->width,
		.height = from->height,
		.pitch_bytes = from->pitch_bytes,
		.bits_per_pixel = from->bits_per_pixel,
		.red_shift = (uint8_t)from->red_shift,
		.green_shift = (uint8_t)from->green_shift,
		.blue_shift = (uint8_t)from->blue_shift,
	};
}

int efi_parse(struct boot_info *info, uint64_t phys, boot_map map, void *context)
{
	const void *found = map(phys, sizeof(struct efi_handover), context);
	struct efi_handover from = {.magic = 0};
	const void *memory_map = NULL;

	info->source = "efi";
	if (found)
		memcpy(&from, found, sizeof(from));
	if (from.magic != EFI_HANDOVER_MAGIC || from.bytes != sizeof(from)) {
		boot_info_complain(info, "EFI: no hand-over structure at 0x%llx", (unsigned long long)phys);
		return -EINVAL;
	}
	info->entry_cycles = from.entry_cycles;
	info->rsdp = from.rsdp;
	read_cmdline(info, &from, map, context);
	read_framebuffer(info, &from);
	if (from.memory_map_bytes <= MEMORY_MAP_MOST_BYTES)
		memory_map = map(from.memory_map, from.memory_map_bytes, context);
	if (!memory_map) {
		boot_info_complain(info, "EFI: memory map at 0x%llx of %llu bytes cannot be read",
				   (unsigned long long)from.memory_map, (unsigned long long)from.memory_map_bytes);
		return -EINVAL;
	}
	return efi_map_parse(info, memory_map, from.memory_map_bytes, from.descriptor_bytes);
}
