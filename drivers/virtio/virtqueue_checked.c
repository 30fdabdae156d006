/*
 * Checked mode: what a driver must not do with a queue is an assertion that says so.
 *
 * The ring cannot see from the outside that two buffers in flight are the same memory, or that two threads add at the
 * same time; the device would, in its own way and much later. With `checked` set the queue keeps a list of all memory
 * that the device has, parts of indirect tables too, and of who is inside a call. Caught are:
 *   - memory handed over while the device still has it, unless it may only read it both times;
 *   - memory of the ring itself as a buffer;
 *   - a token that is with the device already, so that its answer could not be told from the other's;
 *   - two threads in calls of one queue (the caller serialises, virtqueue.h).
 * Adding costs a look at everything in flight: the mode is on in debug builds, elsewhere with virtio.checked=1.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

struct part {
	uint64_t first, last; /* bytes, inclusive */
	uint16_t head;	      /* of its chain; NONE: in the one under construction */
	bool writable;
};

struct virtqueue_checker {
	struct thread *inside;
	unsigned int depth; /* calls of `inside` */
	unsigned int nr_parts, max_parts;
	struct part parts[];
};

struct virtqueue_checker *virtqueue_checker_create(const struct virtqueue_setup *setup)
{
	unsigned int most = setup->size + setup->tables * setup->table_entries;
	struct virtqueue_checker *checker = kzalloc(sizeof(*checker) + most * sizeof(checker->parts[0]));

	if (checker)
		checker->max_parts = most;
	return checker;
}

/* ---- memory ---- */

static bool overlap(const struct part *one, const struct part *other)
{
	return one->first <= other->last && other->first <= one->last;
}

void virtqueue_checker_part(struct virtqueue *vq, uint64_t address, uint32_t bytes, bool writable)
{
	struct virtqueue_checker *checker = vq->checker;
	struct part part = {.first = address, .last = address + (bytes - 1), .head = NONE, .writable = writable};
	struct part ring = {.first = vq->setup.phys, .last = vq->setup.phys + vq->tables_offset - 1};

	ASSERT(!overlap(&part, &ring), "virtqueue %s: the buffer at 0x%llx is memory of the ring itself",
	       vq->setup.name, (unsigned long long)address);
	for (unsigned int i = 0; i < checker->nr_parts; i++)
		ASSERT(!overlap(&part, &checker->parts[i]) || !(writable || checker->parts[i].writable),
		       "virtqueue %s: the buffer at 0x%llx is handed to the device, which still has it from before",
		       vq->setup.name, (unsigned long long)address);
	ASSERT(checker->nr_parts < checker->max_parts, "virtqueue %s: more parts than descriptors", vq->setup.name);
	checker->parts[checker->nr_parts++] = part;
}

void virtqueue_checker_publish(struct virtqueue *vq, uint16_t head, const void *token)
{
	struct virtqueue_checker *checker = vq->checker;

	for (unsigned int id = 0; token && id < vq->setup.size; id++)
		ASSERT(id == head || vq->slots[id].state != VIRTQUEUE_SLOT_PUBLISHED || vq->slots[id].token != token,
		       "virtqueue %s: two buffers with the token %p", vq->setup.name, token);
	for (unsigned int i = 0; i < checker->nr_parts; i++)
		if (checker->parts[i].head == NONE)
			checker->parts[i].head = head;
}

void virtqueue_checker_release(struct virtqueue *vq, uint16_t head)
{
	struct virtqueue_checker *checker = vq->checker;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < checker->nr_parts; i++)
		if (checker->parts[i].head != head)
			checker->parts[kept++] = checker->parts[i];
	checker->nr_parts = kept;
}

/* ---- threads ---- */

void virtqueue_checker_enter(struct virtqueue *vq, const char *call)
{
	struct thread *me = thread_current(), *inside = NULL;

	if (!atomic_cas(&vq->checker->inside, &inside, me))
		ASSERT(inside == me, "virtqueue %s: %s() while another thread is in a call on this queue",
		       vq->setup.name, call);
	vq->checker->depth++;
}

void virtqueue_checker_leave(struct virtqueue *vq)
{
	if (!--vq->checker->depth)
		store_release(&vq->checker->inside, NULL);
}
