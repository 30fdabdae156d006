/*
 * A scripted PCI configuration space: functions with 256 bytes of registers each, of which some bits can be
 * written, behind bridges that forward what their bus numbers say. A test adds functions and scans the root.
 */
#pragma once

#include "drivers/pci_internal.h"

#define PCI_SCRIPT_FUNCTIONS 24u
#define PCI_SCRIPT_BYTES     256u

struct pci_script_function {
	int bridge;	  /* index of the bridge it is behind; -1: on a root bus */
	uint8_t root_bus; /* then which */
	uint8_t slot, function;
	uint8_t registers[PCI_SCRIPT_BYTES];
	uint8_t writable[PCI_SCRIPT_BYTES]; /* mask */
};

struct pci_script {
	struct pci_script_function functions[PCI_SCRIPT_FUNCTIONS];
	unsigned int nr_functions, nr_reads;
	struct machine machine;
	struct boot_info info;
	struct pci_root root;
};

/* An empty bus 0, 1 GiB of memory. */
void pci_script_init(struct pci_script *script);
void pci_script_release(void *script);
/* A function; its index. @bridge as above. @id: device << 16 | vendor. */
int pci_script_add(struct pci_script *script, int bridge, uint8_t slot, uint8_t function, uint32_t id);
/* A bridge, not numbered. */
int pci_script_add_bridge(struct pci_script *script, int bridge, uint8_t slot, uint32_t id);
void pci_script_number(struct pci_script *script, int bridge, uint8_t secondary, uint8_t subordinate);
/* @kind: the low bits, 0 memory, 1 I/O, 4 64-bit, 8 prefetchable. @bytes: a power of two. */
void pci_script_bar(struct pci_script *script, int at, unsigned int bar, uint64_t bytes, uint32_t kind,
		    uint64_t address);
/* A capability at @offset, linked behind all others. */
void pci_script_capability(struct pci_script *script, int at, uint8_t id, uint8_t offset);

uint32_t pci_script_peek(const struct pci_script *script, int at, uint16_t offset, unsigned int bytes);
void pci_script_poke(struct pci_script *script, int at, uint16_t offset, unsigned int bytes, uint32_t value);
/* The found device of a function, or NULL. */
struct pci_device *pci_script_found(struct pci_script *script, int at);
