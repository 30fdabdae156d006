/*
 * What the common part of a virtqueue and the two ring formats share.
 *
 * The rule: memory that the device can write (or that a lying device can change under our feet) is never the source of
 * a decision twice. Links, lengths and states live in `slots`, which the device does not see; the ring is only
 * written, except for the used side, of which each word is loaded once.
 */
#pragma once

#include "drivers/virtio/virtqueue.h"
#include "lib/format.h"

#define VIRTQUEUE_DESC_NEXT	1u /* 2.7.5, 2.8.1 */
#define VIRTQUEUE_DESC_WRITE	2u
#define VIRTQUEUE_DESC_INDIRECT 4u

enum virtqueue_slot_state {
	VIRTQUEUE_SLOT_FREE,
	VIRTQUEUE_SLOT_BUILDING,  /* in the chain under construction */
	VIRTQUEUE_SLOT_PUBLISHED, /* head of a chain the device has */
	VIRTQUEUE_SLOT_BODY,	  /* behind such a head */
	VIRTQUEUE_SLOT_DONE,	  /* a used chain that virtqueue_get() has still to hand over */
};

/*
 * Split: a slot is a descriptor; a chain is its slots linked by `next`. Packed: a slot is a buffer id, one per chain,
 * and `count` says how many places of the ring it takes.
 */
struct virtqueue_slot {
	void *token, *context;
	uint64_t writable_bytes;
	uint32_t written_bytes; /* DONE */
	uint16_t next;		/* free list, chain, or the list of done ones */
	uint16_t count;		/* head: descriptors in its chain */
	uint16_t flags;		/* as written to the descriptor */
	uint16_t table;		/* index + 1 of the indirect table taken from the pool; 0: none */
	uint8_t state;
	bool intermediate; /* published by virtqueue_add_chain_desc() itself */
};

struct virtqueue_checker; /* virtqueue_checked.c */

struct virtqueue {
	struct virtqueue_setup setup;
	struct virtqueue_checker *checker; /* NULL: not checked */
	size_t driver_offset, device_offset, tables_offset;
	struct virtqueue_slot *slots; /* [size] */
	uint16_t *table_links;	      /* free list of indirect tables */
	uint16_t first_free, first_free_table;
	uint16_t first_done, last_done;
	uint16_t free_descriptors;
	uint16_t in_flight; /* chains published and not yet used */
	struct {	    /* the chain under construction */
		uint16_t head, tail, count;
		bool writable;
		uint64_t bytes, writable_bytes;
	} building;
	bool broken;
	/* Where the next one goes and comes from; split: free-running, packed: a place and a wrap counter. */
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
	uint16_t since_kick; /* split: chains, packed: descriptors published since the last kick */
};

struct virtqueue_format {
	const char *name;
	bool (*size_allowed)(unsigned int size);
	/* Offsets of the driver's and the device's part for this size; returns where the last one ends. */
	size_t (*layout)(unsigned int size, size_t align, size_t *driver, size_t *device);
	void (*start)(struct virtqueue *vq);
	/* Writes one descriptor behind the chain under construction; returns its id. A descriptor is free. */
	uint16_t (*append)(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t flags);
	/* Makes the chain under construction visible to the device; @flags are added to its first descriptor's. */
	void (*publish)(struct virtqueue *vq, uint16_t flags);
	/* The chain under construction will not be published: nothing of it may look available later. */
	void (*retract)(struct virtqueue *vq);
	/* Gives back the slots of @head's chain, but not @head itself. */
	void (*release_body)(struct virtqueue *vq, uint16_t head);
	bool (*has_used)(const struct virtqueue *vq);
	/* Loads the next used element: true and what the device wrote, unchecked; false: none, or the queue broke. */
	bool (*load_used)(struct virtqueue *vq, uint32_t *id, uint32_t *bytes);
	/* The element loaded last was good and was @head's. */
	void (*advance_used)(struct virtqueue *vq, uint16_t head);
	/* Of what was published since the last kick, does the device want to hear? Behind a full barrier. */
	bool (*wants_notify)(const struct virtqueue *vq);
	void (*set_interrupts)(struct virtqueue *vq, bool enabled);
	/* The second half of a descriptor in an indirect table; @next 0: the last one. */
	void (*write_table_links)(struct virtqueue_desc *desc, uint16_t next, bool writable);
	int (*check)(const struct virtqueue *vq);
};

/* Breaks the queue with a formatted reason. */
void virtqueue_break_with(struct virtqueue *vq, const char *fmt, ...) PRINTF(2, 3);
/* The free list of slots. Taking needs one to be there. */
uint16_t virtqueue_take_slot(struct virtqueue *vq);
void virtqueue_put_slot(struct virtqueue *vq, uint16_t id);

/*
 * Checked mode. Without it each is nothing but a test of a pointer. The same order of calls as in a chain's life: parts
 * are added to the chain under construction, which is published as @head's or abandoned; a published one is released.
 */
struct virtqueue_checker *virtqueue_checker_create(const struct virtqueue_setup *setup) MUST_CHECK;
void virtqueue_checker_part(struct virtqueue *vq, uint64_t address, uint32_t bytes, bool writable);
void virtqueue_checker_publish(struct virtqueue *vq, uint16_t head, const void *token);
void virtqueue_checker_release(struct virtqueue *vq, uint16_t head);
/* The caller's thread works on the queue, and nobody else may meanwhile. */
void virtqueue_checker_enter(struct virtqueue *vq, const char *call);
void virtqueue_checker_leave(struct virtqueue *vq);

static inline void virtqueue_checked_part(struct virtqueue *vq, uint64_t address, uint32_t bytes, bool writable)
{
	if (unlikely(vq->checker))
		virtqueue_checker_part(vq, address, bytes, writable);
}
static inline struct virtqueue *virtqueue_checked_enter(struct virtqueue *vq, const char *call)
{
	if (unlikely(vq->checker))
		virtqueue_checker_enter(vq, call);
	return vq;
}

static inline void virtqueue_checked_leave(struct virtqueue **vq)
{
	if (unlikely((*vq)->checker))
		virtqueue_checker_leave(*vq);
}

/* First in a public function that changes the queue: until it returns, no other thread may come in. */
#define VIRTQUEUE_CHECKED_CALL(vq)                                                           \
	struct virtqueue *_inside UNUSED __attribute__((cleanup(virtqueue_checked_leave))) = \
		virtqueue_checked_enter(vq, __func__)
