/*
 * Where a virtio PCI device keeps its registers: the vendor capabilities of clause 4.1.4, read and checked.
 *
 * Pure: works on what was read from configuration space, in both worlds.
 */
#pragma once

#include "lib/compiler.h"

#define VIRTIO_PCI_CAPABILITY_ID    0x09u
#define VIRTIO_PCI_CAPABILITY_BYTES 16u /* a notify capability has 4 more */
#define VIRTIO_PCI_NR_BARS	    6u

enum virtio_pci_region_type { /* cfg_type */
			      VIRTIO_PCI_COMMON = 1,
			      VIRTIO_PCI_NOTIFY,
			      VIRTIO_PCI_ISR,
			      VIRTIO_PCI_DEVICE,
			      VIRTIO_PCI_ACCESS, /* a window in configuration space; not used */
			      VIRTIO_PCI_NR_TYPES
};

struct virtio_pci_region {
	bool found;
	uint8_t bar;
	uint32_t offset, bytes;
};

struct virtio_pci_layout {
	struct virtio_pci_region regions[VIRTIO_PCI_NR_TYPES];
	uint32_t notify_multiplier;
};

/*
 * Takes one vendor capability, @length bytes of it as found (at most 20 are looked at). False and *@why: it is ignored,
 * as clause 4.1.4.1 asks for what we do not know; a second one of a type too. @bar_bytes: sizes of the memory BARs.
 */
bool virtio_pci_layout_add(struct virtio_pci_layout *layout, const uint8_t *capability, size_t length,
			   const uint64_t bar_bytes[VIRTIO_PCI_NR_BARS], const char **why);
/* What a driver cannot do without is there (common, notify, ISR). NULL, or what is missing. */
const char *virtio_pci_layout_missing(const struct virtio_pci_layout *layout);
/* Where to write for a queue, as an offset into the notify region (4.1.4.4); false if it lies beyond its end. */
bool virtio_pci_notify_offset(const struct virtio_pci_layout *layout, uint16_t queue_notify_off, uint64_t *offset);
