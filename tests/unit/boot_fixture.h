/*
 * For the boot parsers' tests: a piece of physical memory, readable at one place and nowhere else.
 */
#pragma once

#include "lib/string.h"

#include "arch/x86_64/boot/parsers.h"

struct fake_memory {
	uint64_t phys;
	size_t bytes;
	uint8_t data[16384];
};

static inline const void *fake_map(uint64_t phys, size_t bytes, void *context)
{
	const struct fake_memory *memory = context;

	if (phys < memory->phys || phys - memory->phys > memory->bytes || bytes > memory->bytes - (phys - memory->phys))
		return NULL;
	return memory->data + (phys - memory->phys);
}

/* Appends @bytes; their physical address. */
static inline uint64_t fake_append(struct fake_memory *memory, const void *from, size_t bytes)
{
	uint64_t at = memory->phys + memory->bytes;

	memcpy(memory->data + memory->bytes, from, bytes);
	memory->bytes += bytes;
	return at;
}

static inline bool boot_complained(const struct boot_info *info, const char *about)
{
	return strstr(info->complaints, about) != NULL;
}
