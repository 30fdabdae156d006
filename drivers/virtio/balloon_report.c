/*
 * Method `report`: whole blocks through the reporting queue (5.5.6.7), which stock devices offer for free pages.
 *
 * A buffer is a chain of device-writable descriptors, one a block, and the device drops each in one piece. The
 * balloon then keeps the pages and counts them in `actual`. They were never on the inflate queue, so they need not go
 * through the deflate queue before they are used again, unless the device asked to be told (MUST_TELL_HOST): then
 * this method is not used. With a poison value other than 0 (PAGE_POISON) a device may skip what is reported, for what
 * it dropped would read as zeros: then it is not used either. With 0 the blocks are cleared first (5.5.6.7.1).
 */
#include "drivers/virtio/balloon_internal.h"

static bool report_available(const struct balloon *balloon)
{
	return balloon->queues[BALLOON_QUEUE_REPORT] && !virtio_has_feature(balloon->dev, BALLOON_F_MUST_TELL_HOST) &&
	       !(balloon->poisoned && balloon->poison_val);
}

static unsigned int report_most_blocks(const struct balloon *balloon)
{
	return MIN(virtqueue_longest_chain(balloon->queues[BALLOON_QUEUE_REPORT]), BALLOON_BLOCKS_PER_BATCH);
}

static int report_inflate(struct balloon *balloon, struct balloon_batch *batch)
{
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_REPORT];
	struct virtqueue_buffer buffers[BALLOON_BLOCKS_PER_BATCH];
	int error;

	for (unsigned int at = 0; at < batch->nr_blocks; at++) {
		uint64_t pfn = balloon_block_pfn(batch->blocks[at]);

		balloon_fill_poison(balloon, pfn_to_page(pfn), balloon_block_order(batch->blocks[at]));
		buffers[at] = (struct virtqueue_buffer){
			.address = pfn << PAGE_SHIFT,
			.bytes = (uint32_t)(balloon_block_pages(batch->blocks[at]) << PAGE_SHIFT),
		};
	}
	error = virtqueue_add(vq, buffers, 0, batch->nr_blocks, batch);
	if (!error)
		virtqueue_kick(vq);
	return error;
}

const struct balloon_method balloon_method_report = {
	.name = "report",
	.available = report_available,
	.most_blocks = report_most_blocks,
	.most_pages = BALLOON_BLOCKS_PER_BATCH << MAX_ORDER,
	.inflate = report_inflate,
	.deflate = NULL,
};
