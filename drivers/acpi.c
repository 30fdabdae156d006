/*
 * Finding the ACPI tables: RSDP, then XSDT or RSDT, then those tables that say what we need (ACPI 6.4,
 * clause 5.2).
 *
 * The machine is first described by defaults; each table that is found sound then overwrites its part. So any
 * combination of missing and broken tables leaves a machine that can run, if with fewer CPUs. A table counts
 * as sound when its signature, its length and its checksum agree; what its entries say is checked by
 * acpi_tables.c.
 */
#include "drivers/acpi.h"

#include "drivers/acpi_internal.h"
#include "kernel/printk.h"
#include "lib/string.h"

#define DEFAULT_LOCAL_APIC 0xfee00000u
#define DEFAULT_IOAPIC	   0xfec00000u

#define RSDP_BYTES_V1 20u
#define RSDP_BYTES_V2 36u

/* Tables of ours are a few KiB; the largest there is, an SRAT for 64 CPUs and 64 ranges, has 4 KiB. */
#define MAX_TABLE_BYTES	 (1u << 20)
#define MAX_ROOT_ENTRIES 128u

struct reader {
	acpi_map map;
	void *context;
};

static bool checksum_good(const uint8_t *bytes, uint32_t length)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < length; i++)
		sum += bytes[i];
	return sum == 0;
}

static void default_machine(struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	machine->local_apic = DEFAULT_LOCAL_APIC;
	machine->nr_cpus = 1;
	machine->nr_ioapics = 1;
	machine->ioapics[0].address = DEFAULT_IOAPIC;
	machine->nr_nodes = 1;
	for (size_t from = 0; from < MACHINE_MAX_NODES; from++)
		for (size_t to = 0; to < MACHINE_MAX_NODES; to++)
			machine->distance[from][to] = from == to ? 10 : 20;
}

/* The table at @phys if it begins with @signature and is sound. Another table is no fault, a broken one has a
 * line. */
static bool read_table(const struct reader *reader, uint64_t phys, const char *signature, struct acpi_table *table)
{
	const uint8_t *header = reader->map(phys, ACPI_HEADER_BYTES, reader->context);

	if (!header || memcmp(header, signature, 4) != 0)
		return false;
	*table = (struct acpi_table){.bytes = header, .length = ACPI_HEADER_BYTES};
	table->length = acpi_u32(table, 4);
	if (table->length < ACPI_HEADER_BYTES || table->length > MAX_TABLE_BYTES) {
		pr_err("acpi: %s at 0x%lx claims %u bytes: ignored", signature, phys, table->length);
		return false;
	}
	table->bytes = reader->map(phys, table->length, reader->context);
	if (!table->bytes) {
		pr_err("acpi: %s at 0x%lx (%u bytes) is not in memory: ignored", signature, phys, table->length);
		return false;
	}
	if (!checksum_good(table->bytes, table->length)) {
		pr_err("acpi: %s at 0x%lx has a wrong checksum: ignored", signature, phys);
		return false;
	}
	return true;
}

/* Where the root table is, and whether it has 64-bit entries. */
static bool read_rsdp(const struct reader *reader, uint64_t phys, uint64_t *root, bool *is_xsdt)
{
	struct acpi_table rsdp = {.length = RSDP_BYTES_V1};

	rsdp.bytes = reader->map(phys, RSDP_BYTES_V1, reader->context);
	if (!rsdp.bytes || memcmp(rsdp.bytes, "RSD PTR ", 8) != 0 || !checksum_good(rsdp.bytes, RSDP_BYTES_V1))
		return false;
	*root = acpi_u32(&rsdp, 16);
	*is_xsdt = false;
	if (acpi_u8(&rsdp, 15) < 2)
		return true;

	/* From version 2 on it is longer, with a checksum of its own; if that part is broken the first still
	 * holds. */
	rsdp.bytes = reader->map(phys, RSDP_BYTES_V2, reader->context);
	rsdp.length = RSDP_BYTES_V2;
	if (rsdp.bytes && checksum_good(rsdp.bytes, RSDP_BYTES_V2) && acpi_u64(&rsdp, 24)) {
		*root = acpi_u64(&rsdp, 24);
		*is_xsdt = true;
	}
	return true;
}

