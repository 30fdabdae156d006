/*
 * From what firmware says about memory to something one can build on.
 *
 * Firmware lists ranges unsorted, unaligned, overlapping, or too many. The repair is one sweep from address 0 up, from
 * border to border: between two borders, each segment takes the least usable type of the ranges that cover it; equal
 * neighbours are merged. Usable ranges were shrunk to whole pages before, all others grown. Two borders are
 * added by hand: page 0 is never used (a physical address of 0 means "none" everywhere), nor is the hole between
 * 640 KiB and 1 MiB, where the PC has ROMs and video memory whatever the map says.
 *
 * The sweep is quadratic, over at most 128 ranges of which a PC has ten.
 */
#include "kernel/boot_info.h"

#include "lib/errno.h"
#include "lib/string.h"

#include <arch/page.h>

#define LEGACY_HOLE_START 0xa0000ull
#define LEGACY_HOLE_END	  0x100000ull

static const char *const type_names[] = {"usable", "boot services", "ACPI", "NVS", "reserved", "bad"};

void boot_info_complain(struct boot_info *info, const char *fmt, ...)
{
	size_t room = sizeof(info->complaints) - info->complaints_length;
	va_list args;
	int length;

	va_start(args, fmt);
	length = format_v(info->complaints + info->complaints_length, room, fmt, args);
	va_end(args);
	/* A line that does not fit whole, with its newline and NUL, is left out. */
	if (length < 0 || (size_t)length + 2 > room) {
		info->complaints[info->complaints_length] = '\0';
		return;
	}
	info->complaints_length += (size_t)length;
	info->complaints[info->complaints_length++] = '\n';
	info->complaints[info->complaints_length] = '\0';
}

void boot_info_add_cmdline(struct boot_info *info, const char *text, size_t bytes)
{
	size_t have = strnlen(info->cmdline, sizeof(info->cmdline) - 1);
	size_t take = MIN(bytes, sizeof(info->cmdline) - 1 - have);

	memcpy(info->cmdline + have, text, take);
	info->cmdline[have + take] = '\0';
	if (take < bytes)
		boot_info_complain(info, "command line longer than %zu bytes: cut", sizeof(info->cmdline) - 1);
}

static bool is_usable(enum boot_memory type)
{
	return type <= BOOT_MEMORY_BOOT_SERVICES;
}

void boot_info_add_range(struct boot_info *info, uint64_t start, uint64_t bytes, enum boot_memory type)
{
	struct boot_range *last = info->nr_ranges ? &info->ranges[info->nr_ranges - 1] : NULL;

	/* qboot's maps end in some; they say nothing. */
	if (bytes == 0)
		return;
	if (start >= BOOT_PHYSICAL_END || bytes > BOOT_PHYSICAL_END - start) {
		bool drop = is_usable(type) || start >= BOOT_PHYSICAL_END;

		boot_info_complain(info, "memory map: %s range at 0x%llx of 0x%llx bytes leaves the address space: %s",
				   type_names[type], (unsigned long long)start, (unsigned long long)bytes,
				   drop ? "dropped" : "cut");
		if (drop)
			return;
		bytes = BOOT_PHYSICAL_END - start;
	}
	if (last && last->end == start && last->type == type) {
		last->end += bytes;
		return;
	}
	if (info->nr_ranges == BOOT_MAX_RANGES) {
		boot_info_complain(info, "memory map: more than %d ranges: the one at 0x%llx is dropped",
				   BOOT_MAX_RANGES, (unsigned long long)start);
		return;
	}
	info->ranges[info->nr_ranges++] = (struct boot_range){start, start + bytes, type};
}

/* Usable ranges shrink to whole pages, the others grow; what becomes empty goes. */
static void align_ranges(struct boot_info *info)
{
	size_t kept = 0;

	for (size_t i = 0; i < info->nr_ranges; i++) {
		struct boot_range range = info->ranges[i];

		if (is_usable(range.type)) {
			range.start = ALIGN_UP(range.start, PAGE_SIZE);
			range.end = ALIGN_DOWN(range.end, PAGE_SIZE);
		} else {
			range.start = ALIGN_DOWN(range.start, PAGE_SIZE);
			range.end = ALIGN_UP(range.end, PAGE_SIZE);
		}
		if (range.start < range.end)
			info->ranges[kept++] = range;
	}
	info->nr_ranges = kept;
}

/* Where the segment that begins at @at ends at the latest, for the borders that are not in the map. */
static uint64_t legacy_border(uint64_t at)
{
	if (at < PAGE_SIZE)
		return PAGE_SIZE;
	if (at < LEGACY_HOLE_START)
		return LEGACY_HOLE_START;
	return at < LEGACY_HOLE_END ? LEGACY_HOLE_END : BOOT_PHYSICAL_END;
}

static bool is_legacy(uint64_t address)
{
	return address < PAGE_SIZE || (address >= LEGACY_HOLE_START && address < LEGACY_HOLE_END);
}

/* The segment that begins at @at: up to the next border. False if no range covers it. */
static bool find_segment(const struct boot_info *info, uint64_t at, struct boot_range *segment, bool *disputed)
{
	bool covered = false;

	*segment = (struct boot_range){at, legacy_border(at), BOOT_MEMORY_USABLE};
	for (size_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *range = &info->ranges[i];

		if (range->end <= at)
			continue;
		segment->end = MIN(segment->end, range->start > at ? range->start : range->end);
		if (range->start > at)
			continue;
		*disputed = *disputed || (covered && range->type != segment->type);
		segment->type = covered ? MAX(segment->type, range->type) : range->type;
		covered = true;
	}
	if (is_usable(segment->type) && is_legacy(at))
		segment->type = BOOT_MEMORY_RESERVED;
	return covered;
}

struct range_list {
	size_t count;
	struct boot_range ranges[BOOT_MAX_RANGES];
};

static void append(struct boot_info *info, struct range_list *list, const struct boot_range *segment)
{
	struct boot_range *last = list->count ? &list->ranges[list->count - 1] : NULL;

	if (last && last->end == segment->start && last->type == segment->type)
		last->end = segment->end;
	else if (list->count < BOOT_MAX_RANGES)
		list->ranges[list->count++] = *segment;
	else
		boot_info_complain(info, "memory map: too many pieces: the one at 0x%llx is dropped",
				   (unsigned long long)segment->start);
}

int boot_info_sanitise(struct boot_info *info)
{
	struct range_list clean;
	struct boot_range segment;
	bool complained = false;

	clean.count = 0;
	align_ranges(info);
	for (uint64_t at = 0; at < BOOT_PHYSICAL_END; at = segment.end) {
		bool disputed = false;

		if (!find_segment(info, at, &segment, &disputed))
			continue;
		if (disputed && !complained)
			boot_info_complain(info, "memory map: ranges overlap at 0x%llx: the less usable type counts",
					   (unsigned long long)at);
		complained = complained || disputed;
		append(info, &clean, &segment);
	}
	memcpy(info->ranges, clean.ranges, clean.count * sizeof(clean.ranges[0]));
	info->nr_ranges = clean.count;
	if (boot_info_usable_bytes(info) > 0)
		return 0;
	boot_info_complain(info, "memory map: no usable memory in it");
	return -EINVAL;
}

uint64_t boot_info_usable_bytes(const struct boot_info *info)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < info->nr_ranges; i++)
		if (is_usable(info->ranges[i].type))
			bytes += info->ranges[i].end - info->ranges[i].start;
	return bytes;
}
