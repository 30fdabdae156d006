/*
 * Finding tables: both versions of the root, every way in which one may be broken, and the BIOS area.
 */
#include "drivers/acpi.h"
#include "kernel/ktest.h"
#include "kernel/memory.h"
#include "tests/unit/acpi_builder.h"

static struct acpi_build build;
static struct machine machine;

/* Two CPUs; its offset. */
static uint32_t add_madt(void)
{
	acpi_build_begin(&build, "APIC");
	acpi_build_u32(&build, 0xfee00000);
	acpi_build_u32(&build, 1);
	for (uint8_t id = 0; id < 2; id++) {
		acpi_build_u16(&build, 0x0800);
		acpi_build_u8(&build, id);
		acpi_build_u8(&build, id);
		acpi_build_u32(&build, 1);
	}
	return acpi_build_end(&build);
}

static void read_machine(uint64_t rsdp)
{
	memset(&machine, 0xee, sizeof(machine));
	acpi_read_machine(rsdp, acpi_build_map, &build, &machine);
}

static void expect_defaults(struct ktest *t)
{
	EXPECT_EQ(t, machine.nr_cpus, 1u);
	EXPECT_EQ(t, machine.cpus[0].apic_id, 0u);
	EXPECT_EQ(t, machine.cpus[0].node, 0u);
	EXPECT_EQ(t, machine.nr_ioapics, 1u);
	EXPECT_EQ(t, machine.ioapics[0].address, 0xfec00000u);
	EXPECT_EQ(t, machine.local_apic, 0xfee00000u);
	EXPECT_EQ(t, machine.nr_nodes, 1u);
	EXPECT_EQ(t, machine.nr_memory, 0u);
	EXPECT_EQ(t, machine.nr_overrides, 0u);
	EXPECT_EQ(t, machine.ecam, 0u);
	EXPECT_EQ(t, machine.pm_timer_port, 0u);
	EXPECT_EQ(t, machine.distance[0][0], 10u);
	EXPECT_EQ(t, machine.distance[0][7], 20u);
}

KTEST(drivers_acpi, without_an_rsdp_there_are_defaults)
{
	acpi_build_init(&build);
	read_machine(0);
	EXPECT(t, !machine.has_acpi);
	expect_defaults(t);
}

KTEST(drivers_acpi, both_root_tables_are_read)
{
	for (unsigned int version = 1; version <= 2; version++) {
		acpi_build_init(&build);
		acpi_build_begin(&build, "SSDT"); /* another's */
		acpi_build_end(&build);
		add_madt();
		read_machine(acpi_build_finish(&build, version));
		EXPECT(t, machine.has_acpi);
		EXPECT_EQ(t, machine.nr_cpus, 2u);
	}
}

KTEST(drivers_acpi, a_broken_rsdp_is_not_followed)
{
	uint64_t rsdp;

	acpi_build_init(&build);
	add_madt();
	rsdp = acpi_build_finish(&build, 1);
	for (uint32_t i = 0; i < 20; i++) {
		build.bytes[rsdp - ACPI_BUILD_BASE + i] ^= 0x10;
		read_machine(rsdp);
		EXPECT(t, !machine.has_acpi);
		expect_defaults(t);
		build.bytes[rsdp - ACPI_BUILD_BASE + i] ^= 0x10;
	}
	read_machine(rsdp + 1);
	EXPECT(t, !machine.has_acpi);
	read_machine(0x10);
	EXPECT(t, !machine.has_acpi);
	read_machine(UINT64_MAX - 3);
	EXPECT(t, !machine.has_acpi);
	read_machine(rsdp);
	EXPECT(t, machine.has_acpi);
}

KTEST(drivers_acpi, a_broken_second_part_leaves_the_first)
{
	uint64_t rsdp;
	uint32_t at;

	/* A version 2 RSDP whose first part names an RSDT that is there. */
	acpi_build_init(&build);
	add_madt();
	rsdp = acpi_build_finish(&build, 1);
	at = (uint32_t)(rsdp - ACPI_BUILD_BASE);
	build.bytes[at + 15] = 2;
	acpi_build_checksum(&build, at, 20, at + 8);
	acpi_build_zeros(&build, 16); /* no length, no XSDT */
	read_machine(rsdp);
	EXPECT(t, machine.has_acpi);
	EXPECT_EQ(t, machine.nr_cpus, 2u);
}

KTEST(drivers_acpi, a_broken_table_is_left_out)
{
	uint32_t madt;
	uint64_t rsdp;

	acpi_build_init(&build);
	madt = add_madt();
	rsdp = acpi_build_finish(&build, 2);

	build.bytes[madt + 40] ^= 1; /* contents no longer match the checksum */
	read_machine(rsdp);
	EXPECT(t, machine.has_acpi);
	expect_defaults(t);
	build.bytes[madt + 40] ^= 1;

	build.bytes[madt + 4] = 20; /* shorter than its own header */
	acpi_build_checksum(&build, madt, 20, madt + 9);
	read_machine(rsdp);
	expect_defaults(t);

	build.bytes[madt + 6] = 0x01; /* beyond the end of memory */
	read_machine(rsdp);
	expect_defaults(t);
	build.bytes[madt + 7] = 0x7f; /* absurd */
	read_machine(rsdp);
	expect_defaults(t);
}

KTEST(drivers_acpi, a_sound_table_behind_a_broken_one_is_found)
{
	uint32_t broken;

	acpi_build_init(&build);
	broken = add_madt();
	add_madt();
	build.bytes[broken + 50] ^= 1;
	read_machine(acpi_build_finish(&build, 2));
	EXPECT_EQ(t, machine.nr_cpus, 2u);
}

/* The first MiB, for the BIOS area. */
static uint8_t *low_memory;

static const void *low_map(uint64_t phys, size_t bytes, void *context UNUSED)
{
	return phys + bytes <= MIB(1) ? low_memory + phys : NULL;
}

/* An RSDP that is sound in itself. */
static void place_rsdp(uint64_t at)
{
	acpi_build_init(&build);
	build.used = 64;
	memcpy(low_memory + at, build.bytes + (acpi_build_finish(&build, 1) - ACPI_BUILD_BASE), 20);
}

KTEST(drivers_acpi, the_bios_area_is_searched)
{
	low_memory = kzalloc(MIB(1));
	REQUIRE(t, low_memory);
	ktest_defer(t, kfree, low_memory);

	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0u);
	place_rsdp(0xf5a28); /* not on a 16-byte boundary */
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0u);
	place_rsdp(0xfffe0);
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0xfffe0u);
	place_rsdp(0xe0000);
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0xe0000u);
	low_memory[0xe0009] ^= 1; /* a wrong checksum: the next one counts */
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0xfffe0u);
}

KTEST(drivers_acpi, the_extended_bios_data_area_is_searched)
{
	low_memory = kzalloc(MIB(1));
	REQUIRE(t, low_memory);
	ktest_defer(t, kfree, low_memory);

	place_rsdp(0x9fc20);
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0u); /* nobody points there */
	low_memory[0x40f] = 0x9f;
	low_memory[0x40e] = 0xc0;
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0x9fc20u);
	low_memory[0x40f] = 0x10; /* not where such an area can be */
	EXPECT_EQ(t, acpi_find_rsdp(low_map, NULL), 0u);
}