struct root {
	const struct reader *reader;
	struct acpi_table table;
	uint32_t entry_bytes, nr_entries;
};

static bool read_root(const struct reader *reader, uint64_t rsdp, struct root *root)
{
	bool is_xsdt;
	uint64_t phys;

	if (!read_rsdp(reader, rsdp, &phys, &is_xsdt)) {
		pr_err("acpi: no sound RSDP at 0x%lx: going on without ACPI", rsdp);
		return false;
	}
	if (!read_table(reader, phys, is_xsdt ? "XSDT" : "RSDT", &root->table)) {
		pr_err("acpi: no sound root table at 0x%lx: going on without ACPI", phys);
		return false;
	}
	root->reader = reader;
	root->entry_bytes = is_xsdt ? 8 : 4;
	root->nr_entries = (root->table.length - ACPI_HEADER_BYTES) / root->entry_bytes;
	if (root->nr_entries > MAX_ROOT_ENTRIES) {
		pr_warn("acpi: the root table lists %u tables: only the first %u are looked at", root->nr_entries,
			MAX_ROOT_ENTRIES);
		root->nr_entries = MAX_ROOT_ENTRIES;
	}
	return true;
}

/* The first sound table with this signature. */
static bool find_table(const struct root *root, const char *signature, struct acpi_table *table)
{
	for (uint32_t i = 0; i < root->nr_entries; i++) {
		uint32_t offset = ACPI_HEADER_BYTES + i * root->entry_bytes;
		uint64_t phys = acpi_field(&root->table, offset, root->entry_bytes);

		if (read_table(root->reader, phys, signature, table))
			return true;
	}
	return false;
}

void acpi_read_machine(uint64_t rsdp, acpi_map map, void *context, struct machine *machine)
{
	struct reader reader = {.map = map, .context = context};
	struct acpi_domains domains = {.count = 0};
	struct acpi_table table;
	struct root root;

	default_machine(machine);
	if (rsdp == 0 || !read_root(&reader, rsdp, &root))
		return;
	machine->has_acpi = true;
	if (find_table(&root, "APIC", &table))
		acpi_read_madt(&table, machine);
	else
		pr_err("acpi: no MADT: one CPU, interrupt controllers at their usual addresses");
	if (find_table(&root, "SRAT", &table)) {
		acpi_read_srat(&table, machine, &domains);
		if (find_table(&root, "SLIT", &table))
			acpi_read_slit(&table, machine, &domains);
	}
	if (find_table(&root, "MCFG", &table))
		acpi_read_mcfg(&table, machine);
	if (find_table(&root, "FACP", &table)) {
		acpi_read_fadt(&table, machine);
		if (read_table(&reader, acpi_fadt_dsdt(&table), "DSDT", &table))
			acpi_read_dsdt(&table, machine);
	}
}

/* RSDPs lie on 16-byte boundaries. */
static uint64_t scan(const struct reader *reader, uint64_t start, uint64_t bytes)
{
	const uint8_t *area = reader->map(start, bytes, reader->context);
	bool is_xsdt;
	uint64_t root;

	for (uint64_t at = 0; area && at + RSDP_BYTES_V1 <= bytes; at += 16)
		if (memcmp(area + at, "RSD PTR ", 8) == 0 && read_rsdp(reader, start + at, &root, &is_xsdt))
			return start + at;
	return 0;
}

uint64_t acpi_find_rsdp(acpi_map map, void *context)
{
	struct reader reader = {.map = map, .context = context};
	struct acpi_table bios_data = {.bytes = map(0x400, 0x100, context), .length = 0x100};
	uint64_t extended = bios_data.bytes ? (uint64_t)acpi_u16(&bios_data, 0x0e) << 4 : 0;
	uint64_t found = 0;

	/* The word at 0x40e is a segment; the area lies between 512 KiB and the frame buffer at 640 KiB. */
	if (extended >= 0x80000 && extended < 0xa0000)
		found = scan(&reader, extended, 1024);
	return found ? found : scan(&reader, 0xe0000, 0x20000);
}
