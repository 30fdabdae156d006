/*
 * virtio over PCI, the modern interface (virtio 1.2, clause 4.1): registers behind vendor capabilities.
 *
 * Transitional devices (ids 0x1000 to 0x103f) have the same capabilities beside the old I/O ports; those are used. One
 * of these ids without them has only the ports: virtio_pci_legacy.c.
 * Interrupts: MSI-X where the device has it (vector 0 for the configuration, 1 for all queues), else INTx through the
 * line's GSI, else none, and the core polls. With INTx a read of the ISR byte says which of the two it was and
 * takes the line down (4.1.4.5).
 */
#include "drivers/pci.h"
#include "drivers/virtio/virtio.h"
#include "drivers/virtio/virtio_pci_layout.h"
#include "drivers/virtio/virtio_pci_legacy.h"
#include "drivers/virtio/virtio_config_access.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"

#include <arch/io.h>

#define VENDOR_VIRTIO	   0x1af4
#define FIRST_TRANSITIONAL 0x1000
#define FIRST_MODERN	   0x1040
#define LAST_MODERN	   0x107f

#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

#define MSIX_CONFIG_VECTOR 0
#define MSIX_QUEUE_VECTOR  1
#define NO_VECTOR	   0xffffu

/* 4.1.4.3: offsets in the common configuration. */
enum {
	DEVICE_FEATURE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	CONFIG_MSIX_VECTOR = 16,
	NUM_QUEUES = 18,
	DEVICE_STATUS = 20,
	CONFIG_GENERATION = 21,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_MSIX_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
	QUEUE_NOTIFY_DATA = 56, /* with NOTIF_CONFIG_DATA */
};

struct virtio_pci {
	struct virtio_device dev;
	struct pci_device *pci;
	struct virtio_pci_layout layout;
	char *common, *notify, *isr, *config;
	uint16_t *notify_at[VIRTIO_MAX_QUEUES];
	uint16_t notify_data[VIRTIO_MAX_QUEUES];
	enum { IRQS_NONE, IRQS_INTX, IRQS_MSIX } irqs;
};

static struct virtio_pci *pci_of(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_pci, dev);
}

/* ---- status and features ---- */

static uint8_t get_status(struct virtio_device *dev)
{
	return mmio_read8(pci_of(dev)->common + DEVICE_STATUS);
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
	mmio_write8(pci_of(dev)->common + DEVICE_STATUS, status);
}

static uint64_t get_features(struct virtio_device *dev)
{
	char *common = pci_of(dev)->common;
	uint64_t features;

	mmio_write32(common + DEVICE_FEATURE_SELECT, 0);
	features = mmio_read32(common + DEVICE_FEATURE);
	mmio_write32(common + DEVICE_FEATURE_SELECT, 1);
	features |= (uint64_t)mmio_read32(common + DEVICE_FEATURE) << 32;
	/* Of no use where there is no register for it. */
	if (pci_of(dev)->layout.regions[VIRTIO_PCI_COMMON].bytes < QUEUE_NOTIFY_DATA + 2)
		features &= ~BIT(VIRTIO_F_NOTIF_CONFIG_DATA);
	return features;
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
	char *common = pci_of(dev)->common;

	mmio_write32(common + DRIVER_FEATURE_SELECT, 0);
	mmio_write32(common + DRIVER_FEATURE, (uint32_t)features);
	mmio_write32(common + DRIVER_FEATURE_SELECT, 1);
	mmio_write32(common + DRIVER_FEATURE, (uint32_t)(features >> 32));
}

/* ---- configuration ---- */

static uint32_t config_generation(struct virtio_device *dev)
{
	return mmio_read8(pci_of(dev)->common + CONFIG_GENERATION);
}

static char *config_at(struct virtio_device *dev, unsigned int offset, unsigned int bytes)
{
	struct virtio_pci *self = pci_of(dev);

	if (!self->config || offset + bytes > self->layout.regions[VIRTIO_PCI_DEVICE].bytes)
		return NULL;
	return self->config + offset;
}

static int read_config(struct virtio_device *dev, unsigned int offset, void *to, unsigned int bytes)
{
	return virtio_config_get(config_at(dev, offset, bytes), to, bytes);
}

static int write_config(struct virtio_device *dev, unsigned int offset, const void *from, unsigned int bytes)
{
	return virtio_config_set(config_at(dev, offset, bytes), from, bytes);
}

/* ---- queues ---- */

