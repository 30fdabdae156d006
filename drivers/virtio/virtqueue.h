/*
 * Virtqueues: chains of descriptors to a device, and what comes back (virtio 1.2, clauses 2.6 to 2.8).
 *
 * The ring code works on memory handed to it and on a notify operation; it never touches a device, so that it
 * compiles in both worlds. Addresses are physical bytes. What the device writes is read once, checked, then used; a
 * device that breaks the rules makes the queue broken: every later call gives -EIO, nothing wild happens.
 * Locking: the caller serialises all calls on one queue, but for virtqueue_break(), virtqueue_is_broken() and
 * virtqueue_used_interrupt(), which may come from anywhere.
 */
#pragma once

#include "kernel/wait.h"
#include "lib/compiler.h"

#define VIRTQUEUE_DESC_ID_INIT UINT16_MAX /* "no descriptor yet", for head and prev */
#define VIRTQUEUE_MAX_SIZE     32768u
#define VIRTQUEUE_MAX_BYTES    (1ull << 32) /* of a chain (2.7.5.2) */

struct virtqueue;
struct virtqueue_format; /* the ring's layout: one file each */

extern const struct virtqueue_format virtqueue_split, virtqueue_packed; /* 2.7, 2.8 */

struct virtqueue_buffer { /* one descriptor */
	uint64_t address;
	uint32_t bytes;
};

struct virtqueue_sg_list { /* parts of a buffer, in this order */
	const struct virtqueue_buffer *buffers;
	unsigned int count;
};

/* A descriptor as it lies in an indirect table (and in a split ring). Little-endian. */
struct virtqueue_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags; /* packed rings: the buffer id */
	uint16_t next;	/* packed rings: the flags */
};

struct virtqueue_setup {
	const char *name; /* for messages; not copied */
	const struct virtqueue_format *format;
	unsigned int size;		      /* descriptors, up to VIRTQUEUE_MAX_SIZE; split: a power of two */
	unsigned int align;		      /* of the part the device writes: 0 as the clause says, 4096 legacy */
	unsigned int tables, table_entries;   /* indirect tables that virtqueue_add() may use; 0: none */
	bool event_index;		      /* VIRTIO_F_EVENT_IDX was negotiated */
	bool checked;			      /* a driver's misuse is an assertion: virtqueue_checked.c */
	void *memory;			      /* zeroed, virtqueue_bytes() long, aligned to 16 (legacy: a page) */
	uint64_t phys;			      /* the same as the device sees it */
	void (*notify)(struct virtqueue *vq); /* tells the device; anything it writes may change meanwhile */
	void (*used)(struct virtqueue *vq);   /* NULL, or called for an interrupt and when the queue breaks */
	void *owner;			      /* for these two */
	uint64_t timeout_ns;		      /* how long a kick may wait for an answer; 0: a minute */
};

/* Where the device finds the three parts. */
struct virtqueue_addresses {
	uint64_t descriptors, driver, device;
};

/* Memory that a queue of this format, size, alignment and these tables needs (the other fields are not read). */
size_t virtqueue_bytes(const struct virtqueue_setup *setup);
/* A queue on the memory handed in, or ERR_PTR: -EINVAL (a size the format does not allow), -ENOMEM. May sleep. */
struct virtqueue *virtqueue_create(const struct virtqueue_setup *setup) MUST_CHECK;
/* After the device was reset. The ring's memory stays the caller's. NULL is fine. */
void virtqueue_destroy(struct virtqueue *vq);
struct virtqueue_addresses virtqueue_addresses(const struct virtqueue *vq);
void *virtqueue_owner(const struct virtqueue *vq);
const char *virtqueue_name(const struct virtqueue *vq);
unsigned int virtqueue_size(const struct virtqueue *vq);

