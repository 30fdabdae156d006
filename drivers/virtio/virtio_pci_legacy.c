/*
 * virtio over PCI, the legacy interface (virtio 1.2, clauses 4.1.3.1 and 4.1.4.10): registers in an I/O BAR.
 *
 * For devices that offer nothing else; a transitional one is driven by the modern interface (virtio_pci.c). A queue is
 * one page-aligned block that the device is told by its 32-bit page number, with the size that the device chose; there
 * is no FEATURES_OK, no VERSION_1, no generation of the configuration, and 32 feature bits. Interrupts: INTx, or none,
 * and the core polls: with MSI-X off the configuration begins behind the ISR byte.
 */
#include "drivers/virtio/virtio_pci_legacy.h"
#include "drivers/virtio/virtio.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page.h"

#include <arch/io.h>

#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

enum { /* offsets in the BAR */
       DEVICE_FEATURES = 0,
       DRIVER_FEATURES = 4,
       QUEUE_ADDRESS = 8,
       QUEUE_SIZE = 12,
       QUEUE_SELECT = 14,
       QUEUE_NOTIFY = 16,
       DEVICE_STATUS = 18,
       ISR_STATUS = 19,
       DEVICE_CONFIG = 20,
};

struct virtio_pci_legacy {
	struct virtio_device dev;
	struct pci_device *pci;
	uint16_t base;
	uint32_t bytes; /* of the BAR */
	bool has_irq;
};

static struct virtio_pci_legacy *legacy_of(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_pci_legacy, dev);
}

static uint16_t port(struct virtio_device *dev, unsigned int offset)
{
	return (uint16_t)(legacy_of(dev)->base + offset);
}

static uint8_t get_status(struct virtio_device *dev)
{
	return inb(port(dev, DEVICE_STATUS));
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
	outb(port(dev, DEVICE_STATUS), status);
}

static uint64_t get_features(struct virtio_device *dev)
{
	return inl(port(dev, DEVICE_FEATURES));
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
	outl(port(dev, DRIVER_FEATURES), (uint32_t)features);
}

/* ---- configuration ---- */

static uint32_t config_generation(struct virtio_device *dev UNUSED)
{
	return 0;
}

static bool is_in_config(struct virtio_device *dev, unsigned int offset, unsigned int bytes)
{
	uint32_t room = legacy_of(dev)->bytes - DEVICE_CONFIG;

	return offset <= room && bytes <= room - offset;
}

/* 5.5.6.2 asks that `actual` is written in one piece, so both go by the field's width. */
static int read_config(struct virtio_device *dev, unsigned int offset, void *to, unsigned int bytes)
{
	uint16_t at = port(dev, DEVICE_CONFIG + offset);
	uint32_t value;

	memset(to, 0, bytes);
	if (!is_in_config(dev, offset, bytes))
		return -EINVAL;
	value = bytes == 4 ? inl(at) : bytes == 2 ? inw(at) : inb(at);
	memcpy(to, &value, bytes);
	return 0;
}

static int write_config(struct virtio_device *dev, unsigned int offset, const void *from, unsigned int bytes)
{
	uint16_t at = port(dev, DEVICE_CONFIG + offset);
	uint32_t value = 0;

	if (!is_in_config(dev, offset, bytes))
		return -EINVAL;
	memcpy(&value, from, bytes);
	if (bytes == 4)
		outl(at, value);
	else if (bytes == 2)
		outw(at, (uint16_t)value);
	else
		outb(at, (uint8_t)value);
	return 0;
}

/* ---- queues ---- */

static unsigned int queue_size(struct virtio_device *dev, unsigned int index)
{
	unsigned int size;

	outw(port(dev, QUEUE_SELECT), (uint16_t)index);
	size = inw(port(dev, QUEUE_SIZE));
	/* The split ring's layout follows from the size; one that is no power of two has none (2.7). */
	return size & (size - 1) ? 0 : size;
}

static int queue_enable(struct virtio_device *dev, unsigned int index, struct virtqueue *vq)
{
	uint64_t pfn = virtqueue_addresses(vq).descriptors >> PAGE_SHIFT;

	if (pfn > UINT32_MAX) {
		pr_err("%s: queue %u lies at page 0x%llx, beyond what a legacy device can be told", dev->name, index,
		       (unsigned long long)pfn);
		return -ERANGE;
	}
	outw(port(dev, QUEUE_SELECT), (uint16_t)index);
	outl(port(dev, QUEUE_ADDRESS), (uint32_t)pfn);
	return 0;
}

static void notify(struct virtio_device *dev, unsigned int index)
{
	outw(port(dev, QUEUE_NOTIFY), (uint16_t)index);
}

/* ---- interrupts ---- */

static bool intx(void *context)
{
	struct virtio_pci_legacy *self = context;
	uint8_t isr = inb(port(&self->dev, ISR_STATUS));

	if (isr & ISR_CONFIG)
		virtio_config_interrupt(&self->dev);
	if (isr & ISR_QUEUE)
		virtio_queue_interrupt(&self->dev);
	return isr != 0;
}

static int interrupts_enable(struct virtio_device *dev)
{
	struct virtio_pci_legacy *self = legacy_of(dev);

	if (self->pci->gsi < 0 || irq_request((uint32_t)self->pci->gsi, IRQ_LEVEL_LOW, intx, self))
		return -ENODEV;
	self->has_irq = true;
	return 0;
}

static void interrupts_disable(struct virtio_device *dev)
{
	struct virtio_pci_legacy *self = legacy_of(dev);

	if (self->has_irq)
		irq_release((uint32_t)self->pci->gsi, intx, self);
	self->has_irq = false;
}

static void describe(struct virtio_device *dev, struct sink *out)
{
	struct virtio_pci_legacy *self = legacy_of(dev);

	sink_printf(out, "%02x:%02x.%x ports 0x%x ", self->pci->bus, self->pci->slot, self->pci->function, self->base);
	if (self->has_irq)
		sink_printf(out, "intx %d", self->pci->gsi);
	else
		sink_printf(out, "no irq");
}

static const struct virtio_transport_ops transport = {
	.name = "pci-legacy",
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.config_generation = config_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
	.interrupts_enable = interrupts_enable,
	.interrupts_disable = interrupts_disable,
	.describe = describe,
};

bool virtio_pci_legacy_take(struct pci_device *pci, uint32_t id)
{
	const struct pci_bar *bar = pci_bar(pci, 0);
	struct virtio_pci_legacy *self;

	if (!bar->is_io || bar->bytes < DEVICE_CONFIG || bar->address > UINT16_MAX - bar->bytes)
		return false;
	self = kzalloc(sizeof(*self));
	if (!self)
		return false;
	pci_enable(pci);
	self->pci = pci;
	self->base = (uint16_t)bar->address;
	self->bytes = (uint32_t)bar->bytes;
	self->dev.transport = &transport;
	self->dev.legacy = true;
	self->dev.device_id = id;
	self->dev.vendor_id = pci->subsystem_vendor;
	pci->driver_data = self;
	return virtio_register_device(&self->dev) == 0;
}
