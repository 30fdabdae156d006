/*
 * virtio devices behind legacy I/O ports only.
 */
#pragma once

#include "drivers/pci.h"

/* Takes the device, of virtio kind @id, if its BAR 0 is one of ports; false: it is not, or memory is short. */
bool virtio_pci_legacy_take(struct pci_device *pci, uint32_t id);
