/*
 * What drivers see of PCI: reading and writing a device's configuration, enabling it, finding its
 * capabilities, mapping its BARs. The tree is found by pci_scan.c, addresses are given out by pci_bar.c,
 * lines found by pci_route.c.
 *
 * Nothing that a device says is believed: offsets are masked, the list of capabilities is followed until it
 * comes back to where it was, and a map request has to lie within the BAR.
 */
#include "drivers/pci.h"

#include "drivers/pci_internal.h"
#include "kernel/printk.h"

#include <arch/io.h>

#define FIRST_CAPABILITY 0x40u

uint32_t pci_read(const struct pci_device *dev, uint16_t offset, unsigned int bytes)
{
	const struct pci_config *config = &pci_function_of(dev)->root->config;

	if (offset + bytes > config->bytes)
		return ~0u >> (32 - 8 * bytes); /* as the bus answers for what is not there */
	return config->read(config->context, pci_bdf(dev), offset, bytes);
}

void pci_write(const struct pci_device *dev, uint16_t offset, unsigned int bytes, uint32_t value)
{
	const struct pci_config *config = &pci_function_of(dev)->root->config;

	if (offset + bytes <= config->bytes)
		config->write(config->context, pci_bdf(dev), offset, bytes, value);
}

void pci_enable(struct pci_device *dev)
{
	uint32_t command = pci_read(dev, PCI_COMMAND, 2);
	uint32_t wanted = command | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct pci_function *bridge;

	if (wanted != command)
		pci_write(dev, PCI_COMMAND, 2, wanted);
	/* What is behind a bridge needs the bridge's leave, too. */
	bridge = pci_bridge_to(pci_function_of(dev)->root, dev->bus);
	if (bridge && bridge->device.bus < dev->bus)
		pci_enable(&bridge->device);
}

uint8_t pci_find_capability(const struct pci_device *dev, uint8_t id, uint8_t from)
{
	uint64_t seen = 0; /* a bit for each 4 bytes */
	bool beyond = from == 0;
	uint8_t at;

	if (!(pci_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	/* Always from the head: only so a loop is noticed by a caller that goes from one to the next. */
	for (at = PCI_CAPABILITIES;; at++) {
		at = pci_read(dev, at, 1) & 0xfc;
		if (at < FIRST_CAPABILITY)
			return 0;
		if (seen >> (at / 4) & 1)
			break;
		seen |= 1ull << (at / 4);
		if (beyond && pci_read(dev, at, 1) == id)
			return at;
		beyond |= at == from;
	}
	pr_err_ratelimited("pci: %02x:%02x.%u: its list of capabilities has a loop: cut", dev->bus, dev->slot,
			   dev->function);
	return 0;
}

const struct pci_bar *pci_bar(struct pci_device *dev, unsigned int bar)
{
	static const struct pci_bar none;
	struct pci_function *function = pci_function_of(dev);

	if (bar >= PCI_NR_BARS)
		return &none;
	if (!function->is_sized)
		pci_read_bars(function);
	return &function->bars[bar];
}

void *pci_map_bar(struct pci_device *dev, unsigned int bar, uint64_t offset, uint64_t bytes)
{
	const struct pci_bar *at = pci_bar(dev, bar);

	if (at->is_io || at->address == 0 || bytes == 0 || offset > at->bytes || bytes > at->bytes - offset) {
		pr_err("pci: %02x:%02x.%u: 0x%lx bytes at 0x%lx are not within memory BAR %u: not mapped", dev->bus,
		       dev->slot, dev->function, bytes, offset, bar);
		return NULL;
	}
	return device_map(at->address + offset, bytes, DEVICE_UNCACHED);
}
