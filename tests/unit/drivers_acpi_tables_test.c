/*
 * What is read from each table, and what of it is refused: a table of each kind, then its broken relatives.
 */
#include "drivers/acpi.h"
#include "kernel/ktest.h"
#include "tests/unit/acpi_builder.h"

static struct acpi_build build;
static struct machine machine;

static void read_machine(void)
{
	acpi_read_machine(acpi_build_finish(&build, 2), acpi_build_map, &build, &machine);
}

static void begin_madt(uint32_t local_apic)
{
	acpi_build_begin(&build, "APIC");
	acpi_build_u32(&build, local_apic);
	acpi_build_u32(&build, 1);
}

static void put_cpu(uint8_t apic_id, uint32_t flags)
{
	acpi_build_u16(&build, 0x0800);
	acpi_build_u8(&build, apic_id);
	acpi_build_u8(&build, apic_id);
	acpi_build_u32(&build, flags);
}

static void put_x2apic(uint32_t apic_id, uint32_t flags)
{
	acpi_build_u16(&build, 0x1009);
	acpi_build_u16(&build, 0);
	acpi_build_u32(&build, apic_id);
	acpi_build_u32(&build, flags);
	acpi_build_u32(&build, apic_id);
}

static void put_ioapic(uint8_t id, uint32_t address, uint32_t gsi_base)
{
	acpi_build_u16(&build, 0x0c01);
	acpi_build_u16(&build, id);
	acpi_build_u32(&build, address);
	acpi_build_u32(&build, gsi_base);
}

static void put_override(uint8_t irq, uint32_t gsi, uint16_t flags)
{
	acpi_build_u16(&build, 0x0a02);
	acpi_build_u8(&build, 0);
	acpi_build_u8(&build, irq);
	acpi_build_u32(&build, gsi);
	acpi_build_u16(&build, flags);
}

KTEST(drivers_acpi_tables, madt)
{
	acpi_build_init(&build);
	begin_madt(0xfee00000);
	put_cpu(4, 1);
	put_cpu(5, 0); /* may come later, is not there now */
	put_cpu(6, 2);
	put_x2apic(300, 1);
	put_x2apic(301, 0);
	put_ioapic(7, 0xfec01000, 24);
	put_override(0, 2, 0);
	put_override(9, 9, 0xd);
	put_override(10, 11, 0xf);
	acpi_build_u16(&build, 0x0604); /* an NMI: not for us */
	acpi_build_u32(&build, 0);
	acpi_build_end(&build);
	read_machine();

	EXPECT_EQ(t, machine.nr_cpus, 2u);
	EXPECT_EQ(t, machine.cpus[0].apic_id, 4u);
	EXPECT_EQ(t, machine.cpus[1].apic_id, 300u);
	EXPECT_EQ(t, machine.nr_ioapics, 1u);
	EXPECT_EQ(t, machine.ioapics[0].id, 7u);
	EXPECT_EQ(t, machine.ioapics[0].address, 0xfec01000u);
	EXPECT_EQ(t, machine.ioapics[0].gsi_base, 24u);
	EXPECT_EQ(t, machine.nr_overrides, 3u);
	EXPECT_EQ(t, machine.overrides[0].gsi, 2u);
	EXPECT(t, !machine.overrides[0].level && !machine.overrides[0].active_low);
	EXPECT(t, machine.overrides[1].level && !machine.overrides[1].active_low);
	EXPECT_EQ(t, machine.overrides[2].isa_irq, 10u);
	EXPECT_EQ(t, machine.overrides[2].gsi, 11u);
	EXPECT(t, machine.overrides[2].level && machine.overrides[2].active_low);
}

KTEST(drivers_acpi_tables, madt_local_apic_elsewhere)
{
	acpi_build_init(&build);
	begin_madt(0xfee00000);
	put_cpu(0, 1);
	acpi_build_u32(&build, 0x0c05);
	acpi_build_u64(&build, 0x1fee01000);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.local_apic, 0x1fee01000u);

	acpi_build_init(&build);
	begin_madt(0xfee00010); /* cannot be */
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.local_apic, 0xfee00000u);
}

