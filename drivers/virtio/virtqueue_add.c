/*
 * virtqueue_add_sgs(): a buffer of several parts in one call, on top of the chain interface; virtqueue_add() is the
 * same with one list each way.
 *
 * All or nothing: what does not fit is refused before anything is touched. Where indirect tables were set aside and
 * one is free, the parts go into it and take a single descriptor of the ring, so that a short ring holds many buffers.
 * The tables lie behind the ring in the memory that was handed in: nothing is allocated here.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "lib/errno.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

/* The parts of a buffer in the order of their descriptors. */
struct parts {
	const struct virtqueue_sg_list *lists;
	unsigned int out_lists, nr_lists;
};

#define for_each_part(part, writable, parts)                                                                         \
	for (unsigned int _list = 0; _list < (parts)->nr_lists; _list++)                                             \
		for (unsigned int _at = 0;                                                                           \
		     _at < (parts)->lists[_list].count &&                                                            \
		     ((part) = &(parts)->lists[_list].buffers[_at], (writable) = _list >= (parts)->out_lists, true); \
		     _at++)

/* How many they are; 0: none, or one of them is no memory, or more than a chain may have (2.7.5.2). */
static unsigned int count_sound_parts(const struct parts *parts)
{
	unsigned int total = 0;
	uint64_t bytes = 0;

	for (unsigned int list = 0; list < parts->nr_lists; list++)
		for (unsigned int at = 0; at < parts->lists[list].count; at++, total++) {
			const struct virtqueue_buffer *part = &parts->lists[list].buffers[at];

			if (!part->bytes || part->address + (part->bytes - 1) < part->address)
				return 0;
			bytes += part->bytes;
		}
	return bytes <= VIRTQUEUE_MAX_BYTES ? total : 0;
}

static int append_all(struct virtqueue *vq, const struct parts *parts, uint16_t *head)
{
	const struct virtqueue_buffer *part;
	uint16_t prev = NONE;
	bool writable;

	for_each_part(part, writable, parts)
	{
		int error = virtqueue_add_chain_desc(vq, part->address, part->bytes, head, &prev, writable);

		if (error)
			return error;
	}
	return 0;
}

/* 2.7.5.3: the parts become a table, which takes one descriptor of the ring. They are sound. */
static int add_table(struct virtqueue *vq, const struct parts *parts, unsigned int total, void *token)
{
	uint16_t table = vq->first_free_table, head = NONE, prev = NONE;
	size_t at = vq->tables_offset + (size_t)table * vq->setup.table_entries * sizeof(struct virtqueue_desc);
	struct virtqueue_desc *desc = (void *)((char *)vq->setup.memory + at);
	const struct virtqueue_buffer *part;
	uint64_t writable_bytes = 0;
	unsigned int entry = 0;
	bool writable;
	int error;

	for_each_part(part, writable, parts)
	{
		desc[entry].address = part->address;
		desc[entry].bytes = part->bytes;
		vq->setup.format->write_table_links(&desc[entry], entry + 1 < total ? entry + 1 : 0, writable);
		writable_bytes += writable ? part->bytes : 0;
		virtqueue_checked_part(vq, part->address, part->bytes, writable);
		entry++;
	}
	error = virtqueue_add_chain_desc(vq, vq->setup.phys + at, total * sizeof(*desc), &head, &prev, false);
	if (error)
		return error;
	vq->first_free_table = vq->table_links[table];
	vq->slots[head].table = table + 1;
	error = virtqueue_add_chain(vq, head, true, desc, token, NULL);
	if (error)
		virtqueue_abandon_chain(vq, head);
	else
		vq->slots[head].writable_bytes = writable_bytes;
	return error;
}

int virtqueue_add_sgs(struct virtqueue *vq, const struct virtqueue_sg_list *lists, unsigned int out_lists,
		      unsigned int in_lists, void *token)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	const struct parts parts = {lists, out_lists, out_lists + in_lists};
	unsigned int total = count_sound_parts(&parts);
	uint16_t head = NONE;
	int error;

	if (virtqueue_is_broken(vq))
		return -EIO;
	if (!token || !total || vq->building.head != NONE)
		return -EINVAL;
	if (total > 1 && total <= vq->setup.table_entries && vq->first_free_table != NONE && vq->free_descriptors)
		return add_table(vq, &parts, total, token);
	if (total > vq->free_descriptors)
		return -ENOSPC;
	error = append_all(vq, &parts, &head);
	if (!error)
		error = virtqueue_add_chain(vq, head, false, NULL, token, NULL);
	if (error)
		virtqueue_abandon_chain(vq, head);
	return error;
}

int virtqueue_add(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		  unsigned int writable, void *token)
{
	const struct virtqueue_sg_list lists[] = {{buffers, readable}, {buffers + readable, writable}};

	return virtqueue_add_sgs(vq, lists, 1, 1, token);
}
