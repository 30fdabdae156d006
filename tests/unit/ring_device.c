/*
 * See ring_device.h. Split rings by clause 2.7, packed rings by clause 2.8 of virtio 1.2, from the device's side.
 */
#include "tests/unit/ring_device.h"

#include "kernel/panic.h"
#include "lib/atomic.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define PACKED_AVAIL  (1u << 7)
#define PACKED_USED   (1u << 15)

static uint16_t *u16_at(char *part, size_t offset)
{
	return (uint16_t *)(part + offset);
}

static struct virtqueue_desc *desc_at(struct ring_device *ring, uint16_t index)
{
	return (struct virtqueue_desc *)ring->descriptors + index;
}

void ring_device_init(struct ring_device *ring, void *memory, struct virtqueue_addresses addresses, unsigned int size,
		      bool packed, bool event_index)
{
	char *base = memory;

	*ring = (struct ring_device){
		.descriptors = base,
		.driver = base + (addresses.driver - addresses.descriptors),
		.device = base + (addresses.device - addresses.descriptors),
		.size = size,
		.packed = packed,
		.event_index = event_index,
		.avail_wrap = true,
		.used_wrap = true,
	};
}

static void add_buffer(struct ring_element *element, uint64_t address, uint32_t bytes, bool writable)
{
	unsigned int at = element->readable + element->writable;

	ASSERT(at < RING_ELEMENT_BUFFERS, "chain of more than %u", at);
	ASSERT(bytes, "2.7.5: a descriptor of no length");
	ASSERT(writable || !element->writable, "2.7.4.2: readable behind writable");
	element->buffers[at] = (struct virtqueue_buffer){.address = address, .bytes = bytes};
	if (writable)
		element->writable++;
	else
		element->readable++;
}

static const struct virtqueue_desc *indirect_table(struct ring_device *ring, uint64_t address, uint32_t bytes)
{
	ASSERT(ring->translate, "an indirect table, which nobody negotiated");
	ASSERT(bytes && bytes % sizeof(struct virtqueue_desc) == 0, "2.7.5.3: a table of %u bytes", bytes);
	return ring->translate(address, ring->context);
}

/* ---- split ---- */

static void split_pop_table(struct ring_element *element, const struct virtqueue_desc *table, unsigned int entries)
{
	unsigned int at = 0, seen = 0;

	do {
		ASSERT(at < entries && seen++ < entries, "2.7.5.3: entry %u of a table of %u", at, entries);
		ASSERT(!(table[at].flags & DESC_INDIRECT), "2.7.5.3.1: a table in a table");
		add_buffer(element, table[at].address, table[at].bytes, table[at].flags & DESC_WRITE);
	} while ((table[at].flags & DESC_NEXT) && (at = table[at].next, true));
}

static void split_pop_chain(struct ring_device *ring, struct ring_element *element)
{
	uint16_t at = element->id;

	for (;;) {
		const struct virtqueue_desc *desc = desc_at(ring, at);

		ASSERT(at < ring->size && element->descriptors++ < ring->size, "2.7.5.2: a looping chain");
		if (desc->flags & DESC_INDIRECT) {
			element->indirect = true;
			ASSERT(!(desc->flags & (DESC_WRITE | DESC_NEXT)), "2.7.5.3.1: INDIRECT with other flags");
			split_pop_table(element, indirect_table(ring, desc->address, desc->bytes),
					desc->bytes / sizeof(*desc));
			return;
		}
		add_buffer(element, desc->address, desc->bytes, desc->flags & DESC_WRITE);
		if (!(desc->flags & DESC_NEXT))
			return;
		at = desc->next;
	}
}

static bool split_pop(struct ring_device *ring, struct ring_element *element)
{
	uint16_t index = load_acquire(u16_at(ring->driver, 2));

	if (index == ring->next_avail)
		return false;
	element->id = *u16_at(ring->driver, 4 + 2 * (ring->next_avail % ring->size));
	ring->next_avail++;
	split_pop_chain(ring, element);
	if (ring->event_index) /* 2.7.10: tell us about the next one */
		store_relaxed(u16_at(ring->device, 4 + 8 * ring->size), ring->next_avail);
	return true;
}

void ring_device_write_used(struct ring_device *ring, uint16_t at, uint32_t id, uint32_t bytes)
{
	uint32_t *element = (uint32_t *)(ring->device + 4 + 8 * (at % ring->size));

	store_relaxed(&element[0], id);
	store_relaxed(&element[1], bytes);
}

