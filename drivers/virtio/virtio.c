/*
 * The virtio core: what happens to a device between its discovery and its driver, and back.
 *
 * Clause 3.1.1 gives the order, and this file follows it line by line: reset, ACKNOWLEDGE, DRIVER, read the features
 * and write the subset we want, FEATURES_OK, read it again (the device may refuse), queues, DRIVER_OK. Anything that
 * goes wrong on the way ends in FAILED (3.1.1, last paragraph) and one line that says what was wanted and what was
 * found.
 *
 * A device without interrupts is polled: a delayed work item stands in for both kinds, so that drivers
 * need not know. Polling the configuration is a read of the generation, or, where the bus has none, a call
 * of the driver's config_changed(), which must be cheap when nothing did.
 */
#include "drivers/virtio/virtio.h"

#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define RESET_TIMEOUT_NS (2 * NS_PER_S)
#define POLL_INTERVAL_NS (10 * NS_PER_MS)

static struct mutex devices_lock = MUTEX_INIT(devices_lock, "virtio_devices");
static struct list_node devices = LIST_INIT(devices);
static uint32_t next_index;

struct list_node *virtio_devices(void)
{
	return &devices;
}

struct virtio_device *virtio_find_device(const char *name)
{
	struct virtio_device *dev;

	list_for_each_entry(dev, &devices, node)
		if (strcmp(dev->name, name) == 0)
			return dev;
	return NULL;
}

/* ---- status ---- */

/* 2.1.1: none is cleared, though the device may say that it has not got one. */
static void add_status(struct virtio_device *dev, uint8_t bits)
{
	uint8_t set = atomic_fetch_or(&dev->status, bits) | bits;

	dev->transport->set_status(dev, dev->transport->get_status(dev) | set);
}

static bool wait_for_reset(struct virtio_device *dev)
{
	uint64_t deadline = wait_deadline(dev->timeout_ns ? dev->timeout_ns : RESET_TIMEOUT_NS);

	/* 4.1.4.3.2, 4.2.2.2: the driver waits for a read of 0 before it initialises the device again. */
	while (dev->transport->get_status(dev) != 0) {
		if (time_ns() > deadline)
			return false;
		sleep_ns(NS_PER_MS);
	}
	return true;
}

bool virtio_device_reset(struct virtio_device *dev)
{
	bool back;

	store_release(&dev->ready, false);
	if (dev->polled)
		delayed_work_cancel_sync(&dev->poll);
	store_relaxed(&dev->status, 0);
	dev->transport->set_status(dev, 0);
	back = wait_for_reset(dev);
	dev->transport->interrupts_disable(dev);
	work_cancel_sync(&dev->config_work);
	dev->polled = false;
	return back;
}

void virtio_device_break(struct virtio_device *dev, const char *why)
{
	if (atomic_exchange(&dev->breaking, true))
		return;
	pr_err("%s: %s; the device is marked FAILED and not used any more", dev->name, why);
	/* First: who sees it broken resets it, and FAILED must not come behind that. */
	add_status(dev, VIRTIO_STATUS_FAILED);
	store_release(&dev->broken, true);
	/* Before and after that nobody uses them, and whoever they would wake may be gone. */
	for (unsigned int i = 0; load_acquire(&dev->ready) && i < dev->nr_queues; i++)
		if (dev->queues[i])
			virtqueue_break(dev->queues[i], NULL);
}

/* ---- configuration ---- */

uint32_t virtio_config_read32(struct virtio_device *dev, unsigned int offset)
{
	uint32_t value = 0, before, after;
	unsigned int tries = 0;

	do {
		before = dev->transport->config_generation(dev);
		if (dev->transport->read_config(dev, offset, &value, sizeof(value)))
			return 0;
		after = dev->transport->config_generation(dev);
	} while (before != after && ++tries < 100);
	return value;
}