/*
 * Appends one descriptor to the chain under construction; @head and @prev start as VIRTQUEUE_DESC_ID_INIT.
 * If the ring is full, or the chain as long as it may be, and a chain has begun: publishes it, kicks, waits for it, and
 * begins a new chain.
 * -ENOSPC if the ring is full and none has begun; -EIO on a broken queue; -EINVAL for a length of 0, an address that
 * wraps, a device-readable descriptor behind a device-writable one (2.7.4.2), a @head and @prev that are not those of
 * the chain under construction (a queue has one at a time).
 */
int virtqueue_add_chain_desc(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t *head, uint16_t *prev,
			     bool in) MUST_CHECK;
/*
 * Publishes the chain (no kick). @token comes back from virtqueue_get(); it must not be NULL. An empty chain
 * (@head = INIT) is a no-op returning 0. @indirect: the chain's only descriptor is a table of descriptors, which lies
 * at @indirect_desc and stays untouched until the token is back. @context comes back from virtqueue_get_context().
 */
int virtqueue_add_chain(struct virtqueue *vq, uint16_t head, bool indirect, void *indirect_desc, void *token,
			void *context) MUST_CHECK;
/* Gives back the descriptors of a chain that was not published. */
void virtqueue_abandon_chain(struct virtqueue *vq, uint16_t head);
/*
 * Notifies, then polls until a used buffer is there or the queue is broken (-EIO). Without an answer within the
 * time-out the queue breaks. Both return 0 at once if a used buffer is there already.
 */
int virtqueue_kick_sync(struct virtqueue *vq) MUST_CHECK;
/* The same, asleep on @queue, which the owner's used() wakes. Not for queues without interrupts. */
int virtqueue_kick_async(struct virtqueue *vq, struct wait_queue *queue) MUST_CHECK;

/*
 * The usual interface, on the same two: the first @out_lists lists are for the device to read, the others to write.
 * -ENOSPC: not enough descriptors, nothing added; -EINVAL: more than VIRTQUEUE_MAX_BYTES, too.
 */
int virtqueue_add_sgs(struct virtqueue *vq, const struct virtqueue_sg_list *lists, unsigned int out_lists,
		      unsigned int in_lists, void *token) MUST_CHECK;
/* The same with one array, readable buffers first. */
int virtqueue_add(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		  unsigned int writable, void *token) MUST_CHECK;
/* Tells the device if it wants to be told. False: the queue is broken. */
bool virtqueue_kick(struct virtqueue *vq);
/*
 * The next used buffer's token, or NULL, and the bytes the device wrote: never more than were writable. (Devices are
 * known to put other figures there; a length that is too large is cut, not believed.)
 */
void *virtqueue_get(struct virtqueue *vq, uint32_t *bytes_written);
void *virtqueue_get_context(struct virtqueue *vq, uint32_t *bytes_written, void **context);
bool virtqueue_has_used(const struct virtqueue *vq);
/* Takes back, one a call, the tokens that the device still had; only after the device was reset. */
void *virtqueue_detach_unused(struct virtqueue *vq);

/* Interrupts are a hint: after enabling, true says that used buffers came in meanwhile and must be fetched first. */
void virtqueue_disable_interrupts(struct virtqueue *vq);
bool virtqueue_enable_interrupts(struct virtqueue *vq);
/* For transports: the device interrupted. Calls used(). */
void virtqueue_used_interrupt(struct virtqueue *vq);

unsigned int virtqueue_free_descriptors(const struct virtqueue *vq);
/* The longest chain that virtqueue_add() takes: a table's entries, or the ring's. */
unsigned int virtqueue_longest_chain(const struct virtqueue *vq);
bool virtqueue_is_broken(const struct virtqueue *vq);
/* Once, with one error line (@why NULL: it was said already); calls used(), so that whoever waits wakes. */
void virtqueue_break(struct virtqueue *vq, const char *why);
/* Every descriptor is free or in exactly one chain; indices agree. 0 or -EINVAL with a line. */
int virtqueue_check(const struct virtqueue *vq) MUST_CHECK;
