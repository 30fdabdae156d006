/*
 * Packed rings (virtio 1.2, clause 2.8): one ring of descriptors that driver and device write in turn.
 *
 * Two bits of a descriptor's flags say whose it is, read against a wrap counter that flips each time the ring has been
 * gone round: available when AVAIL equals the counter and USED does not, used when both equal it. A chain takes
 * consecutive places and one buffer id (a slot); the device uses it by overwriting its first place with that id, and
 * both sides then skip as many places as the chain had. That number is kept in the slot: what the device
 * leaves in the descriptors is never read but for id, length and flags of the used one, once each.
 *
 * The head's flags are written last, behind a barrier, and make the whole chain visible (2.8.21.1).
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "lib/atomic.h"
#include "lib/errno.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

#define DESC_AVAIL (1u << 7) /* 2.8.1 */
#define DESC_USED  (1u << 15)

#define EVENT_ENABLE   0u /* 2.8.10 */
#define EVENT_DISABLE  1u
#define EVENT_SPECIFIC 2u
#define EVENT_WRAP     (1u << 15)

struct packed_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t id, flags;
};

struct packed_event {
	uint16_t position; /* and the wrap counter in bit 15 */
	uint16_t flags;
};

_Static_assert(sizeof(struct packed_desc) == sizeof(struct virtqueue_desc), "one size for both formats");

static struct packed_desc *descriptors(const struct virtqueue *vq)
{
	return vq->setup.memory;
}

static struct packed_event *driver_event(const struct virtqueue *vq)
{
	return (void *)((char *)vq->setup.memory + vq->driver_offset);
}

static struct packed_event *device_event(const struct virtqueue *vq)
{
	return (void *)((char *)vq->setup.memory + vq->device_offset);
}

/* Any size will do: 2.8.10.1 has no power of two. */
static bool packed_size_allowed(unsigned int size)
{
	return size > 0;
}

static size_t packed_layout(unsigned int size, size_t align, size_t *driver, size_t *device)
{
	*driver = size * sizeof(struct packed_desc);
	*device = ALIGN_UP(*driver + sizeof(struct packed_event), MAX(align, sizeof(uint32_t)));
	return *device + sizeof(struct packed_event);
}

static void packed_start(struct virtqueue *vq)
{
	vq->avail_wrap = vq->used_wrap = true; /* 2.8.1.1 */
}

/* The place @ahead of the next to be made available, and the wrap counter there. */
static uint16_t place(const struct virtqueue *vq, unsigned int ahead, bool *wrap)
{
	unsigned int at = vq->next_avail + ahead;

	*wrap = vq->avail_wrap;
	if (at < vq->setup.size)
		return at;
	*wrap = !*wrap;
	return at - vq->setup.size;
}

static uint16_t available_bits(bool wrap)
{
	return wrap ? DESC_AVAIL : DESC_USED;
}

/*
 * The id of every descriptor of a chain is the head's slot; the chain interface sees it as head and tail alike.
 * Flags of those behind the head can be written at once: the device does not look before the head is there.
 */
static uint16_t packed_append(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t flags)
{
	uint16_t id = vq->building.count ? vq->building.head : virtqueue_take_slot(vq);
	bool wrap;
	uint16_t at = place(vq, vq->building.count, &wrap);
	struct packed_desc *desc = &descriptors(vq)[at];

	desc->address = address;
	desc->bytes = bytes;
	desc->id = id;
	if (!vq->building.count) {
		vq->slots[id].flags = flags;
		return id;
	}
	desc->flags = flags | available_bits(wrap);
	if (vq->building.count == 1) {
		vq->slots[id].flags |= VIRTQUEUE_DESC_NEXT;
	} else {
		bool tail_wrap;
		uint16_t tail = place(vq, vq->building.count - 1, &tail_wrap);
		uint16_t tail_flags = vq->building.writable ? VIRTQUEUE_DESC_WRITE : 0;

		descriptors(vq)[tail].flags = tail_flags | VIRTQUEUE_DESC_NEXT | available_bits(tail_wrap);
	}
	return id;
}

static void packed_publish(struct virtqueue *vq, uint16_t flags)
{
	uint16_t id = vq->building.head, count = vq->building.count;
	struct packed_desc *head = &descriptors(vq)[vq->next_avail];
	uint16_t head_flags = vq->slots[id].flags | flags | available_bits(vq->avail_wrap);

	vq->slots[id].state = VIRTQUEUE_SLOT_PUBLISHED;
	vq->next_avail = place(vq, count, &vq->avail_wrap);
	vq->since_kick += count;
	store_release(&head->flags, head_flags);
}