KTEST(drivers_acpi_tables, madt_too_many_of_everything)
{
	acpi_build_init(&build);
	begin_madt(0xfee00000);
	for (uint32_t i = 0; i < MAX_CPUS + 3; i++)
		put_x2apic(i, 1);
	for (uint8_t i = 0; i < MACHINE_MAX_IOAPICS + 2; i++)
		put_ioapic(i, 0xfec00000 + i * 0x1000u, i * 24u);
	for (uint8_t i = 0; i < MACHINE_MAX_OVERRIDES + 2; i++)
		put_override(i % 16, i, 0);
	put_override(16, 3, 0);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.nr_cpus, MAX_CPUS);
	EXPECT_EQ(t, machine.nr_ioapics, MACHINE_MAX_IOAPICS);
	EXPECT_EQ(t, machine.nr_overrides, MACHINE_MAX_OVERRIDES);
	EXPECT_EQ(t, machine.cpus[MAX_CPUS - 1].apic_id, MAX_CPUS - 1);
}

KTEST(drivers_acpi_tables, madt_nothing_usable_leaves_defaults)
{
	acpi_build_init(&build);
	begin_madt(0xfee00000);
	put_cpu(3, 0);
	put_ioapic(0, 0, 0);
	put_override(16, 2, 0);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.nr_cpus, 1u);
	EXPECT_EQ(t, machine.cpus[0].apic_id, 0u);
	EXPECT_EQ(t, machine.nr_ioapics, 1u);
	EXPECT_EQ(t, machine.ioapics[0].address, 0xfec00000u);
	EXPECT_EQ(t, machine.nr_overrides, 0u);
}

KTEST(drivers_acpi_tables, madt_entries_that_do_not_fit)
{
	acpi_build_init(&build);
	begin_madt(0xfee00000);
	put_cpu(0, 1);
	put_cpu(0, 1);			    /* the same again */
	acpi_build_u32(&build, 0x01010401); /* an IOAPIC of four bytes: skipped */
	put_cpu(1, 1);
	acpi_build_u8(&build, 0);
	acpi_build_u8(&build, 0); /* a length of 0: the end */
	put_cpu(2, 1);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.nr_cpus, 2u);
	EXPECT_EQ(t, machine.nr_ioapics, 1u);
	EXPECT_EQ(t, machine.ioapics[0].address, 0xfec00000u);

	acpi_build_init(&build);
	begin_madt(0xfee00000);
	put_cpu(0, 1);
	put_cpu(1, 1);
	build.used -= 1; /* the table ends within the entry */
	acpi_build_end(&build);
	acpi_build_u8(&build, 0);
	read_machine();
	EXPECT_EQ(t, machine.nr_cpus, 1u);
}

static void begin_srat(void)
{
	acpi_build_begin(&build, "SRAT");
	acpi_build_zeros(&build, 12);
}

static void put_memory(uint32_t domain, uint64_t start, uint64_t bytes, uint32_t flags)
{
	acpi_build_u16(&build, 0x2801);
	acpi_build_u32(&build, domain);
	acpi_build_u16(&build, 0);
	acpi_build_u64(&build, start);
	acpi_build_u64(&build, bytes);
	acpi_build_u32(&build, 0);
	acpi_build_u32(&build, flags);
	acpi_build_u64(&build, 0);
}

static void put_affinity(uint8_t apic_id, uint32_t domain, uint32_t flags)
{
	acpi_build_u16(&build, 0x1000);
	acpi_build_u8(&build, (uint8_t)domain);
	acpi_build_u8(&build, apic_id);
	acpi_build_u32(&build, flags);
	acpi_build_u8(&build, 0);
	acpi_build_put(&build, domain >> 8, 3);
	acpi_build_u32(&build, 0);
}

static void put_x2apic_affinity(uint32_t apic_id, uint32_t domain)
{
	acpi_build_u16(&build, 0x1802);
	acpi_build_u16(&build, 0);
	acpi_build_u32(&build, domain);
	acpi_build_u32(&build, apic_id);
	acpi_build_u32(&build, 1);
	acpi_build_u64(&build, 0);
}

static void put_four_cpus(void)
{
	begin_madt(0xfee00000);
	for (uint8_t i = 0; i < 4; i++)
		put_cpu(i, 1);
	acpi_build_end(&build);
}

