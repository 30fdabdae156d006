/*
 * virtio-gpu, 2D (virtio 1.2, clause 5.7): pictures in the guest's memory, shown by the host.
 *
 * A resource is a dma-buf of the heap "virtio-gpu": pages of ours, attached to an image of the device's, 4 bytes a
 * pixel (blue, green, red, nothing), rows without gaps. It is charged like any other buffer, and destroyed on both
 * sides with its last reference. The device sees what was drawn when it is told to (virtio_gpu_show()).
 *
 * One device is driven, the first. All calls may sleep.
 */
#pragma once

#include "drivers/dma_buf.h"
#include "drivers/virtio/virtio.h"

#define VIRTIO_ID_GPU	    16u
#define VIRTIO_GPU_MAX_SIDE 16384u

extern const struct virtio_driver virtio_gpu_driver;

/* A request for dma_buf_alloc(): up to 64 MiB. NULL there: rows of 1024 pixels, a page each. */
struct virtio_gpu_size {
	uint32_t width, height; /* 16..VIRTIO_GPU_MAX_SIDE */
};

/* Registers the heap, once, before devices are probed; without one it says -ENODEV to whoever allocates. */
int virtio_gpu_init(void) MUST_CHECK;
/* What the first screen would like to show; bounded. -ENODEV; -EIO: the device is broken. */
int virtio_gpu_preferred_size(struct virtio_gpu_size *size) MUST_CHECK;
struct virtio_gpu_size virtio_gpu_size_of(const struct dma_buf *buf);
/*
 * Sends the picture to the device and shows it on the first screen, from its upper left corner on; the screen holds a
 * reference until the next. NULL: nothing is shown. 0, -ENODEV, -EIO.
 */
int virtio_gpu_show(struct dma_buf *buf) MUST_CHECK;
/* All resources that the device was told of, now; and since the beginning. */
void virtio_gpu_counts(uint64_t *resources, uint64_t *commands);
