/*
 * The virtio drivers that there are. A new one is one new file and one line here.
 */
#include "drivers/virtio/balloon.h"
#include "drivers/virtio/gpu.h"
#include "drivers/virtio/virtio.h"

const struct virtio_driver *const virtio_drivers[] = {
	&balloon_driver,
	&virtio_gpu_driver,
	NULL,
};
