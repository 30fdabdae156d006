/*
 * A virtio-gpu for tests, behind a transport of its own: correct, failing, silent, lying, as the test asks.
 *
 * It keeps the resources it was told of, reads their memory through the entries it was given, and notes in `faults`
 * every rule of clause 5.7 that the driver breaks.
 */
#pragma once

#include "drivers/virtio/virtio.h"
#include "kernel/ktest.h"
#include "kernel/spinlock.h"
#include "tests/unit/ring_device.h"

#define SCRIPTED_GPU_RESOURCES 64u
#define SCRIPTED_GPU_ENTRIES   64u

enum scripted_gpu_lie { GPU_HONEST, GPU_SILENT, GPU_SHORT_ANSWER, GPU_WRONG_TYPE, GPU_NO_MEMORY, GPU_ERROR, GPU_LIES };

struct scripted_gpu {
	struct virtio_device dev;
	struct ktest *t;

	/* The script. */
	enum scripted_gpu_lie lie;
	uint32_t lie_about; /* a type of command; 0: all */
	bool stuck_in_reset;
	uint64_t offers;

	/* What it saw. */
	unsigned int faults, commands, most_at_once;
	uint32_t shown;	      /* resource on the screen */
	uint32_t first_pixel; /* of what was transferred last */
	struct {
		uint32_t id, width, height, nr_entries; /* id 0: free */
		struct virtqueue_buffer entries[SCRIPTED_GPU_ENTRIES];
	} resources[SCRIPTED_GPU_RESOURCES];

	struct spinlock lock;
	uint8_t status;
	uint64_t accepted;
	struct ring_device ring;
	bool ready;
	struct ring_element element;
};

/* Not registered yet. Taken away by the harness at the end; NULL: the test has failed. */
struct scripted_gpu *scripted_gpu(struct ktest *t, uint64_t features);
void scripted_gpu_plug(struct scripted_gpu *gpu);
unsigned int scripted_gpu_resources(struct scripted_gpu *gpu);
