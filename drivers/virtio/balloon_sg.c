/*
 * Method `sg`: runs of pages as descriptors through the inflate and deflate queues (VIRTIO_BALLOON_F_SG).
 *
 * A batch's pages are recorded in a sparse bitmap by page number, in whatever order the allocator gave them; then the
 * bitmap is read from its beginning, and each run of set bits becomes one descriptor: pages that lie side by side are
 * one piece for the host, whether they came in one block or in many. Descriptors are device-writable on the inflate
 * queue, where the device may drop what is there, and device-readable on the deflate queue, where it must not.
 *
 * The bitmap is empty between batches, but its chunks stay, a bit for each page that was ever inflated this way.
 * That is what makes giving back need no memory: a page's chunk was reserved when it was inflated. Where reserving
 * fails the page stays with the guest.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "lib/errno.h"
#include "lib/string.h"

/* A descriptor's length has 32 bits, so a run of 4 GiB needs two; halves keep the host's huge pages whole. */
#define MOST_PAGES_PER_DESCRIPTOR (GIB(2) >> PAGE_SHIFT)
#define MOST_PAGES_PER_BATCH	  (16u << MAX_ORDER)

/* The worker never waits for memory: others who do may be waiting for it (balloon_oom.c). */
static void *alloc(size_t bytes)
{
	void *memory = kmalloc_atomic(bytes);

	return memory ? memset(memory, 0, bytes) : NULL;
}

static const struct sparse_bitmap_memory memory = {.alloc = alloc, .release = kfree};

void balloon_runs_init(struct sparse_bitmap *runs)
{
	sparse_bitmap_init(runs, &memory);
}

int balloon_runs_record(struct sparse_bitmap *runs, uint64_t pfn, uint64_t pages)
{
	int error = sparse_bitmap_reserve(runs, pfn, pfn + pages - 1);

	return error ? error : sparse_bitmap_set_range(runs, pfn, pfn + pages - 1);
}

static int add_run(struct virtqueue *vq, uint64_t first, uint64_t last, bool in, uint16_t *head, uint16_t *prev)
{
	int error = 0;

	/* Both ends belong to the run: a single page is a run too. */
	for (uint64_t left = last - first + 1; left && !error;) {
		uint64_t pages = MIN(left, MOST_PAGES_PER_DESCRIPTOR);

		error = virtqueue_add_chain_desc(vq, first << PAGE_SHIFT, (uint32_t)(pages << PAGE_SHIFT), head, prev,
						 in);
		first += pages;
		left -= pages;
	}
	return error;
}

int balloon_runs_send(struct sparse_bitmap *runs, struct virtqueue *vq, bool in, void *token)
{
	uint16_t head = VIRTQUEUE_DESC_ID_INIT, prev = VIRTQUEUE_DESC_ID_INIT;
	uint64_t first, last;
	int error = 0;

	while (sparse_bitmap_next_run(runs, 0, &first, &last)) {
		if (!error)
			error = add_run(vq, first, last, in, &head, &prev);
		if (sparse_bitmap_clear_range(runs, first, last))
			panic("a run of set bits that are not set");
	}
	if (!error)
		error = virtqueue_add_chain(vq, head, false, NULL, token, NULL);
	if (error)
		virtqueue_abandon_chain(vq, head);
	else
		virtqueue_kick(vq);
	return error;
}

static bool sg_available(const struct balloon *balloon)
{
	return virtio_has_feature(balloon->dev, BALLOON_F_SG);
}

static unsigned int sg_most_blocks(const struct balloon *balloon UNUSED)
{
	return BALLOON_PFNS_PER_BATCH;
}

/* How many of the batch's blocks could be recorded. */
static unsigned int record(struct balloon *balloon, const struct balloon_batch *batch)
{
	unsigned int at = 0;

	while (at < batch->nr_blocks && !balloon_runs_record(&balloon->runs, balloon_block_pfn(batch->blocks[at]),
							     balloon_block_pages(batch->blocks[at])))
		at++;
	return at;
}

static int sg_inflate(struct balloon *balloon, struct balloon_batch *batch)
{
	unsigned int recorded = record(balloon, batch);

	if (!recorded)
		return -ENOSPC;
	balloon_batch_shorten(balloon, batch, recorded);
	return balloon_runs_send(&balloon->runs, balloon->queues[BALLOON_QUEUE_INFLATE], true, batch);
}

static int sg_deflate(struct balloon *balloon, struct balloon_batch *batch)
{
	unsigned int recorded = record(balloon, batch);

	ASSERT(recorded == batch->nr_blocks, "a page in the balloon whose bit was not reserved");
	return balloon_runs_send(&balloon->runs, balloon->queues[BALLOON_QUEUE_DEFLATE], false, batch);
}

const struct balloon_method balloon_method_sg = {
	.name = "sg",
	.available = sg_available,
	.most_blocks = sg_most_blocks,
	.most_pages = MOST_PAGES_PER_BATCH,
	.inflate = sg_inflate,
	.deflate = sg_deflate,
};
