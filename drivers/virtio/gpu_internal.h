/*
 * Between gpu.c (resources, screen) and gpu_queue.c (commands and answers).
 */
#pragma once

#include "drivers/virtio/gpu.h"
#include "kernel/mutex.h"

/* 5.7.6.7: types of commands and answers. */
enum gpu_type {
	GPU_GET_DISPLAY_INFO = 0x100,
	GPU_RESOURCE_CREATE_2D,
	GPU_RESOURCE_UNREF,
	GPU_SET_SCANOUT,
	GPU_RESOURCE_FLUSH,
	GPU_TRANSFER_TO_HOST_2D,
	GPU_RESOURCE_ATTACH_BACKING,
	GPU_RESOURCE_DETACH_BACKING,
	GPU_OK_NODATA = 0x1100,
	GPU_OK_DISPLAY_INFO,
	GPU_ERROR_UNSPECIFIED = 0x1200,
	GPU_ERROR_OUT_OF_MEMORY,
};

#define GPU_FLAG_FENCE	   1u
#define GPU_FORMAT_BGRX	   2u /* VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM */
#define GPU_MAX_SCANOUTS   16
#define GPU_MAX_IN_FLIGHT  16u
#define GPU_SLOT_BYTES	   512u
#define GPU_REQUEST_BYTES  96u
#define GPU_RESPONSE_BYTES (GPU_SLOT_BYTES - GPU_REQUEST_BYTES)

struct gpu_header {
	uint32_t type, flags;
	uint64_t fence_id;
	uint32_t ctx_id;
	uint8_t ring_idx, padding[3];
};

struct gpu_rect {
	uint32_t x, y, width, height;
};

struct gpu_display_info {
	struct gpu_header header;
	struct {
		struct gpu_rect rect;
		uint32_t enabled, flags;
	} modes[GPU_MAX_SCANOUTS];
};

struct gpu_create_2d {
	struct gpu_header header;
	uint32_t resource, format, width, height;
};

struct gpu_resource_only { /* UNREF, DETACH_BACKING */
	struct gpu_header header;
	uint32_t resource, padding;
};

struct gpu_attach_backing {
	struct gpu_header header;
	uint32_t resource, nr_entries;
};

struct gpu_entry {
	uint64_t address;
	uint32_t bytes, padding;
};

struct gpu_set_scanout {
	struct gpu_header header;
	struct gpu_rect rect;
	uint32_t scanout, resource;
};

struct gpu_flush {
	struct gpu_header header;
	struct gpu_rect rect;
	uint32_t resource, padding;
};

struct gpu_transfer {
	struct gpu_header header;
	struct gpu_rect rect;
	uint64_t offset;
	uint32_t resource, padding;
};

_Static_assert(sizeof(struct gpu_header) == 24 && sizeof(struct gpu_display_info) == 408, "as in clause 5.7.6.7");
_Static_assert(sizeof(struct gpu_display_info) <= GPU_RESPONSE_BYTES, "a slot holds the longest answer");

/* Commands sent together and waited for together. On the stack of whoever sends them. */
struct gpu_job {
	unsigned int pending; /* under gpu->lock to change */
	int error;	      /* the first: -EIO, -ENOMEM (the device's memory), -EPROTO (an answer that is none) */
	struct gpu_display_info *display_info; /* NULL, or where that answer goes */
};

/* What a command lies in while the device has it; memory of ours that the device reads and writes. */
struct gpu_slot {
	struct gpu_job *job; /* NULL: idle */
	uint16_t expected;   /* type of the answer */
	uint64_t sent_ns;
	char *memory; /* GPU_SLOT_BYTES: request, response */
};

struct virtio_gpu {
	struct virtio_device *dev;
	struct virtqueue *queue;
	struct mutex lock; /* the queue, slots, jobs' counts, the screen */
	struct wait_queue wake;
	uint64_t news;	     /* counts interrupts and what was collected: who waits looks again when it changed */
	uint64_t timeout_ns; /* for an answer */
	uint64_t references; /* the driver's, and one a resource: it outlives its device */
	bool failed;	     /* no commands any more */
	bool released;	     /* the device was reset and has no claim to any memory of ours */
	uint32_t last_resource;
	uint64_t resources, commands;
	struct dma_buf *shown;
	unsigned int nr_slots;
	struct page *pages;
	struct gpu_slot slots[GPU_MAX_IN_FLIGHT];
};

/* Memory for the slots. 0 or -ENOMEM; released by the second. */
int gpu_queue_init(struct virtio_gpu *gpu) MUST_CHECK;
void gpu_queue_release(struct virtio_gpu *gpu);
/* From interrupts: something came back. */
void gpu_queue_used(struct virtqueue *vq);
/*
 * Sends a command, @type in its header (the caller leaves that empty), as part of @job; @extra, unless NULL, goes
 * behind it. Waits for a slot if all are in use, never for the answer. What goes wrong is in the job.
 */
void gpu_send(struct virtio_gpu *gpu, struct gpu_job *job, enum gpu_type type, void *request, uint32_t bytes,
	      const struct virtqueue_buffer *extra);
/* Waits for all of @job's commands; its first error. */
int gpu_finish(struct virtio_gpu *gpu, struct gpu_job *job) MUST_CHECK;
/* Resets the device; commands in flight end with -EIO, and no more are sent. @why: an error line, unless NULL. */
void gpu_give_up(struct virtio_gpu *gpu, const char *why);
