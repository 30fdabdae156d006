/*
 * Pretended devices: pieces of memory at physical addresses, and interrupts that a test fires.
 */
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "lib/errno.h"
#include "tests/host/host.h"

#include <arch/io.h>

#define MAX_DEVICES 8
#define MAX_VECTORS 16

static struct device {
	uint64_t phys, bytes;
	char *memory;
} devices[MAX_DEVICES];

void host_device_add(uint64_t phys, void *memory, uint64_t bytes)
{
	struct device *at = devices;

	/* Its own place, or a free one. */
	while (at < devices + MAX_DEVICES && at->memory && at->phys != phys)
		at++;
	ASSERT(at < devices + MAX_DEVICES);
	*at = (struct device){.phys = phys, .bytes = bytes, .memory = memory};
}

void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching UNUSED)
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		const struct device *at = &devices[i];

		if (at->memory && phys >= at->phys && bytes <= at->bytes && phys - at->phys <= at->bytes - bytes)
			return at->memory + (phys - at->phys);
	}
	return NULL;
}

static struct vector {
	irq_handler handler;
	void *context;
} vectors[MAX_VECTORS];

int irq_request_message(irq_handler handler, void *context, struct irq_message *message)
{
	for (uint32_t i = 0; i < MAX_VECTORS; i++) {
		if (vectors[i].handler)
			continue;
		vectors[i] = (struct vector){.handler = handler, .context = context};
		*message = (struct irq_message){.address = 0xfee00000, .data = i + 32, .vector = i};
		return 0;
	}
	return -ENOSPC;
}

void irq_release_message(const struct irq_message *message)
{
	vectors[message->vector].handler = NULL;
}

bool host_interrupt(uint64_t address, uint32_t data)
{
	const struct vector *vector = &vectors[(data - 32) % MAX_VECTORS];

	return address == 0xfee00000 && vector->handler && vector->handler(vector->context);
}

unsigned int host_vectors_in_use(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < MAX_VECTORS; i++)
		count += vectors[i].handler != NULL;
	return count;
}
