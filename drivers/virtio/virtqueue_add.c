/*
 * virtqueue_add(): a buffer of several parts in one call, on top of the chain interface.
 *
 * All or nothing: what does not fit is refused before anything is touched. Where indirect tables were set aside and
 * one is free, the parts go into it and take a single descriptor of the ring, so that a short ring holds many buffers.
 * The tables lie behind the ring in the memory that was handed in: nothing is allocated here.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "lib/errno.h"

#define NONE VIRTQUEUE_DESC_ID_INIT

static int append_all(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		      unsigned int total, uint16_t *head)
{
	uint16_t prev = NONE;

	for (unsigned int i = 0; i < total; i++) {
		int error =
			virtqueue_add_chain_desc(vq, buffers[i].address, buffers[i].bytes, head, &prev, i >= readable);

		if (error)
			return error;
	}
	return 0;
}

/* 2.7.5.3: the buffers become a table, which takes one descriptor of the ring. Buffers are sound. */
static int add_table(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		     unsigned int total, void *token)
{
	uint16_t table = vq->first_free_table, head = NONE, prev = NONE;
	size_t at = vq->tables_offset + (size_t)table * vq->setup.table_entries * sizeof(struct virtqueue_desc);
	struct virtqueue_desc *desc = (void *)((char *)vq->setup.memory + at);
	uint64_t writable_bytes = 0;
	int error;

	for (unsigned int i = 0; i < total; i++) {
		desc[i].address = buffers[i].address;
		desc[i].bytes = buffers[i].bytes;
		vq->setup.format->write_table_links(&desc[i], i + 1 < total ? i + 1 : 0, i >= readable);
		writable_bytes += i >= readable ? buffers[i].bytes : 0;
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

static bool buffers_are_sound(const struct virtqueue_buffer *buffers, unsigned int total)
{
	for (unsigned int i = 0; i < total; i++)
		if (!buffers[i].bytes || buffers[i].address + (buffers[i].bytes - 1) < buffers[i].address)
			return false;
	return true;
}

int virtqueue_add(struct virtqueue *vq, const struct virtqueue_buffer *buffers, unsigned int readable,
		  unsigned int writable, void *token)
{
	unsigned int total = readable + writable;
	uint16_t head = NONE;
	int error;

	if (virtqueue_is_broken(vq))
		return -EIO;
	if (!token || !total || vq->building.head != NONE || !buffers_are_sound(buffers, total))
		return -EINVAL;
	if (total > 1 && total <= vq->setup.table_entries && vq->first_free_table != NONE && vq->free_descriptors)
		return add_table(vq, buffers, readable, total, token);
	if (total > vq->free_descriptors)
		return -ENOSPC;
	error = append_all(vq, buffers, readable, total, &head);
	if (!error)
		error = virtqueue_add_chain(vq, head, false, NULL, token, NULL);
	if (error)
		virtqueue_abandon_chain(vq, head);
	return error;
}
