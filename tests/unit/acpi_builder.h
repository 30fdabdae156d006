/*
 * Builds ACPI tables in a piece of pretended physical memory, for tests.
 *
 *   acpi_build_init(&b);
 *   acpi_build_begin(&b, "APIC"); acpi_build_u32(&b, 0xfee00000); ... acpi_build_end(&b);
 *   rsdp = acpi_build_finish(&b, 2);
 *   acpi_read_machine(rsdp, acpi_build_map, &b, &machine);
 *
 * Lengths and checksums are filled in; a test breaks them afterwards if that is what it tests.
 */
#pragma once

#include "lib/compiler.h"
#include "lib/string.h"

#define ACPI_BUILD_BASE	  0x7ff0000ull
#define ACPI_BUILD_BYTES  16384u
#define ACPI_BUILD_TABLES 40u

struct acpi_build {
	uint32_t used, table; /* offsets: behind all, and of the table being built */
	uint32_t nr_tables, tables[ACPI_BUILD_TABLES];
	uint8_t bytes[ACPI_BUILD_BYTES];
};

static inline void acpi_build_init(struct acpi_build *b)
{
	memset(b, 0, sizeof(*b));
}

static inline void acpi_build_put(struct acpi_build *b, uint64_t value, uint32_t bytes)
{
	for (; bytes && b->used < ACPI_BUILD_BYTES; bytes--, value >>= 8)
		b->bytes[b->used++] = (uint8_t)value;
}

static inline void acpi_build_u8(struct acpi_build *b, uint8_t value)
{
	acpi_build_put(b, value, 1);
}

static inline void acpi_build_u16(struct acpi_build *b, uint16_t value)
{
	acpi_build_put(b, value, 2);
}

static inline void acpi_build_u32(struct acpi_build *b, uint32_t value)
{
	acpi_build_put(b, value, 4);
}

static inline void acpi_build_u64(struct acpi_build *b, uint64_t value)
{
	acpi_build_put(b, value, 8);
}

static inline void acpi_build_zeros(struct acpi_build *b, uint32_t bytes)
{
	while (bytes-- > 0)
		acpi_build_u8(b, 0);
}

static inline void acpi_build_text(struct acpi_build *b, const char *text)
{
	while (*text)
		acpi_build_u8(b, (uint8_t)*text++);
}

/* Makes the bytes of [at, at + bytes) add up to 0 by setting the one at @where. */
static inline void acpi_build_checksum(struct acpi_build *b, uint32_t at, uint32_t bytes, uint32_t where)
{
	uint8_t sum = 0;

	b->bytes[where] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + b->bytes[at + i]);
	b->bytes[where] = (uint8_t)-sum;
}

static inline void acpi_build_begin(struct acpi_build *b, const char *signature)
{
	b->table = b->used = ALIGN_UP(b->used, 16u);
	acpi_build_text(b, signature);
	acpi_build_u32(b, 0);
	acpi_build_u8(b, 1);
	acpi_build_zeros(b, 27);
}

/* Closes the table and checks it in with the root; its offset. */
static inline uint32_t acpi_build_end(struct acpi_build *b)
{
	uint32_t used = b->used;

	b->used = b->table + 4;
	acpi_build_u32(b, used - b->table);
	b->used = used;
	acpi_build_checksum(b, b->table, used - b->table, b->table + 9);
	b->tables[b->nr_tables++] = b->table;
	return b->table;
}

/* A FADT that says nothing but where the DSDT is. */
static inline void acpi_build_fadt(struct acpi_build *b, uint64_t dsdt)
{
	acpi_build_begin(b, "FACP");
	acpi_build_zeros(b, 40 - 36);
	acpi_build_u32(b, (uint32_t)dsdt);
	(void)acpi_build_end(b);
}

/* The root table and an RSDP of version 1 (RSDT) or 2 (XSDT); its physical address. */
static inline uint64_t acpi_build_finish(struct acpi_build *b, unsigned int version)
{
	uint32_t nr_tables = b->nr_tables, root, rsdp;

	acpi_build_begin(b, version == 2 ? "XSDT" : "RSDT");
	for (uint32_t i = 0; i < nr_tables; i++)
		acpi_build_put(b, ACPI_BUILD_BASE + b->tables[i], version == 2 ? 8 : 4);
	root = acpi_build_end(b);

	b->used = ALIGN_UP(b->used, 16u);
	rsdp = b->used;
	acpi_build_text(b, "RSD PTR ");
	acpi_build_zeros(b, 7);
	acpi_build_u8(b, version == 2 ? 2 : 0);
	/* Version 2 has rubbish where version 1 has its root: it must not be followed. */
	acpi_build_u32(b, version == 2 ? 0xdeadbee0u : (uint32_t)(ACPI_BUILD_BASE + root));
	acpi_build_checksum(b, rsdp, 20, rsdp + 8);
	if (version == 2) {
		acpi_build_u32(b, 36);
		acpi_build_u64(b, ACPI_BUILD_BASE + root);
		acpi_build_u32(b, 0);
		acpi_build_checksum(b, rsdp, 36, rsdp + 32);
	}
	return ACPI_BUILD_BASE + rsdp;
}

/* An acpi_map: exactly what was built can be read. */
static inline const void *acpi_build_map(uint64_t phys, size_t bytes, void *context)
{
	struct acpi_build *b = context;

	if (phys < ACPI_BUILD_BASE || bytes > b->used || phys - ACPI_BUILD_BASE > b->used - bytes)
		return NULL;
	return b->bytes + (phys - ACPI_BUILD_BASE);
}
