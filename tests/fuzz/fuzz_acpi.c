/*
 * Hostile ACPI tables. The input is a list of tables (kind, length, content); signatures, lengths and checksums are put
 * right around them, and a FADT at the end names the last DSDT, so that the fuzzer spends its time behind those checks.
 * A first byte above 0xf0 gives the input raw instead, as memory with the RSDP at its start. Whatever comes: struct
 * machine is within its bounds.
 */
#include <stdlib.h>

#include "drivers/acpi.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "tests/unit/acpi_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The services behind: complaints are expected, assertions are not. */
void printk(enum log_level level UNUSED, const char *fmt UNUSED, ...)
{
}

void assertion_failed(const char *condition UNUSED, const char *file UNUSED, int line UNUSED, const char *fmt UNUSED,
		      ...)
{
	abort();
}

static const char *const signatures[] = {"APIC", "SRAT", "SLIT", "MCFG", "FACP", "SSDT", "DSDT"};

static uint64_t build_tables(struct acpi_build *build, const uint8_t *data, size_t size)
{
	uint32_t dsdt = 0;
	size_t at = 1;

	while (at + 3 <= size && build->nr_tables < ACPI_BUILD_TABLES - 2) {
		size_t length = MIN((size_t)(data[at + 1] | data[at + 2] << 8), size - at - 3);

		if (build->used + length + 1024 > ACPI_BUILD_BYTES)
			break;
		acpi_build_begin(build, signatures[data[at] % ARRAY_SIZE(signatures)]);
		if (data[at] % ARRAY_SIZE(signatures) == ARRAY_SIZE(signatures) - 1)
			dsdt = build->table;
		memcpy(build->bytes + build->used, data + at + 3, length);
		build->used += (uint32_t)length;
		acpi_build_end(build);
		at += 3 + length;
	}
	acpi_build_fadt(build, ACPI_BUILD_BASE + dsdt);
	return acpi_build_finish(build, data[0] % 2 + 1);
}

static uint64_t build_raw(struct acpi_build *build, const uint8_t *data, size_t size)
{
	build->used = (uint32_t)MIN(size - 1, (size_t)ACPI_BUILD_BYTES);
	memcpy(build->bytes, data + 1, build->used);
	return ACPI_BUILD_BASE;
}

static void check_machine(const struct machine *machine)
{
	ASSERT(machine->nr_cpus >= 1 && machine->nr_cpus <= MAX_CPUS);
	ASSERT(machine->nr_ioapics >= 1 && machine->nr_ioapics <= MACHINE_MAX_IOAPICS);
	ASSERT(machine->nr_overrides <= MACHINE_MAX_OVERRIDES);
	ASSERT(machine->nr_memory <= MACHINE_MAX_MEMORY);
	ASSERT(machine->nr_virtio_mmio <= MACHINE_MAX_VIRTIO_MMIO);
	ASSERT(machine->nr_nodes >= 1 && machine->nr_nodes <= MACHINE_MAX_NODES);
	ASSERT(machine->local_apic != 0);
	for (size_t i = 0; i < machine->nr_cpus; i++)
		ASSERT(machine->cpus[i].node < machine->nr_nodes);
	for (size_t i = 0; i < machine->nr_memory; i++) {
		ASSERT(machine->memory[i].start < machine->memory[i].end);
		ASSERT(machine->memory[i].node < machine->nr_nodes);
		ASSERT(i == 0 || machine->memory[i - 1].end <= machine->memory[i].start);
	}
	for (size_t i = 0; i < MACHINE_MAX_NODES; i++)
		ASSERT(machine->distance[i][i] == 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acpi_build build;
	static struct machine machine;
	uint64_t rsdp;

	if (size < 1)
		return 0;
	acpi_build_init(&build);
	rsdp = data[0] > 0xf0 ? build_raw(&build, data, size) : build_tables(&build, data, size);
	acpi_read_machine(rsdp, acpi_build_map, &build, &machine);
	check_machine(&machine);
	return 0;
}
