/*
 * What the tables say about CPUs, interrupt controllers, nodes, PCI and the timer (ACPI 6.4, clauses 5.2.9
 * to 5.2.17; the MCFG is from the PCI firmware specification 3.0, clause 4.1.2).
 *
 * The MADT and the SRAT are lists of entries (type, length, fields). An entry that does not fit ends the
 * list; one too short for its type, or beyond what struct machine can hold, is skipped. Each has one line.
 */
#include "drivers/acpi_internal.h"
#include "kernel/printk.h"
#include "lib/sort.h"

#define MADT_ENTRIES_OFFSET 44u
#define SRAT_ENTRIES_OFFSET 48u
#define SLIT_MATRIX_OFFSET  44u
#define MCFG_ENTRIES_OFFSET 44u
#define MCFG_ENTRY_BYTES    16u

#define ENTRY_ENABLED	    1u
#define SRAT_MEMORY_HOTPLUG 2u
#define GAS_SYSTEM_IO	    1u

/* How one type of entry is read. */
struct entry_kind {
	uint8_t type;
	uint8_t bytes; /* at least */
	void (*read)(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains);
};

/* Reads all entries behind @offset whose type is among @kinds. */
static void read_entries(const struct acpi_table *table, uint32_t offset, const struct entry_kind *kinds,
			 size_t nr_kinds, struct machine *machine, struct acpi_domains *domains)
{
	struct acpi_table entry;

	for (; offset < table->length; offset += entry.length) {
		entry = (struct acpi_table){.bytes = table->bytes + offset, .length = acpi_u8(table, offset + 1)};
		if (entry.length < 2 || entry.length > table->length - offset) {
			pr_err("acpi: %.4s: the entry at %u has %u bytes: it and all behind it are ignored",
			       (const char *)table->bytes, offset, entry.length);
			return;
		}
		for (size_t i = 0; i < nr_kinds; i++) {
			if (kinds[i].type != entry.bytes[0])
				continue;
			if (entry.length >= kinds[i].bytes)
				kinds[i].read(&entry, machine, domains);
			else
				pr_err("acpi: %.4s: the entry at %u of type %u has only %u bytes: skipped",
				       (const char *)table->bytes, offset, entry.bytes[0], entry.length);
		}
	}
}

/* ---- MADT: CPUs and interrupt controllers ---- */

static void add_cpu(struct machine *machine, uint32_t apic_id)
{
	for (size_t i = 0; i < machine->nr_cpus; i++)
		if (machine->cpus[i].apic_id == apic_id) {
			pr_err("acpi: APIC id %u comes twice: the second is ignored", apic_id);
			return;
		}
	if (machine->nr_cpus == MAX_CPUS) {
		pr_warn("acpi: the CPU with APIC id %u is beyond the %u that we run: left out", apic_id, MAX_CPUS);
		return;
	}
	machine->cpus[machine->nr_cpus++] = (struct machine_cpu){.apic_id = apic_id};
}

static void read_local_apic(const struct acpi_table *entry, struct machine *machine,
			    struct acpi_domains *domains UNUSED)
{
	if (acpi_u32(entry, 4) & ENTRY_ENABLED)
		add_cpu(machine, acpi_u8(entry, 3));
}

static void read_local_x2apic(const struct acpi_table *entry, struct machine *machine,
			      struct acpi_domains *domains UNUSED)
{
	if (acpi_u32(entry, 8) & ENTRY_ENABLED)
		add_cpu(machine, acpi_u32(entry, 4));
}

static void read_ioapic(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains UNUSED)
{
	struct machine_ioapic ioapic = {
		.id = acpi_u8(entry, 2),
		.address = acpi_u32(entry, 4),
		.gsi_base = acpi_u32(entry, 8),
	};

	if (machine->nr_ioapics == MACHINE_MAX_IOAPICS || ioapic.address == 0) {
		pr_err("acpi: IOAPIC %u at 0x%x: %s, left out", ioapic.id, ioapic.address,
		       ioapic.address ? "one too many" : "no address");
		return;
	}
	machine->ioapics[machine->nr_ioapics++] = ioapic;
}

static void read_override(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains UNUSED)
{
	uint16_t flags = acpi_u16(entry, 8);
	/* Polarity in bits 0-1 (3: low), trigger in bits 2-3 (3: level); 0 is the bus's own way: high, edge.
	 */
	struct machine_override override = {
		.isa_irq = acpi_u8(entry, 3),
		.gsi = acpi_u32(entry, 4),
		.active_low = (flags & 3) == 3,
		.level = (flags >> 2 & 3) == 3,
	};

	if (acpi_u8(entry, 2) != 0 || override.isa_irq > 15 || machine->nr_overrides == MACHINE_MAX_OVERRIDES) {
		pr_err("acpi: override of IRQ %u on bus %u makes no sense or is one too many: ignored",
		       override.isa_irq, acpi_u8(entry, 2));
		return;
	}
	machine->overrides[machine->nr_overrides++] = override;
}

