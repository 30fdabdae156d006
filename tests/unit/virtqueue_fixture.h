/*
 * A virtqueue on private memory with a scripted device at its other end.
 */
#pragma once

#include "kernel/ktest.h"
#include "tests/unit/ring_device.h"

enum virtqueue_answer {
	ANSWER_BY_HAND,	   /* the test pops and pushes itself */
	ANSWER_AT_ONCE,	   /* every notification uses all that is available */
	ANSWER_FIRST_ONLY, /* the first notification uses one buffer, and no more come back */
	ANSWER_NEVER,
};

struct virtqueue_fixture {
	struct ktest *t;
	struct virtqueue *vq;
	struct ring_device device;
	struct ring_element element; /* the one popped last */
	enum virtqueue_answer answer;
	unsigned int notifications, wakeups;
	unsigned int descriptors_seen; /* with ANSWER_AT_ONCE, over all chains */
	unsigned int chains_seen;
	uint64_t bytes_seen;
	void *memory;
	uint64_t phys;
	struct wait_queue waiters;
};

struct virtqueue_shape {
	bool packed, event_index, checked;
	unsigned int size, tables, table_entries;
	uint64_t timeout_ns; /* 0: 20 ms */
};

/* Released by the harness, after a last virtqueue_check(). NULL (and a failure noted) without memory. */
struct virtqueue_fixture *virtqueue_fixture(struct ktest *t, struct virtqueue_shape shape);
/* For tests that make many: the caller releases it. */
struct virtqueue_fixture *virtqueue_fixture_make(struct ktest *t, struct virtqueue_shape shape);
void virtqueue_fixture_release(void *fixture);
/* Adds one readable buffer of one byte at @address with @address as its token. */
int virtqueue_fixture_add(struct virtqueue_fixture *f, uint64_t address);
/* The device pops one and uses it; -1: none there, else whether it wants to interrupt. */
int virtqueue_fixture_use_one(struct virtqueue_fixture *f, uint32_t bytes);
