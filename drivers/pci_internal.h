/*
 * Between the pci_*.c files: the tree of buses, as an object, so that a test builds one over a scripted
 * configuration space. A bdf is bus << 8 | slot << 3 | function.
 */
#pragma once

#include "drivers/pci.h"

#define PCI_NR_SLOTS	 32u
#define PCI_NR_FUNCTIONS 8u
#define PCI_NR_BUSES	 256u

/* Registers (PCI Local Bus 3.0, clause 6.1; bridges: PCI-to-PCI Bridge 1.2, clause 3.2). */
#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define PCI_COMMAND_IO		0x001u
#define PCI_COMMAND_MEMORY	0x002u
#define PCI_COMMAND_MASTER	0x004u
#define PCI_COMMAND_NO_INTX	0x400u
#define PCI_STATUS		0x06
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_CLASS_REVISION	0x08
#define PCI_HEADER_TYPE		0x0e
#define PCI_HEADER_BRIDGE	1u
#define PCI_HEADER_MULTI	0x80u
#define PCI_BAR_0		0x10
#define PCI_BUS_NUMBERS		0x18
#define PCI_IO_WINDOW		0x1c
#define PCI_MEMORY_WINDOW	0x20
#define PCI_PREFETCH_WINDOW	0x24
#define PCI_SUBSYSTEM		0x2c
#define PCI_CAPABILITIES	0x34
#define PCI_INTERRUPT_LINE	0x3c
#define PCI_INTERRUPT_PIN	0x3d
#define PCI_CAPABILITY_EXPRESS	0x10
#define PCI_CAPABILITY_MSIX	0x11

#define PCI_CLASS_BRIDGE 0x06
#define PCI_SUBCLASS_ISA 0x01 /* 0x00: host bridge */

/* How configuration space is reached. Offsets are multiples of @bytes, which is 1, 2 or 4. */
struct pci_config {
	const char *name;
	uint8_t last_bus;
	uint16_t bytes; /* per function: 256 or 4096 */
	uint32_t (*read)(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes);
	void (*write)(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value);
	void *context;
};

/* Where addresses may be given out, [start, end). */
struct pci_root;

struct pci_window {
	uint64_t start, end;
};

/* A board, as far as the wires of INTA..INTD go. */
struct pci_board {
	uint16_t vendor, device; /* of the host bridge at 00:00.0; 0: any */
	const char *name;
	/* The line behind @pin (0: INTA) of a slot on a root bus; -1: not known. */
	int32_t (*gsi)(struct pci_root *root, uint8_t bus, uint8_t slot, unsigned int pin);
	struct pci_window memory32; /* if the board has one of its own; else the hole below 4 GiB is used */
	bool has_io;
};

/* All that hangs on one host bridge. */
struct pci_root {
	struct pci_config config;
	const struct machine *machine;
	const struct boot_info *info;
	const struct pci_board *board;
	struct pci_window io, memory32, memory64;
	struct list_node devices; /* struct pci_function */
	size_t nr_devices;
	uint64_t seen_buses[PCI_NR_BUSES / 64];
	uint64_t root_buses[PCI_NR_BUSES / 64]; /* not behind a bridge: 0, and those of expander bridges */
	uint8_t highest_bus;
};

/* A device with what only we need to know. */
struct pci_function {
	struct pci_device device;
	struct pci_root *root;
	bool is_bridge, is_port; /* a port: the bus behind has slot 0 only */
	bool is_closed;		 /* a bridge that is not followed */
	uint8_t secondary, subordinate;
	struct pci_bar bars[PCI_NR_BARS];
	bool is_sized;		  /* they are sound */
	uint8_t unassignable;	  /* BARs by bit: no place was found */
	struct pci_window behind; /* memory that the bridge passes on; empty: none */
	/* While MSI-X is on. */
	uint8_t *msix_table;
	struct irq_message *messages; /* address 0: not requested */
	unsigned int nr_messages;
};

static inline struct pci_function *pci_function_of(const struct pci_device *dev)
{
	return container_of(dev, struct pci_function, device);
}

static inline uint16_t pci_bdf(const struct pci_device *dev)
{
	return (uint16_t)(dev->bus << 8 | dev->slot << 3 | dev->function);
}

#define pci_for_each_function(at, root) list_for_each_entry(at, &(root)->devices, device.node)

/* pci_config.c: ECAM or ports, or -ENODEV. */
int pci_config_open(struct pci_config *config, const struct machine *machine) MUST_CHECK;

/* pci_scan.c: finds everything behind root->config, sizes and assigns BARs, finds the lines. 0 or -ENOMEM. */
int pci_root_scan(struct pci_root *root) MUST_CHECK;
void pci_root_release(struct pci_root *root);
/* The bridge whose secondary bus is @bus, or NULL for a root bus. */
struct pci_function *pci_bridge_to(const struct pci_root *root, uint8_t bus);

/* pci_bar.c */
void pci_read_bars(struct pci_function *function);
/* True if the firmware left a BAR of the device without an address; then it is sized. */
bool pci_lacks_addresses(struct pci_function *function);
/* Sizes all devices and gives every BAR an address that has none. */
void pci_assign_bars(struct pci_root *root);

/* pci_route.c */
void pci_board_find(struct pci_root *root);
void pci_route(struct pci_function *function);

/* pci_files.c */
void pci_devices_show(struct pci_root *root, struct sink *out);