/* Domains 0x10203 (first memory), 7 (second) and 9 (a CPU, no memory). */
static void put_three_nodes(void)
{
	begin_srat();
	put_affinity(0, 0x10203, 1);
	put_affinity(1, 9, 1);
	put_affinity(2, 7, 1);
	put_affinity(3, 7, 0); /* not enabled */
	put_x2apic_affinity(3, 0x10203);
	put_memory(7, GIB(1), GIB(1), 1);
	put_memory(0x10203, MIB(1), GIB(1) - MIB(1), 1);
	put_memory(0x10203, 0, 0xa0000, 1);
	put_memory(7, GIB(4), GIB(2), 3);
	put_memory(5, GIB(8), GIB(1), 0); /* not enabled */
	put_memory(5, GIB(8), 0, 1);	  /* empty */
	acpi_build_end(&build);
}

KTEST(drivers_acpi_tables, srat_numbers_nodes_by_memory)
{
	acpi_build_init(&build);
	put_four_cpus();
	put_three_nodes();
	read_machine();

	EXPECT_EQ(t, machine.nr_nodes, 3u);
	EXPECT_EQ(t, machine.nr_memory, 4u);
	EXPECT_EQ(t, machine.memory[0].start, 0u);
	EXPECT_EQ(t, machine.memory[0].end, 0xa0000u);
	EXPECT_EQ(t, machine.memory[0].node, 0u);
	EXPECT_EQ(t, machine.memory[1].end, GIB(1));
	EXPECT_EQ(t, machine.memory[1].node, 0u);
	EXPECT_EQ(t, machine.memory[2].node, 1u);
	EXPECT(t, !machine.memory[2].hotpluggable);
	EXPECT_EQ(t, machine.memory[3].start, GIB(4));
	EXPECT_EQ(t, machine.memory[3].end, GIB(6));
	EXPECT_EQ(t, machine.memory[3].node, 1u);
	EXPECT(t, machine.memory[3].hotpluggable);
	EXPECT_EQ(t, machine.cpus[0].node, 0u);
	EXPECT_EQ(t, machine.cpus[1].node, 2u);
	EXPECT_EQ(t, machine.cpus[2].node, 1u);
	EXPECT_EQ(t, machine.cpus[3].node, 0u);
}

KTEST(drivers_acpi_tables, srat_ranges_that_cannot_be)
{
	acpi_build_init(&build);
	begin_srat();
	put_memory(0, MIB(1), GIB(1), 1);
	put_memory(1, GIB(1), GIB(1), 1);	  /* begins within the one before */
	put_memory(1, UINT64_MAX - 5, GIB(1), 1); /* wraps */
	put_memory(2, GIB(3), GIB(1), 1);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.nr_memory, 2u);
	EXPECT_EQ(t, machine.nr_nodes, 2u);
	EXPECT_EQ(t, machine.memory[1].start, GIB(3));
	EXPECT_EQ(t, machine.memory[1].node, 1u);
}

KTEST(drivers_acpi_tables, srat_too_many_of_everything)
{
	acpi_build_init(&build);
	begin_srat();
	for (uint32_t i = 0; i < MACHINE_MAX_MEMORY + 3; i++)
		put_memory(i, GIB(i), GIB(1), 1);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.nr_memory, MACHINE_MAX_MEMORY);
	EXPECT_EQ(t, machine.nr_nodes, MACHINE_MAX_NODES);
	EXPECT_EQ(t, machine.memory[7].node, 7u);
	EXPECT_EQ(t, machine.memory[8].node, 0u);
}

static void put_slit(uint64_t count, uint64_t claimed)
{
	acpi_build_begin(&build, "SLIT");
	acpi_build_u64(&build, claimed);
	for (uint64_t i = 0; i < count * count; i++)
		acpi_build_u8(&build, i / count == i % count ? 10 : (uint8_t)(30 + i));
	acpi_build_end(&build);
}

static void put_two_nodes_reversed(void)
{
	begin_srat();
	put_memory(1, 0, GIB(1), 1);
	put_memory(0, GIB(1), GIB(1), 1);
	acpi_build_end(&build);
}

KTEST(drivers_acpi_tables, slit_is_read_by_domain)
{
	acpi_build_init(&build);
	put_two_nodes_reversed();
	put_slit(3, 3);
	read_machine();
	EXPECT_EQ(t, machine.distance[0][0], 10u);
	EXPECT_EQ(t, machine.distance[0][1], 33u); /* from domain 1 to domain 0 */
	EXPECT_EQ(t, machine.distance[1][0], 31u);
	EXPECT_EQ(t, machine.distance[0][2], 20u);
}

