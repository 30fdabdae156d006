/*
 * Memory for a device's queues: one block of pages per queue, owned by the drivers, for ring and indirect tables.
 *
 * The device says how many descriptors it can do; that is a wish from the outside, so it is bounded, rounded down to a
 * power of two where the format asks for it, and 0 means that the queue is not there (2.5.2, 4.1.4.3).
 */
#include "drivers/virtio/virtio.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define MOST_DESCRIPTORS 1024u
#define LEGACY_ALIGN	 4096u

static void notify(struct virtqueue *vq)
{
	struct virtio_device *dev = virtqueue_owner(vq);

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		if (dev->queues[i] == vq)
			dev->transport->notify(dev, i);
}

static unsigned int order_for(size_t bytes)
{
	unsigned int order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static unsigned int usable_size(const struct virtio_device *dev, unsigned int offered, unsigned int most)
{
	unsigned int size = 1;

	/* A legacy device's queue has the size it has (2.5, 4.1.5.1.3 legacy). */
	if (dev->legacy)
		return offered;
	most = MIN(most ? most : MOST_DESCRIPTORS, offered);
	while (size * 2 <= most)
		size *= 2;
	return size;
}

static int create_queue(struct virtio_device *dev, unsigned int index, const struct virtio_queue_request *request,
			unsigned int size)
{
	bool tables = virtio_has_feature(dev, VIRTIO_F_INDIRECT_DESC);
	struct virtqueue_setup setup = {
		.name = request->name,
		.format = virtio_has_feature(dev, VIRTIO_F_RING_PACKED) ? &virtqueue_packed : &virtqueue_split,
		.size = size,
		.align = dev->legacy ? LEGACY_ALIGN : 0,
		.tables = tables ? request->tables : 0,
		.table_entries = tables ? size : 0, /* 2.7.5.3.1: no chain longer than the queue */
		.event_index = virtio_has_feature(dev, VIRTIO_F_EVENT_IDX),
		.checked = virtio_wants_checked(),
		.notify = notify,
		.used = request->used,
		.owner = dev,
		.timeout_ns = dev->timeout_ns,
	};
	unsigned int order = order_for(virtqueue_bytes(&setup));
	uint32_t gfp = GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_DRIVER);
	struct page *pages = order <= MAX_ORDER ? alloc_pages(gfp, order) : NULL;
	struct virtqueue *vq;

	if (!pages)
		return -ENOMEM;
	setup.memory = page_address(pages);
	setup.phys = page_to_phys(pages);
	vq = virtqueue_create(&setup);
	if (IS_ERR(vq)) {
		free_pages(pages, order);
		return PTR_ERR(vq);
	}
	dev->queue_pages[index] = pages;
	dev->queue_orders[index] = order;
	dev->queues[index] = vq;
	return 0;
}

int virtio_setup_queues(struct virtio_device *dev, const struct virtio_queue_request *requests, unsigned int count)
{
	ASSERT(count <= VIRTIO_MAX_QUEUES, "%u queues", count);
	for (unsigned int i = 0; i < count; i++) {
		unsigned int offered;
		int error;

		dev->nr_queues = i + 1;
		if (!requests[i].name)
			continue;
		offered = dev->transport->queue_size(dev, i);
		if (!offered || offered > VIRTQUEUE_MAX_SIZE) {
			pr_err("%s: queue %u (%s) has size %u: not usable", dev->name, i, requests[i].name, offered);
			return -ENOENT;
		}
		error = create_queue(dev, i, &requests[i], usable_size(dev, offered, requests[i].most_descriptors));
		if (error)
			return error;
		error = dev->transport->queue_enable(dev, i, dev->queues[i]);
		if (error)
			return error;
	}
	return 0;
}

void virtio_free_queues(struct virtio_device *dev)
{
	unsigned int count = dev->nr_queues;

	dev->nr_queues = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (!dev->queues[i])
			continue;
		virtqueue_destroy(dev->queues[i]);
		free_pages(dev->queue_pages[i], dev->queue_orders[i]);
		dev->queues[i] = NULL;
	}
}
