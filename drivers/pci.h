/*
 * PCI: enumeration behind ECAM or the ports, BARs (assigned here where the firmware left none), capabilities,
 * interrupts.
 */
#pragma once

#include "kernel/boot_info.h"
#include "kernel/irq.h"
#include "kernel/machine.h"
#include "lib/list.h"

#define PCI_NR_BARS 6

struct pci_bar {
	uint64_t address, bytes; /* physical; bytes 0: not there, or the upper half of the one before */
	bool is_io, is_64, prefetchable;
};

struct pci_device {
	struct list_node node; /* in the order of discovery */
	uint16_t segment;
	uint8_t bus, slot, function;
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision, class_code, subclass, interface;
	uint8_t pin;	    /* 0: none, 1..4: INTA..INTD */
	int32_t gsi;	    /* the line behind the pin; -1: not known, use polling */
	const char *driver; /* its name, for /proc/bus/pci/devices; NULL: none */
	void *driver_data;
};

/*
 * Finds all devices, by ECAM if @machine has it, else by the ports; numbers buses and assigns BARs that the
 * firmware left at 0, in holes of @info's memory map. Enables nothing. -ENODEV if there is no PCI, -ENOMEM.
 * Both must stay.
 */
int pci_init(const struct machine *machine, const struct boot_info *info) MUST_CHECK;
struct list_node *pci_devices(void);

uint32_t pci_read(const struct pci_device *dev, uint16_t offset, unsigned int bytes);
void pci_write(const struct pci_device *dev, uint16_t offset, unsigned int bytes, uint32_t value);

/*
 * BAR @bar, always valid, @bytes is 0 if there is none. Measuring a device's BARs means switching it off and
 * on, which costs an emulator more than finding it; so it is done when they are first asked for.
 */
const struct pci_bar *pci_bar(struct pci_device *dev, unsigned int bar);
/* Memory and I/O decoding, bus mastering. */
void pci_enable(struct pci_device *dev);
/* Offset of the next capability with this id behind @from (0: the first), or 0. Loops in the list are cut. */
uint8_t pci_find_capability(const struct pci_device *dev, uint8_t id, uint8_t from);
/* Maps [offset, offset + bytes) of a memory BAR; NULL with an error line if it is not within. */
void *pci_map_bar(struct pci_device *dev, unsigned int bar, uint64_t offset, uint64_t bytes) MUST_CHECK;

/* MSI-X: the number of vectors (0: none); enabling masks INTx. Vector @index to @handler. */
unsigned int pci_msix_count(const struct pci_device *dev);
int pci_msix_enable(struct pci_device *dev) MUST_CHECK;
int pci_msix_request(struct pci_device *dev, unsigned int index, irq_handler handler, void *context) MUST_CHECK;
void pci_msix_disable(struct pci_device *dev);

/* /proc/bus/pci/devices in Linux's format. */
int pci_files_init(void) MUST_CHECK;
