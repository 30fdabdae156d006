/*
 * The machine, described without saying who described it (ACPI, a default, the command line).
 *
 * Filled by drivers/acpi.c, completed by init/main.c, read by arch/ (CPUs, interrupt controllers), by mm's set-up
 * (NUMA) and by drivers/pci.c. Constant after boot.
 */
#pragma once

#include <arch/cpu.h>

#define MACHINE_MAX_IOAPICS	  8
#define MACHINE_MAX_OVERRIDES	  24
#define MACHINE_MAX_MEMORY	  64
#define MACHINE_MAX_NODES	  8
#define MACHINE_MAX_VIRTIO_MMIO	  32
#define MACHINE_VIRTIO_MMIO_LEAST 0x100u /* bytes of registers (virtio 1.2, clause 4.2.2) */

struct machine_cpu {
	uint32_t apic_id, node;
};
struct machine_ioapic {
	uint32_t address, gsi_base;
	uint8_t id;
};
struct machine_override { /* an ISA line that arrives elsewhere or otherwise */
	uint8_t isa_irq;
	uint32_t gsi;
	bool active_low, level;
};
struct machine_memory { /* physical bytes, [start, end) */
	uint64_t start, end;
	uint32_t node;
	bool hotpluggable;
};
struct machine_virtio_mmio {
	uint64_t address, bytes; /* of its registers, physical */
	uint32_t gsi;
};

struct machine {
	bool has_acpi;
	uint64_t local_apic; /* physical */
	/* Without tables: how many CPUs there are by other sources (fw_cfg), their APIC ids unknown; 0: not known. */
	size_t cpus_expected;
	size_t nr_cpus, nr_ioapics, nr_overrides, nr_memory, nr_nodes, nr_virtio_mmio;
	struct machine_cpu cpus[MAX_CPUS]; /* [0] is whichever comes first in the tables, not always the boot CPU */
	struct machine_ioapic ioapics[MACHINE_MAX_IOAPICS];
	struct machine_override overrides[MACHINE_MAX_OVERRIDES];
	struct machine_memory memory[MACHINE_MAX_MEMORY];
	struct machine_virtio_mmio virtio_mmio[MACHINE_MAX_VIRTIO_MMIO];
	uint8_t distance[MACHINE_MAX_NODES][MACHINE_MAX_NODES]; /* 10 local, 20 default */
	uint64_t ecam; /* PCI configuration space: physical, 0: none, use the ports */
	uint8_t ecam_first_bus, ecam_last_bus;
	uint16_t pm_timer_port; /* 3.579545 MHz; 0: none */
};
