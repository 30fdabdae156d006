/*
 * ACPI tables: RSDP, XSDT/RSDT, MADT, SRAT, SLIT, MCFG, FADT, read into struct machine. Of AML only what the
 * DSDT says of virtio-mmio devices.
 *
 * Tables are untrusted: lengths and checksums are checked, entries that do not fit are skipped with one line.
 * Proximity domains are renumbered to nodes 0..n-1 in the order of their first memory.
 */
#pragma once

#include "kernel/machine.h"

/*
 * How the parsers see physical memory: a pointer to [phys, phys + bytes), or NULL if it cannot be read. The
 * guest gives the direct map, tests and the fuzzer give a buffer.
 */
typedef const void *(*acpi_map)(uint64_t phys, size_t bytes, void *context);

/*
 * Fills @machine with what the tables say, and with defaults for what they do not: without an RSDP (0;
 * microvm with acpi=off) or with broken tables one CPU, one IOAPIC at 0xfec00000, the local APIC at
 * 0xfee00000, one node.
 */
void acpi_read_machine(uint64_t rsdp, acpi_map map, void *context, struct machine *machine);

/*
 * Looks for an RSDP where a PC's BIOS leaves it: the extended BIOS data area and 0xe0000-0xfffff. For boot
 * paths that were not told; 0 if there is none. Reads nothing else.
 */
uint64_t acpi_find_rsdp(acpi_map map, void *context) MUST_CHECK;