void virtio_config_write32(struct virtio_device *dev, unsigned int offset, uint32_t value)
{
	if (dev->transport->write_config(dev, offset, &value, sizeof(value)))
		pr_err("%s: its configuration ends before offset %u: write of 0x%x left out", dev->name, offset, value);
}

static void config_changed(struct virtio_device *dev)
{
	if (!load_acquire(&dev->ready) || load_relaxed(&dev->broken))
		return;
	if (dev->transport->get_status(dev) & VIRTIO_STATUS_NEEDS_RESET) {
		virtio_device_break(dev, "the device says that it needs a reset (2.1.2)");
		return;
	}
	if (dev->driver && dev->driver->config_changed)
		dev->driver->config_changed(dev);
}

static void config_work(struct work *work)
{
	config_changed(container_of(work, struct virtio_device, config_work));
}

/* ---- interrupts, and their stand-in ---- */

static void tell_queues(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		if (dev->queues[i])
			virtqueue_used_interrupt(dev->queues[i]);
}

void virtio_queue_interrupt(struct virtio_device *dev)
{
	atomic_add_relaxed(&dev->interrupts, 1);
	if (load_acquire(&dev->ready))
		tell_queues(dev);
}

void virtio_config_interrupt(struct virtio_device *dev)
{
	atomic_add_relaxed(&dev->config_interrupts, 1);
	if (load_acquire(&dev->ready))
		work_queue(&dev->config_work);
}

static void poll(struct work *work)
{
	struct delayed_work *delayed = container_of(work, struct delayed_work, work);
	struct virtio_device *dev = container_of(delayed, struct virtio_device, poll);

	if (!load_acquire(&dev->ready) || load_relaxed(&dev->broken))
		return;
	tell_queues(dev);
	config_changed(dev);
	delayed_work_queue(&dev->poll, POLL_INTERVAL_NS);
}

void virtio_device_ready(struct virtio_device *dev)
{
	store_release(&dev->ready, true);
	add_status(dev, VIRTIO_STATUS_DRIVER_OK);
	if (dev->polled)
		delayed_work_queue(&dev->poll, POLL_INTERVAL_NS);
}

/* ---- negotiation ---- */

static const struct virtio_driver *find_driver(uint32_t device_id)
{
	for (const struct virtio_driver *const *driver = virtio_drivers; *driver; driver++)
		if ((*driver)->device_id == device_id)
			return *driver;
	return NULL;
}

/*
 * 6.1, 6.3. ACCESS_PLATFORM: no IOMMU is ever switched on. ORDER_PLATFORM: memory is coherent here, and the ring's
 * barriers are whole ones, as hardware needs them.
 */
static uint64_t wanted_features(struct virtio_device *dev)
{
	uint64_t ring = BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX);
	uint64_t packed = virtio_wants_packed() ? BIT(VIRTIO_F_RING_PACKED) : 0;
	uint64_t modern = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_ORDER_PLATFORM) |
			  dev->transport->features | packed;
	uint64_t reserved = ring | (dev->legacy ? BIT(VIRTIO_F_ANY_LAYOUT) : modern);
	uint64_t wanted = dev->offered & (dev->driver->features | reserved);

	return dev->driver->choose_features ? dev->driver->choose_features(dev, wanted) : wanted;
}

