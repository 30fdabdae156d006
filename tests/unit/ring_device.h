/*
 * The device's side of a virtqueue, for tests: written from the clauses on its own, sharing no code with the driver.
 *
 * It works on the same memory as the driver. A correct device pops what is available and pushes what it has used; a
 * lying one writes through the raw accessors whatever it likes.
 */
#pragma once

#include "drivers/virtio/virtqueue.h"

#define RING_ELEMENT_BUFFERS 1024

struct ring_device {
	char *descriptors, *driver, *device; /* pointers to the three parts */
	unsigned int size;
	bool packed, event_index;
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
	uint16_t unsignalled;					/* used since the last interrupt */
	const void *(*translate)(uint64_t phys, void *context); /* for indirect tables */
	void *context;
};

struct ring_element {
	uint16_t id, descriptors; /* of the ring: packed rings skip that many */
	unsigned int readable, writable;
	bool indirect;
	struct virtqueue_buffer buffers[RING_ELEMENT_BUFFERS]; /* readable ones first */
};

/* @memory is where @addresses.descriptors lies. */
void ring_device_init(struct ring_device *ring, void *memory, struct virtqueue_addresses addresses, unsigned int size,
		      bool packed, bool event_index);
/* The next available chain, or false. A chain that breaks a clause fails an assertion: it is the driver's fault. */
bool ring_device_pop(struct ring_device *ring, struct ring_element *element);
/* Uses it; true if the driver wants an interrupt. */
bool ring_device_push(struct ring_device *ring, const struct ring_element *element, uint32_t bytes);
/* Says whether it wants to be notified. */
void ring_device_set_notify(struct ring_device *ring, bool enabled);

/* For liars, split rings: the used ring as it lies in memory. */
void ring_device_write_used(struct ring_device *ring, uint16_t at, uint32_t id, uint32_t bytes);
void ring_device_write_used_index(struct ring_device *ring, uint16_t index);
