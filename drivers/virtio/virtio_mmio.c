/*
 * virtio over MMIO, version 2 (virtio 1.2, clause 4.2): one block of registers and a line.
 *
 * There is no bus to ask: QEMU's microvm puts the places into the DSDT, or, with acpi=off, on the command line
 * (virtio_mmio.device=512@0xfeb00e00:12). Some have device id 0, an empty socket.
 */
#include "drivers/virtio/virtio.h"
#include "drivers/virtio/virtio_mmio_parse.h"
#include "drivers/virtio/virtio_config_access.h"

#include "kernel/cmdline.h"
#include "kernel/irq.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"

#include <arch/io.h>

#define MAGIC	0x74726976u /* "virt" */
#define VERSION 2u

#define INTERRUPT_QUEUE	 1u
#define INTERRUPT_CONFIG 2u

/* 4.2.2 */
enum {
	MAGIC_VALUE = 0x00,
	VERSION_NUMBER = 0x04,
	DEVICE_ID = 0x08,
	VENDOR_ID = 0x0c,
	DEVICE_FEATURES = 0x10,
	DEVICE_FEATURES_SELECT = 0x14,
	DRIVER_FEATURES = 0x20,
	DRIVER_FEATURES_SELECT = 0x24,
	QUEUE_SELECT = 0x30,
	QUEUE_SIZE_MAX = 0x34,
	QUEUE_SIZE = 0x38,
	QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50,
	INTERRUPT_STATUS = 0x60,
	INTERRUPT_ACK = 0x64,
	STATUS = 0x70,
	QUEUE_DESC = 0x80,
	QUEUE_DRIVER = 0x90,
	QUEUE_DEVICE = 0xa0,
	CONFIG_GENERATION = 0xfc,
	CONFIG = 0x100,
};

struct virtio_mmio {
	struct virtio_device dev;
	struct machine_virtio_mmio place;
	char *registers;
	bool has_irq;
};

static struct virtio_mmio *mmio_of(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_mmio, dev);
}

static uint32_t get(struct virtio_device *dev, unsigned int reg)
{
	return mmio_read32(mmio_of(dev)->registers + reg);
}

static void set(struct virtio_device *dev, unsigned int reg, uint32_t value)
{
	mmio_write32(mmio_of(dev)->registers + reg, value);
}

static void set64(struct virtio_device *dev, unsigned int reg, uint64_t value)
{
	set(dev, reg, (uint32_t)value);
	set(dev, reg + 4, (uint32_t)(value >> 32));
}

static uint8_t get_status(struct virtio_device *dev)
{
	return (uint8_t)get(dev, STATUS);
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
	set(dev, STATUS, status);
}

