/*
 * Virtqueues: chains of descriptors to a device, and what comes back (virtio 1.2, clauses 2.6 to 2.8).
 *
 * The ring code works on memory handed to it and on a notify operation; it never touches a device, so that it
 * compiles in both worlds. Addresses are physical bytes. What the device writes is checked before it is used; a
 * device that breaks the rules makes the queue broken: every later call gives -EIO, nothing wild happens.
 * Locking: the caller serialises all calls on one queue.
 */
#pragma once

#include "kernel/wait.h"
#include "lib/compiler.h"

#define VIRTQUEUE_DESC_ID_INIT UINT16_MAX /* "no descriptor yet", for head and prev */

struct virtqueue;

struct virtqueue_buffer { /* one descriptor */
	uint64_t address;
	uint32_t bytes;
};

/*
 * Appends one descriptor to the chain under construction; @head and @prev start as VIRTQUEUE_DESC_ID_INIT.
 * If the ring is full and a chain has begun: publishes it, kicks, waits for it, and begins a new chain.
 * -ENOSPC if the ring is full and none has begun; -EIO on a broken queue; -EINVAL for a length of 0, an address that
 * wraps, or a device-readable descriptor behind a device-writable one (2.6.4.2).
 */
int virtqueue_add_chain_desc(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t *head, uint16_t *prev,
			     bool in) MUST_CHECK;
/*
 * Publishes the chain (no kick). @token comes back from virtqueue_get(); it must not be NULL. An empty chain
 * (@head = INIT) is a no-op returning 0. @indirect: the chain is the table @indirect_desc instead.
 */
int virtqueue_add_chain(struct virtqueue *vq, uint16_t head, bool indirect, void *indirect_desc, void *token,
			void *context) MUST_CHECK;
/* Gives back the descriptors of a chain that was not published. */
void virtqueue_abandon_chain(struct virtqueue *vq, uint16_t head);
/* Notifies, then polls until a used buffer is there or the queue is broken (-EIO). */
int virtqueue_kick_sync(struct virtqueue *vq) MUST_CHECK;
/* Notifies, then sleeps until a used buffer is there. Not for queues without interrupts. */
int virtqueue_kick_async(struct virtqueue *vq, struct wait_queue *queue) MUST_CHECK;

/* The usual interface, on the same two. Readable buffers first. -ENOSPC: not enough descriptors, nothing added. */
int virtqueue_add(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		  unsigned int writable, void *token) MUST_CHECK;
/* Tells the device if it wants to be told. False: the queue is broken. */
bool virtqueue_kick(struct virtqueue *vq);
/* The next used buffer's token and the bytes the device wrote, or NULL. */
void *virtqueue_get(struct virtqueue *vq, uint32_t *bytes_written);
bool virtqueue_has_used(const struct virtqueue *vq);
/* Takes back, one a call, the tokens that the device still had; only after the device was reset. */
void *virtqueue_detach_unused(struct virtqueue *vq);

/* Interrupts are a hint: after enabling, true says that used buffers came in meanwhile and must be fetched first. */
void virtqueue_disable_interrupts(struct virtqueue *vq);
bool virtqueue_enable_interrupts(struct virtqueue *vq);

unsigned int virtqueue_free_descriptors(const struct virtqueue *vq);
bool virtqueue_is_broken(const struct virtqueue *vq);
/* Once, with one error line; wakes whoever waits. */
void virtqueue_break(struct virtqueue *vq, const char *why);
/* Every descriptor is free or in exactly one chain; indices agree. 0 or -EINVAL. */
int virtqueue_check(const struct virtqueue *vq) MUST_CHECK;
