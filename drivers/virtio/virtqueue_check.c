/*
 * virtqueue_check(): every descriptor has exactly one place.
 *
 * Free, in a published chain, in a used chain not fetched yet (its head keeps one), or in the chain under
 * construction: these four add up to the size of the ring. It reads only the driver's own records, so that a device
 * that scribbles over the ring can make a queue broken, but can not make it fail this check.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "kernel/printk.h"
#include "lib/errno.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

struct slot_count {
	unsigned int heads, done, descriptors;
};

static struct slot_count count_slots(const struct virtqueue *vq)
{
	struct slot_count seen = {0};

	for (unsigned int id = 0; id < vq->setup.size; id++) {
		const struct virtqueue_slot *slot = &vq->slots[id];

		if (slot->state == VIRTQUEUE_SLOT_PUBLISHED) {
			seen.heads++;
			seen.descriptors += slot->count;
		} else if (slot->state == VIRTQUEUE_SLOT_DONE) {
			seen.done++;
		}
	}
	return seen;
}

static unsigned int count_free_slots(const struct virtqueue *vq)
{
	unsigned int free = 0;

	for (uint16_t id = vq->first_free; id != NONE && free <= vq->setup.size; id = vq->slots[id].next) {
		if (id >= vq->setup.size || vq->slots[id].state != VIRTQUEUE_SLOT_FREE)
			return UINT32_MAX;
		free++;
	}
	return free;
}

int virtqueue_check(const struct virtqueue *vq)
{
	struct slot_count seen = count_slots(vq);
	unsigned int accounted = vq->free_descriptors + seen.descriptors + seen.done + vq->building.count;
	unsigned int free_slots = count_free_slots(vq);
	const char *fault = NULL;

	if (accounted != vq->setup.size)
		fault = "descriptors are lost or counted twice";
	else if (seen.heads != vq->in_flight)
		fault = "chains in flight are miscounted";
	else if (free_slots > vq->setup.size || free_slots < vq->free_descriptors)
		fault = "the list of free slots is damaged";
	else if (vq->setup.format->check(vq))
		fault = "the ring disagrees with the slots";
	if (!fault)
		return 0;
	pr_err("virtqueue %s: check failed: %s (size %u: %u free, %u in %u chains, %u done, %u building)",
	       vq->setup.name, fault, vq->setup.size, vq->free_descriptors, seen.descriptors, vq->in_flight, seen.done,
	       vq->building.count);
	return -EINVAL;
}
