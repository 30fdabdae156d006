/*
 * See virtio_registers.h.
 */
#include "tests/host/virtio_registers.h"

#include "kernel/memory.h"
#include "lib/atomic.h"
#include "lib/string.h"

void register_device_init(struct register_device *device, struct ktest *t, uint64_t offers)
{
	*device = (struct register_device){
		.t = t,
		.offers = offers,
		.most_descriptors = 64,
		.select = {REGISTER_NO_NAME, REGISTER_NO_NAME},
		.config_vector = 0xffff,
		.config = {0, 777, 0, 0},
	};
	spin_lock_init(&device->lock, "registers");
}

void register_fault(struct register_device *device, const char *what)
{
	if (device->faults++ < 5)
		ktest_note(device->t, "registers: the driver broke a rule: %s", what);
}

uint8_t register_get_status(struct register_device *device)
{
	if (device->resetting && !--device->resetting)
		device->status = 0;
	return device->status;
}

static void reset(struct register_device *device)
{
	device->resetting = device->slow_reset;
	if (!device->resetting)
		device->status = 0;
	memset(device->queues, 0, sizeof(device->queues));
	for (unsigned int i = 0; i < REGISTER_QUEUES; i++)
		device->queues[i].vector = 0xffff;
	device->accepted = 0;
	device->config_vector = 0xffff;
}

void register_set_status(struct register_device *device, uint8_t status)
{
	if (device->nr_status < sizeof(device->status_log))
		device->status_log[device->nr_status++] = status;
	if (!status) {
		reset(device);
		return;
	}
	if (device->resetting)
		register_fault(device, "4.1.4.3.2: the device is used before its reset is done");
	if (device->status & ~status)
		register_fault(device, "2.1.1: a status bit cleared");
	device->status = status;
}

uint32_t register_offered_word(struct register_device *device)
{
	if (device->select[0] == REGISTER_NO_NAME)
		register_fault(device, "4.2.2.2: features read before a word was selected");
	return device->select[0] > 1 ? 0 : (uint32_t)(device->offers >> 32 * device->select[0]);
}

void register_accept_word(struct register_device *device, uint32_t value)
{
	if (device->select[1] > 1)
		register_fault(device, "4.2.2.2: features written before a word was selected");
	else
		device->accepted |= (uint64_t)value << 32 * device->select[1];
	if (device->accepted & ~device->offers)
		register_fault(device, "2.2.1: a feature that was not offered");
}

struct register_queue *register_queue(struct register_device *device)
{
	return device->queue_select < REGISTER_QUEUES ? &device->queues[device->queue_select] : NULL;
}

static struct register_queue *idle_queue(struct register_device *device)
{
	struct register_queue *queue = register_queue(device);

	if (!queue)
		register_fault(device, "a queue that is not there");
	else if (queue->enabled)
		register_fault(device, "4.1.4.3.2, 4.2.2.2: a queue is changed when it is enabled");
	return queue && !queue->enabled ? queue : NULL;
}

void register_queue_size(struct register_device *device, uint32_t size)
{
	struct register_queue *queue = idle_queue(device);

	if (!size || size > device->most_descriptors)
		register_fault(device, "4.1.4.3.2, 4.2.2.2: a queue size of 0, or more than the device can do");
	if (size & (size - 1) && !(device->accepted & BIT(VIRTIO_F_RING_PACKED)))
		register_fault(device, "4.1.4.3.2: a split queue's size that is no power of two");
	if (queue)
		queue->size = (uint16_t)size;
}

void register_queue_address(struct register_device *device, unsigned int part, bool upper, uint32_t value)
{
	struct register_queue *queue = idle_queue(device);

	if (queue)
		queue->addresses[part] |= (uint64_t)value << (upper ? 32 : 0);
}

void register_queue_enable(struct register_device *device, uint32_t value)
{
	struct register_queue *queue = idle_queue(device);

	if (value != 1)
		register_fault(device, "4.1.4.3.2: other than 1 written to queue_enable");
	if (!queue)
		return;
	if (!queue->size || !queue->addresses[0] || !queue->addresses[1] || !queue->addresses[2])
		register_fault(device, "4.1.4.3.2: a queue is enabled before it is configured");
	queue->enabled = true;
}

void register_notified(struct register_device *device, uint32_t index)
{
	if (!(device->status & VIRTIO_STATUS_DRIVER_OK))
		register_fault(device, "3.1.1: a notification before DRIVER_OK");
	if (index >= REGISTER_QUEUES || !device->queues[index].enabled)
		register_fault(device, "2.9: a notification of a queue that is not there");
	device->notifications++;
}

uint32_t register_config_read(struct register_device *device, uint64_t offset, unsigned int bytes)
{
	if (bytes != 4 || offset % 4)
		register_fault(device, "4.1.3.1, 4.2.2.2: a field is read by another width than its own");
	return offset < sizeof(device->config) ? device->config[offset / 4] : 0;
}

void register_config_write(struct register_device *device, uint64_t offset, unsigned int bytes, uint32_t value)
{
	if (bytes != 4 || offset % 4)
		register_fault(device, "4.1.3.1, 4.2.2.2: a field is written by another width than its own");
	if (offset != 4)
		register_fault(device, "5.5.4: only `actual` is the driver's to write");
	else
		store_release(&device->config[1], value);
}

void register_take_off(struct register_device *device)
{
	struct virtio_device *dev = device->dev;

	device->dev = NULL;
	if (!dev)
		return;
	virtio_unregister_device(dev);
	kfree(dev); /* each transport's structure begins with it */
}

struct virtio_device *register_newest(struct register_device *device)
{
	struct virtio_device *dev, *newest = NULL;

	list_for_each_entry(dev, virtio_devices(), node)
		newest = dev;
	device->dev = newest;
	return newest;
}