static void read_local_apic_address(const struct acpi_table *entry, struct machine *machine,
				    struct acpi_domains *domains UNUSED)
{
	machine->local_apic = acpi_u64(entry, 4);
}

void acpi_read_madt(const struct acpi_table *madt, struct machine *machine)
{
	static const struct entry_kind kinds[] = {
		{0, 8, read_local_apic},	  {1, 12, read_ioapic},	      {2, 10, read_override},
		{5, 12, read_local_apic_address}, {9, 16, read_local_x2apic},
	};
	const uint64_t usual_local_apic = machine->local_apic;
	const struct machine_cpu only_cpu = machine->cpus[0];
	const struct machine_ioapic usual_ioapic = machine->ioapics[0];

	machine->local_apic = acpi_u32(madt, 36);
	machine->nr_cpus = 0;
	machine->nr_ioapics = 0;
	read_entries(madt, MADT_ENTRIES_OFFSET, kinds, ARRAY_SIZE(kinds), machine, NULL);

	if (machine->local_apic == 0 || machine->local_apic % 4096 != 0) {
		pr_err("acpi: local APIC at 0x%lx cannot be: using 0x%lx", machine->local_apic, usual_local_apic);
		machine->local_apic = usual_local_apic;
	}
	if (machine->nr_cpus == 0) {
		pr_err("acpi: MADT: no CPU is enabled: using one");
		machine->nr_cpus = 1;
		machine->cpus[0] = only_cpu;
	}
	if (machine->nr_ioapics == 0) {
		pr_err("acpi: MADT: no IOAPIC: trying 0x%x", usual_ioapic.address);
		machine->nr_ioapics = 1;
		machine->ioapics[0] = usual_ioapic;
	}
}

/* ---- SRAT: nodes of memory and CPUs ---- */

/* Our number for a proximity domain, a new one if it was not seen before. */
static uint32_t node_of(struct acpi_domains *domains, uint32_t domain)
{
	for (size_t i = 0; i < domains->count; i++)
		if (domains->domain[i] == domain)
			return (uint32_t)i;
	if (domains->count == MACHINE_MAX_NODES) {
		pr_warn("acpi: proximity domain %u is beyond %u nodes: counted as node 0", domain, MACHINE_MAX_NODES);
		return 0;
	}
	domains->domain[domains->count] = domain;
	return (uint32_t)domains->count++;
}

/* Keeps the domain in place of the node, until all ranges are known. */
static void read_memory(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains UNUSED)
{
	uint64_t start = acpi_u64(entry, 8), bytes = acpi_u64(entry, 16);
	uint32_t flags = acpi_u32(entry, 28);

	if (!(flags & ENTRY_ENABLED) || bytes == 0)
		return;
	if (start + bytes < start || machine->nr_memory == MACHINE_MAX_MEMORY) {
		pr_err("acpi: SRAT: memory at 0x%lx, 0x%lx bytes: %s, ignored", start, bytes,
		       start + bytes < start ? "wraps" : "one too many");
		return;
	}
	machine->memory[machine->nr_memory++] = (struct machine_memory){
		.start = start,
		.end = start + bytes,
		.node = acpi_u32(entry, 2),
		.hotpluggable = flags & SRAT_MEMORY_HOTPLUG,
	};
}

static int compare_memory(const void *a, const void *b)
{
	uint64_t left = ((const struct machine_memory *)a)->start, right = ((const struct machine_memory *)b)->start;

	return left < right ? -1 : left > right;
}

/* Sorts the ranges, drops those that overlap one before, and turns domains into nodes by rising address. */
static void number_memory(struct machine *machine, struct acpi_domains *domains)
{
	size_t kept = 0;

	sort(machine->memory, machine->nr_memory, sizeof(machine->memory[0]), compare_memory);
	for (size_t i = 0; i < machine->nr_memory; i++) {
		struct machine_memory range = machine->memory[i];

		if (kept > 0 && range.start < machine->memory[kept - 1].end) {
			pr_err("acpi: SRAT: memory at 0x%lx overlaps the range before it: ignored", range.start);
			continue;
		}
		range.node = node_of(domains, range.node);
		machine->memory[kept++] = range;
	}
	machine->nr_memory = kept;
}

