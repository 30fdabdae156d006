/*
 * boot_info: any ranges, added raw. Besides being sound, no page may become more usable than one of its ranges said.
 */
#include "tests/fuzz/boot_input.h"

struct raw_range {
	uint64_t start, bytes;
	uint8_t type;
} PACKED;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool is_usable(const struct boot_range *range)
{
	return range->type <= BOOT_MEMORY_BOOT_SERVICES;
}

static void usable_must_overlap_nothing(const struct boot_info *info, const struct boot_info *raw)
{
	for (size_t i = 0; i < info->nr_ranges; i++)
		for (size_t j = 0; is_usable(&info->ranges[i]) && j < raw->nr_ranges; j++)
			MUST(is_usable(&raw->ranges[j]) || raw->ranges[j].end <= info->ranges[i].start ||
			     raw->ranges[j].start >= info->ranges[i].end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct boot_info info, raw;

	memset(&info, 0, sizeof(info));
	for (; bytes >= sizeof(struct raw_range); data += sizeof(struct raw_range), bytes -= sizeof(struct raw_range)) {
		struct raw_range range;

		memcpy(&range, data, sizeof(range));
		boot_info_add_range(&info, range.start, range.bytes, range.type % (BOOT_MEMORY_BAD + 1));
	}
	boot_info_add_cmdline(&info, (const char *)data, bytes);
	raw = info;
	boot_info_must_become_sound(&info);
	usable_must_overlap_nothing(&info, &raw);
	return 0;
}
