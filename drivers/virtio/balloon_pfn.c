/*
 * Method `pfn`: page numbers through the inflate and deflate queues (5.5.6), as every device understands them (unless
 * F_SG was negotiated, which gives these queues another format).
 *
 * A buffer is an array of 32-bit page numbers. The array is a page of its own, so it holds 1024 of them: exactly a
 * block of the largest order; and several are in flight, so that the device never waits for the guest.
 */
#include "drivers/virtio/balloon_internal.h"

static bool pfn_available(const struct balloon *balloon)
{
	return !virtio_has_feature(balloon->dev, BALLOON_F_SG);
}

static unsigned int pfn_most_blocks(const struct balloon *balloon UNUSED)
{
	return BALLOON_PFNS_PER_BATCH;
}

static uint32_t write_numbers(struct balloon_batch *batch)
{
	uint32_t count = 0;

	for (unsigned int at = 0; at < batch->nr_blocks; at++) {
		uint32_t pfn = (uint32_t)balloon_block_pfn(batch->blocks[at]);

		for (uint32_t i = 0; i < balloon_block_pages(batch->blocks[at]); i++)
			batch->pfns[count++] = pfn + i;
	}
	return count;
}

static int send(struct virtqueue *vq, struct balloon_batch *batch)
{
	struct virtqueue_buffer numbers = {
		.address = virt_to_phys(batch->pfns),
		.bytes = write_numbers(batch) * sizeof(uint32_t),
	};
	int error = virtqueue_add(vq, &numbers, 1, 0, batch);

	if (!error)
		virtqueue_kick(vq);
	return error;
}

static int pfn_inflate(struct balloon *balloon, struct balloon_batch *batch)
{
	return send(balloon->queues[BALLOON_QUEUE_INFLATE], batch);
}

static int pfn_deflate(struct balloon *balloon, struct balloon_batch *batch)
{
	return send(balloon->queues[BALLOON_QUEUE_DEFLATE], batch);
}

const struct balloon_method balloon_method_pfn = {
	.name = "pfn",
	.available = pfn_available,
	.most_blocks = pfn_most_blocks,
	.most_pages = BALLOON_PFNS_PER_BATCH,
	.inflate = pfn_inflate,
	.deflate = pfn_deflate,
};
