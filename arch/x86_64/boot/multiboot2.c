/*
 * Multiboot2: GRUB. The boot information is one block: its length, then tags of (type, size), each on 8 bytes
 * (Multiboot2 specification 2.0, 3.6). It lies in memory that the map calls usable, so everything is copied out of
 * it, the RSDP too (tags 14 and 15 are copies).
 *
 * Started by EFI firmware, GRUB gives two maps; the EFI one knows boot services from free memory, so it is preferred.
 */
#include "arch/x86_64/boot/parsers.h"

#include "lib/errno.h"
#include "lib/string.h"

#define INFORMATION_MOST_BYTES (1u << 20)

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
	TAG_EFI_MEMORY_MAP = 17,
};

struct tag {
	uint32_t type, bytes;
};

struct memory_map_tag {
	struct tag tag;
	uint32_t entry_bytes, entry_version;
};

struct memory_map_entry {
	uint64_t address, bytes;
	uint32_t type, reserved;
};

#define FRAMEBUFFER_RGB 1u

struct framebuffer_tag {
	struct tag tag;
	uint64_t address;
	uint32_t pitch_bytes, width, height;
	uint8_t bits_per_pixel, type;
	uint16_t reserved;
	uint8_t red_shift, red_bits, green_shift, green_bits, blue_shift, blue_bits;
} PACKED;

struct efi_map_tag {
	struct tag tag;
	uint32_t descriptor_bytes, descriptor_version;
};

/* A tag and all its bytes. */
struct tag_view {
	struct tag tag;
	const uint8_t *start;
};

/* The first @bytes of a tag; false, with a complaint, if it is shorter. */
static bool tag_read(struct boot_info *info, const struct tag_view *view, void *to, size_t bytes)
{
	if (view->tag.bytes < bytes) {
		boot_info_complain(info, "multiboot2: tag %u of %u bytes, at least %zu expected: ignored",
				   view->tag.type, view->tag.bytes, bytes);
		return false;
	}
	memcpy(to, view->start, bytes);
	return true;
}

static enum boot_memory entry_type(uint32_t type)
{
	switch (type) {
	case 1:
		return BOOT_MEMORY_USABLE;
	case 3:
		return BOOT_MEMORY_ACPI;
	case 4:
		return BOOT_MEMORY_NVS;
	case 5:
		return BOOT_MEMORY_BAD;
	default:
		return BOOT_MEMORY_RESERVED;
	}
}

static void read_memory_map(struct boot_info *info, const struct tag_view *view)
{
	struct memory_map_tag map;
	uint32_t at = sizeof(map);

	if (!tag_read(info, view, &map, sizeof(map)))
		return;
	if (map.entry_bytes < sizeof(struct memory_map_entry)) {
		boot_info_complain(info, "multiboot2: memory map entries of %u bytes: map ignored", map.entry_bytes);
		return;
	}
	for (; view->tag.bytes - at >= map.entry_bytes; at += map.entry_bytes) {
		struct memory_map_entry entry;

		memcpy(&entry, view->start + at, sizeof(entry));
		boot_info_add_range(info, entry.address, entry.bytes, entry_type(entry.type));
	}
	if (at != view->tag.bytes)
		boot_info_complain(info, "multiboot2: memory map ends within an entry: the rest is ignored");
}

static bool read_efi_map(struct boot_info *info, const struct tag_view *view)
{
	struct efi_map_tag map;

	return tag_read(info, view, &map, sizeof(map)) &&
	       !efi_map_parse(info, view->start + sizeof(map), view->tag.bytes - sizeof(map), map.descriptor_bytes);
}

static void read_framebuffer(struct boot_info *info, const struct tag_view *view)
{
	struct framebuffer_tag tag;

	/* Text mode has a shorter tag; only direct colour is of use. */
	if (view->tag.bytes < sizeof(tag))
		return;
	memcpy(&tag, view->start, sizeof(tag));
	if (tag.type != FRAMEBUFFER_RGB)
		return;
	info->framebuffer = (struct boot_framebuffer){
		.address = tag.address,
		.width = tag.width,
		.height = tag.height,
		.pitch_bytes = tag.pitch_bytes,
		.bits_per_pixel = tag.bits_per_pixel,
		.red_shift = tag.red_shift,
		.green_shift = tag.green_shift,
		.blue_shift = tag.blue_shift,
	};
}

/* The old one (20 bytes) or the new one (36); the new one wins, in whichever order they come. */
static void read_rsdp(struct boot_info *info, const struct tag_view *view)
{
	size_t bytes = MIN(view->tag.bytes - sizeof(view->tag), sizeof(info->rsdp_copy));

	if (bytes <= info->rsdp_copy_bytes)
		return;
	memcpy(info->rsdp_copy, view->start + sizeof(view->tag), bytes);
	info->rsdp_copy_bytes = bytes;
}

static void read_tag(struct boot_info *info, const struct tag_view *view)
{
	const char *text = (const char *)view->start + sizeof(view->tag);

	switch (view->tag.type) {
	case TAG_CMDLINE:
		boot_info_add_cmdline(info, text, strnlen(text, view->tag.bytes - sizeof(view->tag)));
		break;
	case TAG_FRAMEBUFFER:
		read_framebuffer(info, view);
		break;
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW:
		read_rsdp(info, view);
		break;
	default:
		break; /* the maps wait for all tags to be seen; the rest is of no use here */
	}
}

/* Walks the tags; remembers both maps. */
static void read_tags(struct boot_info *info, const uint8_t *information, uint32_t bytes, struct tag_view *memory_map,
		      struct tag_view *efi_map)
{
	uint32_t at = 8;

	while (bytes - at >= sizeof(struct tag)) {
		struct tag_view view = {.start = information + at};

		memcpy(&view.tag, view.start, sizeof(view.tag));
		if (view.tag.type == TAG_END)
			return;
		if (view.tag.bytes < sizeof(view.tag) || view.tag.bytes > bytes - at) {
			boot_info_complain(info,
					   "multiboot2: tag %u of %u bytes at offset %u of %u: the rest is ignored",
					   view.tag.type, view.tag.bytes, at, bytes);
			return;
		}
		if (view.tag.type == TAG_MEMORY_MAP)
			*memory_map = view;
		else if (view.tag.type == TAG_EFI_MEMORY_MAP)
			*efi_map = view;
		else
			read_tag(info, &view);
		if (bytes - at - view.tag.bytes < 8)
			break;
		at += ALIGN_UP(view.tag.bytes, 8u);
	}
	boot_info_complain(info, "multiboot2: the end tag is missing");
}

int multiboot2_parse(struct boot_info *info, uint64_t phys, boot_map map, void *context)
{
	struct tag_view memory_map = {.start = NULL}, efi_map = {.start = NULL};
	const void *information = map(phys, 8, context);
	uint32_t bytes = 0;

	info->source = "multiboot2";
	if (information)
		memcpy(&bytes, information, sizeof(bytes));
	if (bytes >= 8 && bytes <= INFORMATION_MOST_BYTES)
		information = map(phys, bytes, context);
	else
		information = NULL;
	if (!information) {
		boot_info_complain(info, "multiboot2: boot information at 0x%llx of %u bytes cannot be read",
				   (unsigned long long)phys, bytes);
		return -EINVAL;
	}
	read_tags(info, information, bytes, &memory_map, &efi_map);
	if (efi_map.start && read_efi_map(info, &efi_map))
		return 0;
	if (memory_map.start)
		read_memory_map(info, &memory_map);
	return 0;
}