void ring_device_write_used_index(struct ring_device *ring, uint16_t index)
{
	store_release(u16_at(ring->device, 2), index);
}

static bool split_push(struct ring_device *ring, uint16_t id, uint32_t bytes)
{
	uint16_t old = ring->next_used, event;

	ring_device_write_used(ring, ring->next_used++, id, bytes);
	ring_device_write_used_index(ring, ring->next_used);
	smp_mb();
	if (!ring->event_index)
		return !(load_relaxed(u16_at(ring->driver, 0)) & 1);
	event = load_relaxed(u16_at(ring->driver, 4 + 2 * ring->size));
	return (uint16_t)(ring->next_used - event - 1) < (uint16_t)(ring->next_used - old);
}

/* ---- packed ---- */

static void packed_pop_table(struct ring_element *element, const struct virtqueue_desc *table, unsigned int entries)
{
	for (unsigned int at = 0; at < entries; at++)
		add_buffer(element, table[at].address, table[at].bytes, table[at].next & DESC_WRITE);
}

static bool packed_pop(struct ring_device *ring, struct ring_element *element)
{
	uint16_t flags = load_acquire(&desc_at(ring, ring->next_avail)->next);

	if (!!(flags & PACKED_AVAIL) != ring->avail_wrap || !!(flags & PACKED_USED) == ring->avail_wrap)
		return false;
	for (;;) {
		const struct virtqueue_desc *desc = desc_at(ring, ring->next_avail);

		ASSERT(element->descriptors++ < ring->size, "2.8.19: a chain longer than the ring");
		flags = desc->next;
		ASSERT(!!(flags & PACKED_AVAIL) == ring->avail_wrap, "2.8.1: the wrap bit within a chain");
		element->id = desc->flags; /* 2.8.6: the last one's counts */
		if (flags & DESC_INDIRECT) {
			element->indirect = true;
			packed_pop_table(element, indirect_table(ring, desc->address, desc->bytes),
					 desc->bytes / sizeof(*desc));
		} else {
			add_buffer(element, desc->address, desc->bytes, flags & DESC_WRITE);
		}
		if (++ring->next_avail == ring->size) {
			ring->next_avail = 0;
			ring->avail_wrap = !ring->avail_wrap;
		}
		if (!(flags & DESC_NEXT))
			return true;
	}
}

static bool packed_push(struct ring_device *ring, const struct ring_element *element, uint32_t bytes)
{
	struct virtqueue_desc *desc = desc_at(ring, ring->next_used);
	uint16_t at = ring->next_used, event, flags;
	bool wrap = ring->used_wrap;

	desc->flags = element->id;
	desc->bytes = bytes;
	store_release(&desc->next, (uint16_t)(wrap ? PACKED_AVAIL | PACKED_USED : 0));
	ring->next_used += element->descriptors;
	if (ring->next_used >= ring->size) {
		ring->next_used -= ring->size;
		ring->used_wrap = !ring->used_wrap;
	}
	smp_mb();
	event = load_relaxed(u16_at(ring->driver, 0));
	flags = load_relaxed(u16_at(ring->driver, 2));
	if ((flags & 3) != 2)
		return !(flags & 3);
	/* 2.8.10: the one at `event` (with its wrap counter) was just used. */
	return (event & 0x7fff) == at && (event >> 15) == wrap;
}

/* ---- both ---- */

bool ring_device_pop(struct ring_device *ring, struct ring_element *element)
{
	element->descriptors = 0;
	element->readable = element->writable = 0;
	element->indirect = false;
	return ring->packed ? packed_pop(ring, element) : split_pop(ring, element);
}

bool ring_device_push(struct ring_device *ring, const struct ring_element *element, uint32_t bytes)
{
	return ring->packed ? packed_push(ring, element, bytes) : split_push(ring, element->id, bytes);
}

/* 2.7.10, 2.8.10: with the event index the device asks for the next buffer, or (split) for the one before. */
void ring_device_set_notify(struct ring_device *ring, bool enabled)
{
	if (ring->packed && ring->event_index)
		store_relaxed(u16_at(ring->device, 0), (uint16_t)(ring->next_avail | ring->avail_wrap << 15));
	if (ring->packed)
		store_release(u16_at(ring->device, 2), (uint16_t)(!enabled ? 1 : ring->event_index ? 2 : 0));
	else if (ring->event_index)
		store_relaxed(u16_at(ring->device, 4 + 8 * ring->size), (uint16_t)(ring->next_avail - !enabled));
	else
		store_relaxed(u16_at(ring->device, 0), (uint16_t)(enabled ? 0 : 1));
}