static unsigned int queue_size(struct virtio_device *dev, unsigned int index)
{
	char *common = pci_of(dev)->common;

	if (index >= mmio_read16(common + NUM_QUEUES))
		return 0;
	mmio_write16(common + QUEUE_SELECT, (uint16_t)index);
	return mmio_read16(common + QUEUE_SIZE);
}

static void write64(char *at, uint64_t value)
{
	/* 4.1.3.1: a 64-bit field is two 32-bit ones. */
	mmio_write32(at, (uint32_t)value);
	mmio_write32(at + 4, (uint32_t)(value >> 32));
}

static int set_vector(char *common, unsigned int field, uint16_t vector)
{
	mmio_write16(common + field, vector);
	/* 4.1.5.1.2.2: the device may be out of resources and say so. */
	return mmio_read16(common + field) == vector ? 0 : -ENOSPC;
}

static int queue_enable(struct virtio_device *dev, unsigned int index, struct virtqueue *vq)
{
	struct virtqueue_addresses at = virtqueue_addresses(vq);
	struct virtio_pci *self = pci_of(dev);
	char *common = self->common;
	uint64_t offset;

	mmio_write16(common + QUEUE_SELECT, (uint16_t)index);
	mmio_write16(common + QUEUE_SIZE, (uint16_t)virtqueue_size(vq));
	if (!virtio_pci_notify_offset(&self->layout, mmio_read16(common + QUEUE_NOTIFY_OFF), &offset)) {
		pr_err("%s: queue %u is notified beyond the notify region: not usable", dev->name, index);
		return -EIO;
	}
	self->notify_at[index] = (uint16_t *)(self->notify + offset);
	self->notify_data[index] = virtio_has_feature(dev, VIRTIO_F_NOTIF_CONFIG_DATA)
					   ? mmio_read16(common + QUEUE_NOTIFY_DATA)
					   : (uint16_t)index;
	if (self->irqs == IRQS_MSIX && set_vector(common, QUEUE_MSIX_VECTOR, MSIX_QUEUE_VECTOR))
		return -ENOSPC;
	write64(common + QUEUE_DESC, at.descriptors);
	write64(common + QUEUE_DRIVER, at.driver);
	write64(common + QUEUE_DEVICE, at.device);
	mmio_write16(common + QUEUE_ENABLE, 1);
	return 0;
}

/* 4.1.5.2: the queue's index, or what the device wants in its place; no more without VIRTIO_F_NOTIFICATION_DATA. */
static void notify(struct virtio_device *dev, unsigned int index)
{
	mmio_write16(pci_of(dev)->notify_at[index], pci_of(dev)->notify_data[index]);
}

/* ---- interrupts ---- */

static bool intx(void *context)
{
	struct virtio_pci *self = context;
	uint8_t isr = mmio_read8(self->isr);

	if (isr & ISR_CONFIG)
		virtio_config_interrupt(&self->dev);
	if (isr & ISR_QUEUE)
		virtio_queue_interrupt(&self->dev);
	return isr != 0;
}

static bool msix_config(void *context)
{
	virtio_config_interrupt(&((struct virtio_pci *)context)->dev);
	return true;
}

static bool msix_queue(void *context)
{
	virtio_queue_interrupt(&((struct virtio_pci *)context)->dev);
	return true;
}

static int msix_enable(struct virtio_pci *self)
{
	int error = pci_msix_count(self->pci) < 2 ? -ENODEV : pci_msix_enable(self->pci);

	if (error)
		return error;
	error = pci_msix_request(self->pci, MSIX_CONFIG_VECTOR, msix_config, self);
	if (!error)
		error = pci_msix_request(self->pci, MSIX_QUEUE_VECTOR, msix_queue, self);
	if (!error)
		error = set_vector(self->common, CONFIG_MSIX_VECTOR, MSIX_CONFIG_VECTOR);
	if (error)
		pci_msix_disable(self->pci);
	return error;
}

static int interrupts_enable(struct virtio_device *dev)
{
	struct virtio_pci *self = pci_of(dev);

	if (msix_enable(self) == 0) {
		self->irqs = IRQS_MSIX;
		return 0;
	}
	if (self->pci->gsi < 0)
		return -ENODEV;
	if (irq_request((uint32_t)self->pci->gsi, IRQ_LEVEL_LOW, intx, self))
		return -ENODEV;
	self->irqs = IRQS_INTX;
	return 0;
}