/* Steps 4 to 6. NULL or what went wrong. */
static const char *negotiate(struct virtio_device *dev)
{
	dev->offered = dev->transport->get_features(dev);
	if (!dev->legacy && !(dev->offered & BIT(VIRTIO_F_VERSION_1)))
		return "VERSION_1 is not offered (6.1)";
	dev->features = wanted_features(dev) & dev->offered;
	dev->transport->set_features(dev, dev->features);
	if (dev->legacy)
		return NULL;
	add_status(dev, VIRTIO_STATUS_FEATURES_OK);
	if (dev->transport->get_status(dev) & VIRTIO_STATUS_FEATURES_OK)
		return NULL;
	store_relaxed(&dev->status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	return "the device refuses the features we chose among those it offered (3.1.1, step 6)";
}

static int fail(struct virtio_device *dev, const char *why)
{
	virtio_device_break(dev, why);
	dev->driver = NULL;
	return -EIO;
}

static int probe(struct virtio_device *dev, const struct virtio_driver *driver)
{
	const char *wrong;
	char why[64];
	int error;

	dev->broken = dev->breaking = false;
	if (!virtio_device_reset(dev))
		return fail(dev, "it does not come out of reset");
	add_status(dev, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(dev, VIRTIO_STATUS_DRIVER);
	dev->driver = driver;
	wrong = negotiate(dev);
	if (wrong)
		return fail(dev, wrong);
	dev->polled = virtio_wants_poll() || dev->transport->interrupts_enable(dev) != 0;

	error = driver->probe(dev);
	if (!error)
		return 0;
	format(why, sizeof(why), "driver %s could not set it up: %s", driver->name, error_name(error));
	fail(dev, why);
	virtio_device_reset(dev);
	add_status(dev, VIRTIO_STATUS_FAILED);
	virtio_free_queues(dev);
	return error;
}

static void remove(struct virtio_device *dev)
{
	const struct virtio_driver *driver = dev->driver;

	if (!driver)
		return;
	driver->remove(dev);
	virtio_free_queues(dev);
	dev->driver = NULL;
}

/* ---- devices ---- */

int virtio_register_device(struct virtio_device *dev)
{
	const struct virtio_driver *driver = find_driver(dev->device_id);

	mutex_lock(&devices_lock);
	dev->index = next_index++;
	format(dev->name, sizeof(dev->name), "virtio%u", dev->index);
	work_init(&dev->config_work, config_work);
	delayed_work_init(&dev->poll, poll);
	dev->driver = NULL;
	dev->nr_queues = 0;
	list_add_tail(&devices, &dev->node);
	/* A device that fails stays in the list, marked: it can be looked at and tried again. */
	if (driver)
		(void)!probe(dev, driver);
	mutex_unlock(&devices_lock);
	return 0;
}

void virtio_unregister_device(struct virtio_device *dev)
{
	mutex_lock(&devices_lock);
	remove(dev);
	list_del(&dev->node);
	mutex_unlock(&devices_lock);
}

int virtio_probe_with(struct virtio_device *dev, const struct virtio_driver *driver)
{
	int error;

	mutex_lock(&devices_lock);
	remove(dev);
	error = driver ? probe(dev, driver) : -ENODEV;
	mutex_unlock(&devices_lock);
	return error;
}

int virtio_reprobe(struct virtio_device *dev)
{
	return virtio_probe_with(dev, find_driver(dev->device_id));
}

/* ---- showing ---- */

static void show_queues(const struct virtio_device *dev, struct sink *out)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		const struct virtqueue *vq = dev->queues[i];

		if (!vq)
			continue;
		sink_printf(out, " %s=%u/%u%s", virtqueue_name(vq), virtqueue_free_descriptors(vq), virtqueue_size(vq),
			    virtqueue_is_broken(vq) ? "!" : "");
	}
}

void virtio_show(struct sink *out)
{
	struct virtio_device *dev;

	mutex_lock(&devices_lock);
	list_for_each_entry(dev, &devices, node) {
		sink_printf(out, "%s id %u %s ", dev->name, dev->device_id, dev->transport->name);
		if (dev->transport->describe)
			dev->transport->describe(dev, out);
		sink_printf(out, " driver %s status 0x%02x%s features 0x%llx of 0x%llx irqs %llu+%llu%s",
			    dev->driver ? dev->driver->name : "none", dev->transport->get_status(dev),
			    dev->broken ? " broken" : "", (unsigned long long)dev->features,
			    (unsigned long long)dev->offered, (unsigned long long)dev->interrupts,
			    (unsigned long long)dev->config_interrupts, dev->polled ? " polled" : "");
		show_queues(dev, out);
		sink_printf(out, "\n");
	}
	mutex_unlock(&devices_lock);
}
