/*
 * For the fuzzers of the boot parsers: the input is all memory there is, and what must hold whatever was in it.
 */
#pragma once

#include <stdlib.h>

#include "arch/x86_64/boot/parsers.h"
#include "lib/string.h"

#include <arch/page.h>

/* The input lies here; the parsers are entered at its start. */
#define INPUT_PHYS 0x1000u

struct boot_input {
	const uint8_t *data;
	size_t bytes;
};

static inline const void *input_map(uint64_t phys, size_t bytes, void *context)
{
	const struct boot_input *input = context;

	if (phys < INPUT_PHYS || phys - INPUT_PHYS > input->bytes || bytes > input->bytes - (phys - INPUT_PHYS))
		return NULL;
	return input->data + (phys - INPUT_PHYS);
}

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* Makes it sound and looks whether it is. */
static inline void boot_info_must_become_sound(struct boot_info *info)
{
	int result = boot_info_sanitise(info);
	uint64_t behind = 0;

	MUST(memchr(info->cmdline, 0, sizeof(info->cmdline)));
	MUST(strlen(info->complaints) == info->complaints_length);
	MUST(info->rsdp_copy_bytes <= sizeof(info->rsdp_copy));
	MUST(info->nr_ranges <= BOOT_MAX_RANGES);
	for (size_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *range = &info->ranges[i];

		MUST(range->start >= behind && range->start < range->end && range->end <= BOOT_PHYSICAL_END);
		MUST(IS_ALIGNED(range->start | range->end, PAGE_SIZE));
		if (range->type <= BOOT_MEMORY_BOOT_SERVICES)
			MUST(range->start >= PAGE_SIZE && (range->end <= 0xa0000 || range->start >= 0x100000));
		behind = range->end;
	}
	MUST((result == 0) == (boot_info_usable_bytes(info) > 0));
}