static void set_cpu_node(struct machine *machine, uint32_t apic_id, uint32_t node)
{
	for (size_t i = 0; i < machine->nr_cpus; i++)
		if (machine->cpus[i].apic_id == apic_id)
			machine->cpus[i].node = node;
}

static void read_cpu_affinity(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains)
{
	/* The upper three bytes of the domain came later, behind the rest. */
	uint32_t domain = acpi_u8(entry, 2) | (uint32_t)acpi_field(entry, 9, 3) << 8;

	if (acpi_u32(entry, 4) & ENTRY_ENABLED)
		set_cpu_node(machine, acpi_u8(entry, 3), node_of(domains, domain));
}

static void read_x2apic_affinity(const struct acpi_table *entry, struct machine *machine, struct acpi_domains *domains)
{
	if (acpi_u32(entry, 12) & ENTRY_ENABLED)
		set_cpu_node(machine, acpi_u32(entry, 8), node_of(domains, acpi_u32(entry, 4)));
}

void acpi_read_srat(const struct acpi_table *srat, struct machine *machine, struct acpi_domains *domains)
{
	static const struct entry_kind memory[] = {{1, 40, read_memory}};
	static const struct entry_kind cpus[] = {{0, 16, read_cpu_affinity}, {2, 24, read_x2apic_affinity}};

	read_entries(srat, SRAT_ENTRIES_OFFSET, memory, ARRAY_SIZE(memory), machine, domains);
	number_memory(machine, domains);
	/* CPUs second: a node without memory comes behind those that have some. */
	read_entries(srat, SRAT_ENTRIES_OFFSET, cpus, ARRAY_SIZE(cpus), machine, domains);
	machine->nr_nodes = MAX(domains->count, (size_t)1);
}

/* ---- SLIT: distances ---- */

void acpi_read_slit(const struct acpi_table *slit, struct machine *machine, const struct acpi_domains *domains)
{
	uint64_t count = acpi_u64(slit, 36);

	if (count > 0xffff || SLIT_MATRIX_OFFSET + count * count > slit->length) {
		pr_err("acpi: SLIT: %lu domains do not fit in %u bytes: default distances", count, slit->length);
		return;
	}
	for (size_t from = 0; from < domains->count; from++) {
		for (size_t to = 0; to < domains->count; to++) {
			uint64_t row = domains->domain[from], column = domains->domain[to];
			uint8_t distance;

			if (from == to || row >= count || column >= count)
				continue;
			distance = acpi_u8(slit, (uint32_t)(SLIT_MATRIX_OFFSET + row * count + column));
			if (distance > 10)
				machine->distance[from][to] = distance;
			else
				pr_err("acpi: SLIT: distance %u from node %zu to %zu is nearer than local: "
				       "ignored",
				       distance, from, to);
		}
	}
}

/* ---- MCFG: PCI configuration space; FADT: the timer ---- */

void acpi_read_mcfg(const struct acpi_table *mcfg, struct machine *machine)
{
	for (uint32_t at = MCFG_ENTRIES_OFFSET; at + MCFG_ENTRY_BYTES <= mcfg->length; at += MCFG_ENTRY_BYTES) {
		uint64_t base = acpi_u64(mcfg, at);
		uint8_t first = acpi_u8(mcfg, at + 10), last = acpi_u8(mcfg, at + 11);

		if (acpi_u16(mcfg, at + 8) != 0)
			continue; /* another segment: nothing of ours is there */
		if (base == 0 || base % MIB(1) != 0 || first > last) {
			pr_err("acpi: MCFG: buses %u to %u at 0x%lx make no sense: ignored", first, last, base);
			continue;
		}
		machine->ecam = base;
		machine->ecam_first_bus = first;
		machine->ecam_last_bus = last;
		return;
	}
}

void acpi_read_fadt(const struct acpi_table *fadt, struct machine *machine)
{
	/* The 64-bit field counts where it is there; both may name a port, or nothing (a machine without the
	 * block). */
	uint64_t port = acpi_u64(fadt, 212);

	if (acpi_u8(fadt, 208) != GAS_SYSTEM_IO || port == 0)
		port = acpi_u8(fadt, 91) == 4 ? acpi_u32(fadt, 76) : 0;
	if (port <= 0xfffc)
		machine->pm_timer_port = (uint16_t)port;
	else
		pr_err("acpi: FADT: timer at port 0x%lx cannot be: not used", port);
}

uint64_t acpi_fadt_dsdt(const struct acpi_table *fadt)
{
	uint64_t extended = acpi_u64(fadt, 140);

	return extended ? extended : acpi_u32(fadt, 40);
}
