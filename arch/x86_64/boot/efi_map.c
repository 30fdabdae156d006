/*
 * The EFI memory map (UEFI 2.9, 7.2, EFI_MEMORY_DESCRIPTOR): from our EFI application, or from GRUB's tag 17.
 *
 * The firmware says how long a descriptor is; newer ones may be longer than what is known here. What boot services and
 * loaders used is ours once they are gone; what runtime services use stays theirs.
 */
#include "arch/x86_64/boot/parsers.h"

#include "lib/errno.h"
#include "lib/string.h"

#define EFI_PAGE_BYTES 4096ull

struct efi_descriptor {
	uint32_t type, padding;
	uint64_t physical, virtual, nr_pages, attributes;
};

static enum boot_memory descriptor_type(uint32_t type)
{
	static const enum boot_memory types[] = {
		BOOT_MEMORY_RESERVED,	   /* reserved */
		BOOT_MEMORY_BOOT_SERVICES, /* loader code: our application */
		BOOT_MEMORY_BOOT_SERVICES, /* loader data: the kernel's image is in it, known by other means */
		BOOT_MEMORY_BOOT_SERVICES, /* boot services code */
		BOOT_MEMORY_BOOT_SERVICES, /* boot services data */
		BOOT_MEMORY_RESERVED,	   /* runtime services code */
		BOOT_MEMORY_RESERVED,	   /* runtime services data */
		BOOT_MEMORY_USABLE,	   /* conventional */
		BOOT_MEMORY_BAD,	   /* unusable */
		BOOT_MEMORY_ACPI,	   /* ACPI, reclaimable */
		BOOT_MEMORY_NVS,	   /* ACPI, to be kept */
	};

	return type < ARRAY_SIZE(types) ? types[type] : BOOT_MEMORY_RESERVED;
}

static void add_descriptor(struct boot_info *info, const struct efi_descriptor *found)
{
	uint64_t most_pages = UINT64_MAX / EFI_PAGE_BYTES;

	/* Too many pages for 64 bits: as long as can be said, which is refused as leaving the address space. */
	boot_info_add_range(info, found->physical, MIN(found->nr_pages, most_pages) * EFI_PAGE_BYTES,
			    descriptor_type(found->type));
}

int efi_map_parse(struct boot_info *info, const void *memory_map, size_t bytes, size_t descriptor_bytes)
{
	const uint8_t *map = memory_map;
	size_t at = 0;

	if (descriptor_bytes < sizeof(struct efi_descriptor)) {
		boot_info_complain(info, "EFI memory map: descriptors of %zu bytes, at least %zu expected: map ignored",
				   descriptor_bytes, sizeof(struct efi_descriptor));
		return -EINVAL;
	}
	for (; bytes - at >= descriptor_bytes; at += descriptor_bytes) {
		struct efi_descriptor found;

		memcpy(&found, map + at, sizeof(found));
		add_descriptor(info, &found);
	}
	if (at != bytes)
		boot_info_complain(info, "EFI memory map ends within a descriptor: the rest is ignored");
	return 0;
}
