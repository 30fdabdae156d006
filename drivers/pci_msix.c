/*
 * MSI-X (PCI Local Bus 3.0, clause 6.8.2): a table in one of the device's BARs says, vector by vector, which
 * number to write where. Enabling masks every entry first and turns INTx off; a vector is unmasked when it
 * has a handler.
 */
#include "drivers/pci_internal.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"

#include <arch/io.h>

#define CONTROL	       2u
#define CONTROL_COUNT  0x07ffu /* less one */
#define CONTROL_ENABLE 0x8000u
#define TABLE	       4u /* BAR in bits 0-2, the rest is the offset */

#define ENTRY_BYTES   16u
#define ENTRY_ADDRESS 0u
#define ENTRY_UPPER   4u
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u
#define ENTRY_MASKED  1u

unsigned int pci_msix_count(const struct pci_device *dev)
{
	uint8_t at = pci_find_capability(dev, PCI_CAPABILITY_MSIX, 0);

	return at ? (pci_read(dev, at + CONTROL, 2) & CONTROL_COUNT) + 1 : 0;
}

static void write_control(struct pci_device *dev, uint8_t capability, bool enable)
{
	uint32_t control = pci_read(dev, capability + CONTROL, 2) & ~CONTROL_ENABLE;
	uint32_t command = pci_read(dev, PCI_COMMAND, 2) & ~PCI_COMMAND_NO_INTX;

	pci_write(dev, PCI_COMMAND, 2, enable ? command | PCI_COMMAND_NO_INTX : command);
	pci_write(dev, capability + CONTROL, 2, enable ? control | CONTROL_ENABLE : control);
}

static uint8_t *entry(const struct pci_function *function, unsigned int index)
{
	return function->msix_table + index * ENTRY_BYTES;
}

int pci_msix_enable(struct pci_device *dev)
{
	struct pci_function *function = pci_function_of(dev);
	uint8_t at = pci_find_capability(dev, PCI_CAPABILITY_MSIX, 0);
	unsigned int count = pci_msix_count(dev);
	uint32_t table;

	if (!count)
		return -ENODEV;
	if (function->messages)
		return -EBUSY;
	table = pci_read(dev, at + TABLE, 4);
	function->msix_table = pci_map_bar(dev, table & 7, table & ~7u, (uint64_t)count * ENTRY_BYTES);
	if (!function->msix_table)
		return -EIO;
	function->messages = kzalloc(count * sizeof(*function->messages));
	if (!function->messages)
		return -ENOMEM;
	function->nr_messages = count;
	for (unsigned int i = 0; i < count; i++)
		mmio_write32(entry(function, i) + ENTRY_CONTROL, ENTRY_MASKED);
	write_control(dev, at, true);
	return 0;
}

int pci_msix_request(struct pci_device *dev, unsigned int index, irq_handler handler, void *context)
{
	struct pci_function *function = pci_function_of(dev);
	struct irq_message *message;
	uint8_t *at;
	int error;

	if (index >= function->nr_messages)
		return -EINVAL;
	message = &function->messages[index];
	if (message->address)
		return -EBUSY;
	error = irq_request_message(handler, context, message);
	if (error) {
		message->address = 0;
		return error;
	}
	at = entry(function, index);
	mmio_write32(at + ENTRY_ADDRESS, (uint32_t)message->address);
	mmio_write32(at + ENTRY_UPPER, (uint32_t)(message->address >> 32));
	mmio_write32(at + ENTRY_DATA, message->data);
	mmio_write32(at + ENTRY_CONTROL, 0);
	return 0;
}

void pci_msix_disable(struct pci_device *dev)
{
	struct pci_function *function = pci_function_of(dev);

	if (!function->messages)
		return;
	for (unsigned int i = 0; i < function->nr_messages; i++)
		mmio_write32(entry(function, i) + ENTRY_CONTROL, ENTRY_MASKED);
	write_control(dev, pci_find_capability(dev, PCI_CAPABILITY_MSIX, 0), false);
	for (unsigned int i = 0; i < function->nr_messages; i++)
		if (function->messages[i].address)
			irq_release_message(&function->messages[i]);
	kfree(function->messages);
	function->messages = NULL;
	function->nr_messages = 0;
}