static uint64_t get_features(struct virtio_device *dev)
{
	uint64_t low;

	set(dev, DEVICE_FEATURES_SELECT, 0);
	low = get(dev, DEVICE_FEATURES);
	set(dev, DEVICE_FEATURES_SELECT, 1);
	return low | (uint64_t)get(dev, DEVICE_FEATURES) << 32;
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
	set(dev, DRIVER_FEATURES_SELECT, 0);
	set(dev, DRIVER_FEATURES, (uint32_t)features);
	set(dev, DRIVER_FEATURES_SELECT, 1);
	set(dev, DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint32_t config_generation(struct virtio_device *dev)
{
	return get(dev, CONFIG_GENERATION);
}

static char *config_at(struct virtio_device *dev, unsigned int offset, unsigned int bytes)
{
	struct virtio_mmio *self = mmio_of(dev);

	return CONFIG + (uint64_t)offset + bytes <= self->place.bytes ? self->registers + CONFIG + offset : NULL;
}

static int read_config(struct virtio_device *dev, unsigned int offset, void *to, unsigned int bytes)
{
	return virtio_config_get(config_at(dev, offset, bytes), to, bytes);
}

static int write_config(struct virtio_device *dev, unsigned int offset, const void *from, unsigned int bytes)
{
	return virtio_config_set(config_at(dev, offset, bytes), from, bytes);
}

static unsigned int queue_size(struct virtio_device *dev, unsigned int index)
{
	set(dev, QUEUE_SELECT, index);
	return get(dev, QUEUE_SIZE_MAX);
}

/* 4.2.3.2 */
static int queue_enable(struct virtio_device *dev, unsigned int index, struct virtqueue *vq)
{
	struct virtqueue_addresses at = virtqueue_addresses(vq);

	set(dev, QUEUE_SELECT, index);
	if (get(dev, QUEUE_READY)) {
		pr_err("%s: queue %u is in use although the device was reset", dev->name, index);
		return -EIO;
	}
	set(dev, QUEUE_SIZE, virtqueue_size(vq));
	set64(dev, QUEUE_DESC, at.descriptors);
	set64(dev, QUEUE_DRIVER, at.driver);
	set64(dev, QUEUE_DEVICE, at.device);
	set(dev, QUEUE_READY, 1);
	return 0;
}

static void notify(struct virtio_device *dev, unsigned int index)
{
	set(dev, QUEUE_NOTIFY, index);
}

static void handle(struct virtio_device *dev, uint32_t causes)
{
	if (causes & INTERRUPT_CONFIG)
		virtio_config_interrupt(dev);
	if (causes & INTERRUPT_QUEUE)
		virtio_queue_interrupt(dev);
}

/* 4.2.3.4.1: read the causes, handle them, acknowledge them. */
static bool interrupt(void *context)
{
	struct virtio_device *dev = context;
	/* 4.2.2.2: other bits are ignored, and not acknowledged either. */
	uint32_t causes = get(dev, INTERRUPT_STATUS) & (INTERRUPT_CONFIG | INTERRUPT_QUEUE);

	if (!causes)
		return false;
	handle(dev, causes);
	set(dev, INTERRUPT_ACK, causes);
	/* What came between the two was acknowledged with it. */
	handle(dev, causes);
	return true;
}

static int interrupts_enable(struct virtio_device *dev)
{
	struct virtio_mmio *self = mmio_of(dev);
	int error = irq_request(self->place.gsi, IRQ_LEVEL_HIGH, interrupt, dev);

	self->has_irq = error == 0;
	return error;
}

static void interrupts_disable(struct virtio_device *dev)
{
	struct virtio_mmio *self = mmio_of(dev);

	if (self->has_irq)
		irq_release(self->place.gsi, interrupt, dev);
	self->has_irq = false;
}

static void describe(struct virtio_device *dev, struct sink *out)
{
	struct virtio_mmio *self = mmio_of(dev);

	sink_printf(out, "0x%llx ", (unsigned long long)self->place.address);
	if (self->has_irq)
		sink_printf(out, "irq %u", self->place.gsi);
	else
		sink_printf(out, "no irq");
}

static const struct virtio_transport_ops transport = {
	.name = "mmio",
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

/* 4.2.3.1.1: magic, version, then the device id, of which 0 says that nobody is there, which is no error (4.2.2.2). */
static bool is_usable(const struct machine_virtio_mmio *place, char *registers)
{
	uint32_t version;

	if (mmio_read32(registers + MAGIC_VALUE) != MAGIC) {
		pr_err("virtio-mmio 0x%llx: no virtio device there: ignored", (unsigned long long)place->address);
		return false;
	}
	version = mmio_read32(registers + VERSION_NUMBER);
	if (mmio_read32(registers + DEVICE_ID) == 0)
		return false;
	if (version != VERSION)
		pr_err("virtio-mmio 0x%llx: version %u, only %u is driven: ignored (QEMU: "
		       "virtio-mmio.force-legacy=false)",
		       (unsigned long long)place->address, version, VERSION);
	return version == VERSION;
}

static bool take(const struct machine_virtio_mmio *place)
{
	char *registers = device_map(place->address, place->bytes, DEVICE_UNCACHED);
	struct virtio_mmio *self;

	if (!registers || !is_usable(place, registers))
		return false;
	self = kzalloc(sizeof(*self));
	if (!self)
		return false;
	self->place = *place;
	self->registers = registers;
	self->dev.transport = &transport;
	self->dev.device_id = get(&self->dev, DEVICE_ID);
	self->dev.vendor_id = get(&self->dev, VENDOR_ID);
	return virtio_register_device(&self->dev) == 0;
}

static struct machine_virtio_mmio places[MACHINE_MAX_VIRTIO_MMIO];
static unsigned int nr_places;

static bool is_known(uint64_t address)
{
	for (unsigned int i = 0; i < nr_places; i++)
		if (places[i].address == address)
			return true;
	return false;
}

static void read_word(const char *value, void *context UNUSED)
{
	if (nr_places == MACHINE_MAX_VIRTIO_MMIO)
		pr_err("virtio_mmio.device=%s: more than %u devices; ignored", value, MACHINE_MAX_VIRTIO_MMIO);
	else if (virtio_mmio_parse(value, &places[nr_places]))
		pr_err("virtio_mmio.device=%s: expected size@address:gsi; ignored", value);
	else if (is_known(places[nr_places].address))
		pr_err("virtio_mmio.device=%s: known already; ignored", value);
	else
		nr_places++;
}

void virtio_mmio_find(const struct machine *machine)
{
	for (nr_places = 0; nr_places < machine->nr_virtio_mmio; nr_places++)
		places[nr_places] = machine->virtio_mmio[nr_places];
	cmdline_each("virtio_mmio.device", read_word, NULL);
}

unsigned int virtio_mmio_probe(void)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < nr_places; i++)
		found += take(&places[i]);
	return found;
}
