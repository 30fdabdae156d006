/*
 * balloon_floor: what the device itself needs to drop an amount of memory; nothing can inflate faster.
 *
 * Takes the balloon device from its driver, and the memory in blocks of 4 MiB; then, with everything prepared, sends
 * the blocks through the reporting queue as device-writable descriptors, 32 to a chain, as many chains in flight as the
 * queue takes. Only the sending is timed, from the first descriptor to the last answer. Nobody looks for blocks, keeps
 * books or writes `actual` meanwhile: what the balloon needs beyond this is its own cost.
 */
#include "drivers/virtio/virtio.h"
#include "kernel/memory.h"
#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "mm/page_alloc.h"
#include "workloads/workload.h"

#include <arch/cpu.h>

/* 5.5.3: feature bits */
#define F_STATS_VQ	 1u
#define F_FREE_PAGE_HINT 3u
#define F_REPORTING	 5u

#define CHAIN	   32u
#define BLOCK	   (PAGE_SIZE << MAX_ORDER)
#define TIMEOUT_NS (60 * NS_PER_S)

struct floor {
	struct virtqueue *report;
	struct virtqueue_buffer *blocks;
	uint64_t nr_blocks, took_ns;
};

/* 5.5.2: the reporting queue is behind all others that are offered. */
static int floor_probe(struct virtio_device *dev)
{
	struct virtio_queue_request requests[VIRTIO_MAX_QUEUES] = {{.name = NULL}};
	unsigned int at = 2 + (dev->offered >> F_STATS_VQ & 1) + (dev->offered >> F_FREE_PAGE_HINT & 1);
	int error;

	if (!virtio_has_feature(dev, F_REPORTING))
		return -EOPNOTSUPP;
	requests[at] = (struct virtio_queue_request){.name = "report", .tables = CHAIN};
	error = virtio_setup_queues(dev, requests, at + 1);
	if (error)
		return error;
	dev->driver_data = dev->queues[at];
	virtqueue_disable_interrupts(dev->queues[at]);
	virtio_device_ready(dev);
	return 0;
}

static void floor_remove(struct virtio_device *dev)
{
	(void)!virtio_device_reset(dev);
	while (virtqueue_detach_unused(dev->driver_data))
		;
}

static const struct virtio_driver floor_driver = {
	.name = "balloon_floor",
	.device_id = VIRTIO_ID_BALLOON,
	.features = BIT(F_REPORTING) | BIT(F_STATS_VQ),
	.probe = floor_probe,
	.remove = floor_remove,
};

/* As many blocks as there are, up to @most. */
static int prepare(struct floor *floor, uint64_t most)
{
	floor->blocks = kmalloc(most * sizeof(floor->blocks[0]));
	if (!floor->blocks)
		return -ENOMEM;
	for (; floor->nr_blocks < most; floor->nr_blocks++) {
		struct page *page = alloc_pages(GFP_MOVABLE | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD), MAX_ORDER);

		if (!page)
			return -ENOMEM;
		floor->blocks[floor->nr_blocks] = (struct virtqueue_buffer){page_to_phys(page), BLOCK};
	}
	return 0;
}

static void give_back(struct floor *floor)
{
	while (floor->nr_blocks)
		free_pages(pfn_to_page(floor->blocks[--floor->nr_blocks].address >> PAGE_SHIFT), MAX_ORDER);
	kfree(floor->blocks);
}

static int send_all(struct floor *floor)
{
	uint64_t start = time_ns(), at = 0, out = 0;
	int error = 0;

	while (!error && (at < floor->nr_blocks || out)) {
		unsigned int count = (unsigned int)MIN(CHAIN, floor->nr_blocks - at);

		error = count ? virtqueue_add(floor->report, &floor->blocks[at], 0, count, floor) : -ENOSPC;
		if (!error) {
			at += count;
			out++;
			virtqueue_kick(floor->report);
		} else if (error == -ENOSPC) {
			error = time_ns() - start > TIMEOUT_NS ? -ETIMEDOUT : 0;
			cpu_relax();
		}
		while (virtqueue_get(floor->report, NULL))
			out--;
		if (virtqueue_is_broken(floor->report))
			error = -EIO;
	}
	floor->took_ns = time_ns() - start;
	return error;
}

static struct virtio_device *find_balloon(void)
{
	struct virtio_device *dev;

	list_for_each_entry(dev, virtio_devices(), node)
		if (dev->device_id == VIRTIO_ID_BALLOON && dev->driver)
			return dev;
	return NULL;
}

static int measure(struct floor *floor, struct virtio_device *dev, uint64_t blocks)
{
	int error = virtio_probe_with(dev, &floor_driver);

	if (!error) {
		floor->report = dev->driver_data;
		error = prepare(floor, blocks);
	}
	if (!error)
		error = send_all(floor);
	/* The reset takes the blocks from the device, whatever went wrong; only then are they anybody's again. */
	if (virtio_reprobe(dev)) {
		floor->nr_blocks = 0;
		return error ? error : -EIO;
	}
	return error;
}

static int floor_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t bytes = workload_number(out, parameters, "size", MIB(64));
	struct virtio_device *dev = find_balloon();
	struct floor floor = {.report = NULL};
	int error = workload_parameters_end(out, parameters);

	if (error)
		return error;
	if (!dev)
		return -ENODEV;
	error = measure(&floor, dev, bytes / BLOCK);
	if (!error)
		sink_printf(out, "balloon_floor: %llu MiB in %llu us\n",
			    (unsigned long long)(floor.nr_blocks * BLOCK >> 20),
			    (unsigned long long)(floor.took_ns / 1000));
	give_back(&floor);
	return error;
}
WORKLOAD(balloon_floor, "size=64M", "sends prepared blocks through the reporting queue: the device's own time",
	 floor_run);
