/*
 * What acpi.c (finding tables) and acpi_tables.c (reading them) share. Fields are read with bounds: what lies
 * beyond the end of a table or of an entry reads as 0, so no length that a table claims can lead a reader
 * astray.
 */
#pragma once

#include "drivers/acpi.h"

struct acpi_table { /* or one entry of it */
	const uint8_t *bytes;
	uint32_t length;
};

/* Little-endian, at any alignment. */
static inline uint64_t acpi_field(const struct acpi_table *table, uint32_t offset, uint32_t bytes)
{
	uint64_t value = 0;

	if (offset > table->length || bytes > table->length - offset)
		return 0;
	while (bytes-- > 0)
		value = value << 8 | table->bytes[offset + bytes];
	return value;
}

static inline uint8_t acpi_u8(const struct acpi_table *table, uint32_t offset)
{
	return (uint8_t)acpi_field(table, offset, 1);
}

static inline uint16_t acpi_u16(const struct acpi_table *table, uint32_t offset)
{
	return (uint16_t)acpi_field(table, offset, 2);
}

static inline uint32_t acpi_u32(const struct acpi_table *table, uint32_t offset)
{
	return (uint32_t)acpi_field(table, offset, 4);
}

static inline uint64_t acpi_u64(const struct acpi_table *table, uint32_t offset)
{
	return acpi_field(table, offset, 8);
}

#define ACPI_HEADER_BYTES 36u

/* The firmware's names for nodes, by our numbers. */
struct acpi_domains {
	size_t count;
	uint32_t domain[MACHINE_MAX_NODES];
};

/* The reading order: the MADT gives the CPUs, the SRAT their nodes and the domains, the SLIT distances of
 * those. */
void acpi_read_madt(const struct acpi_table *madt, struct machine *machine);
void acpi_read_srat(const struct acpi_table *srat, struct machine *machine, struct acpi_domains *domains);
void acpi_read_slit(const struct acpi_table *slit, struct machine *machine, const struct acpi_domains *domains);
void acpi_read_mcfg(const struct acpi_table *mcfg, struct machine *machine);
void acpi_read_fadt(const struct acpi_table *fadt, struct machine *machine);
/* Where the DSDT is, by the FADT; 0: nowhere. */
uint64_t acpi_fadt_dsdt(const struct acpi_table *fadt);
void acpi_read_dsdt(const struct acpi_table *dsdt, struct machine *machine);