KTEST(drivers_acpi_tables, slit_that_cannot_be)
{
	static const uint64_t claims[] = {4, 1ull << 32, 0xffffffff, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		acpi_build_init(&build);
		put_two_nodes_reversed();
		put_slit(3, claims[i]);
		read_machine();
		EXPECT_EQ(t, machine.distance[0][1], 20u);
	}

	acpi_build_init(&build);
	put_two_nodes_reversed();
	acpi_build_begin(&build, "SLIT");
	acpi_build_u64(&build, 2);
	acpi_build_u32(&build, 0x0a0a0500 + 10); /* 10 5 / 10 10 */
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.distance[0][1], 20u);
	EXPECT_EQ(t, machine.distance[1][0], 20u);
}

static void put_mcfg_entry(uint64_t base, uint16_t segment, uint8_t first, uint8_t last)
{
	acpi_build_u64(&build, base);
	acpi_build_u16(&build, segment);
	acpi_build_u8(&build, first);
	acpi_build_u8(&build, last);
	acpi_build_u32(&build, 0);
}

KTEST(drivers_acpi_tables, mcfg_gives_the_first_sound_entry_of_segment_0)
{
	acpi_build_init(&build);
	acpi_build_begin(&build, "MCFG");
	acpi_build_u64(&build, 0);
	put_mcfg_entry(0xa0000000, 1, 0, 255);
	put_mcfg_entry(0xb0000100, 0, 0, 255);
	put_mcfg_entry(0xb0000000, 0, 7, 6);
	put_mcfg_entry(0xb0000000, 0, 0, 63);
	put_mcfg_entry(0xc0000000, 0, 0, 255);
	acpi_build_end(&build);
	read_machine();
	EXPECT_EQ(t, machine.ecam, 0xb0000000u);
	EXPECT_EQ(t, machine.ecam_first_bus, 0u);
	EXPECT_EQ(t, machine.ecam_last_bus, 63u);
}

KTEST(drivers_acpi_tables, mcfg_cut_short)
{
	acpi_build_init(&build);
	acpi_build_begin(&build, "MCFG");
	acpi_build_u64(&build, 0);
	put_mcfg_entry(0xb0000000, 0, 0, 63);
	build.used -= 4;
	acpi_build_end(&build);
	acpi_build_u32(&build, 0);
	read_machine();
	EXPECT_EQ(t, machine.ecam, 0u);
}

/* A FADT of @bytes in all. */
static void put_fadt(uint32_t port, uint8_t port_bytes, uint8_t space, uint64_t extended, uint32_t bytes)
{
	uint32_t begin;

	acpi_build_begin(&build, "FACP");
	begin = build.table;
	acpi_build_zeros(&build, 276 - 36);
	build.used = begin + 76;
	acpi_build_u32(&build, port);
	build.bytes[begin + 91] = port_bytes;
	build.bytes[begin + 208] = space;
	build.used = begin + 212;
	acpi_build_u64(&build, extended);
	build.used = begin + bytes;
	acpi_build_end(&build);
	read_machine();
}

KTEST(drivers_acpi_tables, fadt_timer)
{
	acpi_build_init(&build);
	put_fadt(0x608, 4, 0, 0, 116); /* as short as in ACPI 1.0 */
	EXPECT_EQ(t, machine.pm_timer_port, 0x608u);

	acpi_build_init(&build);
	put_fadt(0x608, 4, 1, 0xb008, 276);
	EXPECT_EQ(t, machine.pm_timer_port, 0xb008u);

	acpi_build_init(&build);
	put_fadt(0x608, 4, 0, 0xfed00000, 276); /* in memory: the port counts */
	EXPECT_EQ(t, machine.pm_timer_port, 0x608u);

	acpi_build_init(&build);
	put_fadt(0x608, 0, 0, 0, 276); /* no such block */
	EXPECT_EQ(t, machine.pm_timer_port, 0u);

	acpi_build_init(&build);
	put_fadt(0xffffff00, 4, 0, 0, 276);
	EXPECT_EQ(t, machine.pm_timer_port, 0u);
}