static void interrupts_disable(struct virtio_device *dev)
{
	struct virtio_pci *self = pci_of(dev);

	if (self->irqs == IRQS_MSIX) {
		mmio_write16(self->common + CONFIG_MSIX_VECTOR, NO_VECTOR);
		pci_msix_disable(self->pci);
	} else if (self->irqs == IRQS_INTX) {
		irq_release((uint32_t)self->pci->gsi, intx, self);
	}
	self->irqs = IRQS_NONE;
}

static void describe(struct virtio_device *dev, struct sink *out)
{
	struct virtio_pci *self = pci_of(dev);

	sink_printf(out, "%02x:%02x.%x ", self->pci->bus, self->pci->slot, self->pci->function);
	if (self->irqs == IRQS_INTX)
		sink_printf(out, "intx %d", self->pci->gsi);
	else
		sink_printf(out, "%s", self->irqs == IRQS_MSIX ? "msi-x" : "no irq");
}

static const struct virtio_transport_ops transport = {
	.name = "pci",
	.features = BIT(VIRTIO_F_NOTIF_CONFIG_DATA),
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

/* ---- discovery ---- */

static void read_layout(struct virtio_pci *self)
{
	uint64_t bar_bytes[VIRTIO_PCI_NR_BARS];
	const char *why;

	for (unsigned int bar = 0; bar < VIRTIO_PCI_NR_BARS; bar++)
		bar_bytes[bar] = pci_bar(self->pci, bar)->is_io ? 0 : pci_bar(self->pci, bar)->bytes;
	for (uint8_t at = pci_find_capability(self->pci, VIRTIO_PCI_CAPABILITY_ID, 0); at;
	     at = pci_find_capability(self->pci, VIRTIO_PCI_CAPABILITY_ID, at)) {
		uint8_t capability[20];
		size_t length = MIN(sizeof(capability), (size_t)(256 - at));

		for (size_t i = 0; i < length; i++)
			capability[i] = (uint8_t)pci_read(self->pci, at + i, 1);
		if (!virtio_pci_layout_add(&self->layout, capability, length, bar_bytes, &why))
			pr_debug("virtio-pci %02x:%02x.%x: capability at 0x%x %s: ignored", self->pci->bus,
				 self->pci->slot, self->pci->function, at, why);
	}
}

static char *map_region(struct virtio_pci *self, enum virtio_pci_region_type type)
{
	struct virtio_pci_region *region = &self->layout.regions[type];

	return region->found ? pci_map_bar(self->pci, region->bar, region->offset, region->bytes) : NULL;
}

static const char *set_up(struct virtio_pci *self)
{
	const char *missing;

	read_layout(self);
	missing = virtio_pci_layout_missing(&self->layout);
	if (missing)
		return missing;
	pci_enable(self->pci);
	self->common = map_region(self, VIRTIO_PCI_COMMON);
	self->notify = map_region(self, VIRTIO_PCI_NOTIFY);
	self->isr = map_region(self, VIRTIO_PCI_ISR);
	self->config = map_region(self, VIRTIO_PCI_DEVICE);
	return self->common && self->notify && self->isr ? NULL : "a mapping of its registers";
}

/* 4.1.2: the kind is in the device id, or for transitional devices in the subsystem id. 0: none of ours. */
static uint32_t virtio_id(const struct pci_device *pci)
{
	if (pci->vendor != VENDOR_VIRTIO)
		return 0;
	if (pci->device >= FIRST_MODERN && pci->device <= LAST_MODERN)
		return pci->device - FIRST_MODERN;
	return pci->device >= FIRST_TRANSITIONAL && pci->device < FIRST_MODERN ? pci->subsystem : 0;
}

static bool take(struct pci_device *pci, uint32_t id)
{
	struct virtio_pci *self = kzalloc(sizeof(*self));
	const char *missing;

	if (!self)
		return false;
	self->pci = pci;
	self->dev.transport = &transport;
	self->dev.device_id = id;
	self->dev.vendor_id = pci->subsystem_vendor;
	missing = set_up(self);
	if (missing && pci->device < FIRST_MODERN && virtio_pci_legacy_take(pci, id)) {
		kfree(self);
		return true;
	}
	if (missing) {
		pr_err("virtio-pci %02x:%02x.%x: lacks %s: left alone", pci->bus, pci->slot, pci->function, missing);
		kfree(self);
		return false;
	}
	pci->driver_data = self;
	return virtio_register_device(&self->dev) == 0;
}

unsigned int virtio_pci_probe(void)
{
	unsigned int found = 0;
	struct pci_device *pci;

	list_for_each_entry(pci, pci_devices(), node) {
		uint32_t id = virtio_id(pci);

		if (id && take(pci, id))
			found++;
	}
	return found;
}
