/*
 * Virtio devices as registers, for tests of the transports: a modern PCI device, legacy ports, an MMIO block. Each
 * access of the driver is held against the clauses; what breaks one is counted in `faults` with a line.
 */
#pragma once

#include "drivers/virtio/virtio.h"
#include "kernel/ktest.h"
#include "kernel/spinlock.h"

#include <arch/io.h>

#define REGISTER_QUEUES	 5u
#define REGISTER_NO_NAME UINT32_MAX

struct register_queue {
	uint16_t size, vector; /* as written; size 0: not yet */
	uint64_t addresses[3]; /* descriptors, driver, device */
	bool enabled;
};

struct register_device {
	struct ktest *t;
	struct spinlock lock;
	struct host_registers registers;

	/* The script. */
	uint64_t offers;
	unsigned int nr_vectors, slow_reset; /* MSI-X; reads until a reset is done */
	uint16_t most_descriptors;
	uint32_t config[4]; /* of the balloon */
	bool vectors_fail;

	/* What it saw. */
	unsigned int faults, notifications, isr_reads, accesses;
	uint64_t accepted;
	uint8_t status, status_log[16];
	unsigned int nr_status, resetting;
	uint32_t select[2]; /* of feature words: the device's, the driver's; REGISTER_NO_NAME: not yet */
	uint32_t queue_select, causes, acknowledged;
	uint16_t config_vector;
	struct register_queue queues[REGISTER_QUEUES];
	uint64_t handled_before_ack; /* MMIO: interrupts that the core had counted when it was acknowledged */
	struct virtio_device *dev;   /* once registered */
};

void register_device_init(struct register_device *device, struct ktest *t, uint64_t offers);
void register_fault(struct register_device *device, const char *what);
/* What all three have in common: the status register, features by words, a queue's enabling. */
uint8_t register_get_status(struct register_device *device);
void register_set_status(struct register_device *device, uint8_t status);
uint32_t register_offered_word(struct register_device *device);
void register_accept_word(struct register_device *device, uint32_t value);
/* The queue selected, or NULL: there is none. */
struct register_queue *register_queue(struct register_device *device);
void register_queue_size(struct register_device *device, uint32_t size);
void register_queue_address(struct register_device *device, unsigned int part, bool upper, uint32_t value);
void register_queue_enable(struct register_device *device, uint32_t value);
void register_notified(struct register_device *device, uint32_t index);
uint32_t register_config_read(struct register_device *device, uint64_t offset, unsigned int bytes);
void register_config_write(struct register_device *device, uint64_t offset, unsigned int bytes, uint32_t value);
/* The virtio device that was registered last is ours from now on. */
struct virtio_device *register_newest(struct register_device *device);
/* Unregisters it, if there is one, and frees it. */
void register_take_off(struct register_device *device);
