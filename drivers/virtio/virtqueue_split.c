/*
 * Split rings (virtio 1.2, clause 2.7): a table of descriptors, a ring of what is available, a ring of what was used.
 *
 * Indices run freely through 16 bits and are taken modulo the size, a power of two. The driver writes the descriptors
 * and the available ring and reads neither; the links of a chain are kept in the slots. Of the used ring each element
 * is loaded once, and the device's index is believed only as far as there are chains it can have used.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "lib/atomic.h"
#include "lib/errno.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

#define AVAIL_NO_INTERRUPT 1u /* 2.7.7 */
#define USED_NO_NOTIFY	   1u /* 2.7.10 */

struct split_avail {
	uint16_t flags, index;
	uint16_t ring[]; /* [size], then used_event */
};

struct split_used_element {
	uint32_t id, bytes;
};

struct split_used {
	uint16_t flags, index;
	struct split_used_element ring[]; /* [size], then avail_event */
};

static struct virtqueue_desc *descriptors(const struct virtqueue *vq)
{
	return vq->setup.memory;
}

static struct split_avail *avail(const struct virtqueue *vq)
{
	return (void *)((char *)vq->setup.memory + vq->driver_offset);
}

static struct split_used *used(const struct virtqueue *vq)
{
	return (void *)((char *)vq->setup.memory + vq->device_offset);
}

static uint16_t *used_event(const struct virtqueue *vq)
{
	return &avail(vq)->ring[vq->setup.size];
}

static const uint16_t *avail_event(const struct virtqueue *vq)
{
	return (const uint16_t *)&used(vq)->ring[vq->setup.size];
}

static bool split_size_allowed(unsigned int size)
{
	return size && !(size & (size - 1));
}

/* 2.7: descriptors 16 bytes, available ring aligned to 2, used ring to 4 (legacy: to a page). */
static size_t split_layout(unsigned int size, size_t align, size_t *driver, size_t *device)
{
	size_t avail_end;

	*driver = size * sizeof(struct virtqueue_desc);
	avail_end = *driver + sizeof(struct split_avail) + (size + 1) * sizeof(uint16_t);
	*device = ALIGN_UP(avail_end, MAX(align, sizeof(uint32_t)));
	return *device + sizeof(struct split_used) + size * sizeof(struct split_used_element) + sizeof(uint16_t);
}

static void split_start(struct virtqueue *vq)
{
}

static uint16_t split_append(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t flags)
{
	uint16_t id = virtqueue_take_slot(vq), tail = vq->building.tail;
	struct virtqueue_desc *desc = &descriptors(vq)[id];

	desc->address = address;
	desc->bytes = bytes;
	desc->flags = flags;
	desc->next = 0;
	vq->slots[id].flags = flags;
	if (vq->building.count) {
		vq->slots[tail].next = id;
		vq->slots[tail].flags |= VIRTQUEUE_DESC_NEXT;
		descriptors(vq)[tail].next = id;
		descriptors(vq)[tail].flags = vq->slots[tail].flags;
	}
	return id;
}

static void split_publish(struct virtqueue *vq, uint16_t flags)
{
	uint16_t head = vq->building.head;

	for (uint16_t id = head; id != NONE; id = vq->slots[id].next)
		vq->slots[id].state = VIRTQUEUE_SLOT_BODY;
	vq->slots[head].state = VIRTQUEUE_SLOT_PUBLISHED;
	vq->slots[head].flags |= flags;
	descriptors(vq)[head].flags = vq->slots[head].flags;
	avail(vq)->ring[vq->next_avail & (vq->setup.size - 1)] = head;
	vq->next_avail++;
	vq->since_kick++;
	/* 2.7.13.3: descriptors and ring entry are visible before the index. */
	store_release(&avail(vq)->index, vq->next_avail);
}

/* Descriptors that the available ring does not lead to are nothing to the device. */
static void split_retract(struct virtqueue *vq UNUSED)
{
}

static void split_release_body(struct virtqueue *vq, uint16_t head)
{
	uint16_t id = vq->slots[head].next;

	while (id != NONE) {
		uint16_t next = vq->slots[id].next;

		virtqueue_put_slot(vq, id);
		id = next;
	}
}

static bool split_has_used(const struct virtqueue *vq)
{
	return load_acquire(&used(vq)->index) != vq->next_used;
}

static bool split_load_used(struct virtqueue *vq, uint32_t *id, uint32_t *bytes)
{
	uint16_t index = load_acquire(&used(vq)->index);
	uint16_t pending = index - vq->next_used;
	const struct split_used_element *element = &used(vq)->ring[vq->next_used & (vq->setup.size - 1)];

	if (!pending)
		return false;
	if (pending > vq->in_flight) {
		virtqueue_break_with(vq, "the used index says %u more buffers, the device has %u", pending,
				     vq->in_flight);
		return false;
	}
	*id = READ_ONCE(element->id);
	*bytes = READ_ONCE(element->bytes);
	return true;
}

static void split_advance_used(struct virtqueue *vq, uint16_t head UNUSED)
{
	vq->next_used++;
}

/* 2.7.10: with the event index, was avail_event among those published since the last kick? */
static bool split_wants_notify(const struct virtqueue *vq)
{
	uint16_t event;

	if (!vq->setup.event_index)
		return !(READ_ONCE(used(vq)->flags) & USED_NO_NOTIFY);
	event = READ_ONCE(*avail_event(vq));
	return (uint16_t)(vq->next_avail - event - 1) < vq->since_kick;
}

/* 2.7.7: with the event index the flags stay 0; an event just behind us is half the index space away. */
static void split_set_interrupts(struct virtqueue *vq, bool enabled)
{
	if (vq->setup.event_index)
		WRITE_ONCE(*used_event(vq), enabled ? vq->next_used : (uint16_t)(vq->next_used - 1));
	else
		WRITE_ONCE(avail(vq)->flags, enabled ? 0 : AVAIL_NO_INTERRUPT);
}

/* Every chain has the length its head says, and consists of slots of the right state. */
static int split_check(const struct virtqueue *vq)
{
	for (unsigned int head = 0; head < vq->setup.size; head++) {
		unsigned int count = 1;

		if (vq->slots[head].state != VIRTQUEUE_SLOT_PUBLISHED)
			continue;
		for (uint16_t id = vq->slots[head].next; id != NONE; id = vq->slots[id].next)
			if (id >= vq->setup.size || vq->slots[id].state != VIRTQUEUE_SLOT_BODY ||
			    count++ >= vq->slots[head].count)
				return -EINVAL;
		if (count != vq->slots[head].count)
			return -EINVAL;
	}
	return 0;
}

static void split_write_table_links(struct virtqueue_desc *desc, uint16_t next, bool writable)
{
	desc->flags = (writable ? VIRTQUEUE_DESC_WRITE : 0) | (next ? VIRTQUEUE_DESC_NEXT : 0);
	desc->next = next;
}

const struct virtqueue_format virtqueue_split = {
	.name = "split",
	.size_allowed = split_size_allowed,
	.layout = split_layout,
	.start = split_start,
	.append = split_append,
	.publish = split_publish,
	.retract = split_retract,
	.release_body = split_release_body,
	.has_used = split_has_used,
	.load_used = split_load_used,
	.advance_used = split_advance_used,
	.wants_notify = split_wants_notify,
	.set_interrupts = split_set_interrupts,
	.write_table_links = split_write_table_links,
	.check = split_check,
};