/* Those behind the head were written as available: once a shorter chain took the head's place, they would be. */
static void packed_retract(struct virtqueue *vq)
{
	for (unsigned int ahead = 1; ahead < vq->building.count; ahead++) {
		bool wrap;
		uint16_t at = place(vq, ahead, &wrap);

		descriptors(vq)[at].flags = wrap ? 0 : DESC_AVAIL | DESC_USED;
	}
}

static void packed_release_body(struct virtqueue *vq UNUSED, uint16_t head UNUSED)
{
}

static bool is_used(const struct virtqueue *vq, uint16_t flags)
{
	return !!(flags & DESC_AVAIL) == vq->used_wrap && !!(flags & DESC_USED) == vq->used_wrap;
}

/* With nothing in flight the place may hold what was never written: nothing there can be used. */
static bool packed_has_used(const struct virtqueue *vq)
{
	return vq->in_flight && is_used(vq, load_acquire(&descriptors(vq)[vq->next_used].flags));
}

static bool packed_load_used(struct virtqueue *vq, uint32_t *id, uint32_t *bytes)
{
	const struct packed_desc *desc = &descriptors(vq)[vq->next_used];

	if (!packed_has_used(vq))
		return false;
	*id = READ_ONCE(desc->id);
	*bytes = READ_ONCE(desc->bytes);
	return true;
}

static void packed_advance_used(struct virtqueue *vq, uint16_t head)
{
	unsigned int at = vq->next_used + vq->slots[head].count;

	if (at >= vq->setup.size) {
		at -= vq->setup.size;
		vq->used_wrap = !vq->used_wrap;
	}
	vq->next_used = at;
}

/* 2.8.10: the position that the device waits for lies among those published since the last kick. */
static bool packed_wants_notify(const struct virtqueue *vq)
{
	/* Position and flags are two loads of two words: the flags first, as the device writes them last. */
	uint16_t flags = load_acquire(&device_event(vq)->flags) & 3;
	uint16_t position = READ_ONCE(device_event(vq)->position);
	unsigned int event = position & (EVENT_WRAP - 1), behind;

	if (!vq->setup.event_index || flags != EVENT_SPECIFIC)
		return flags != EVENT_DISABLE;
	/* How far behind next_avail it is, having gone round at most once. */
	if (!!(position & EVENT_WRAP) == vq->avail_wrap)
		behind = vq->next_avail - event;
	else
		behind = vq->next_avail + vq->setup.size - event;
	return behind - 1 < vq->since_kick;
}

static void packed_set_interrupts(struct virtqueue *vq, bool enabled)
{
	uint16_t position = vq->next_used | (vq->used_wrap ? EVENT_WRAP : 0);
	uint16_t flags = enabled ? vq->setup.event_index ? EVENT_SPECIFIC : EVENT_ENABLE : EVENT_DISABLE;

	WRITE_ONCE(driver_event(vq)->position, position);
	store_release(&driver_event(vq)->flags, flags);
}

/* Places between next_used and next_avail are those of the chains in flight. */
static int packed_check(const struct virtqueue *vq)
{
	unsigned int between = 0, in_chains = 0;

	if (vq->next_avail >= vq->setup.size || vq->next_used >= vq->setup.size)
		return -EINVAL;
	between = vq->next_avail + (vq->avail_wrap == vq->used_wrap ? 0 : vq->setup.size) - vq->next_used;
	for (unsigned int id = 0; id < vq->setup.size; id++)
		if (vq->slots[id].state == VIRTQUEUE_SLOT_PUBLISHED)
			in_chains += vq->slots[id].count;
	return between == in_chains ? 0 : -EINVAL;
}

/* 2.8.7: a table's entries follow each other; NEXT is reserved there, id too. */
static void packed_write_table_links(struct virtqueue_desc *entry, uint16_t next UNUSED, bool writable)
{
	struct packed_desc *desc = (struct packed_desc *)entry;

	desc->id = 0;
	desc->flags = writable ? VIRTQUEUE_DESC_WRITE : 0;
}

const struct virtqueue_format virtqueue_packed = {
	.name = "packed",
	.size_allowed = packed_size_allowed,
	.layout = packed_layout,
	.start = packed_start,
	.append = packed_append,
	.publish = packed_publish,
	.retract = packed_retract,
	.release_body = packed_release_body,
	.has_used = packed_has_used,
	.load_used = packed_load_used,
	.advance_used = packed_advance_used,
	.wants_notify = packed_wants_notify,
	.set_interrupts = packed_set_interrupts,
	.write_table_links = packed_write_table_links,
	.check = packed_check,
};
