/*
 * Free page hinting through the reporting queue (5.5.6.7): the balloon as the backend of mm/hinting.h.
 *
 * The queue serves two masters: method `report` inflates through it, hinting tells of free pages. Both go through the
 * balloon's worker, which alone touches the queues: whoever runs a pass leaves its batch here, pokes the worker and
 * sleeps; the worker adds it when there is room between its own batches, and the answer wakes the sleeper. One batch at
 * a time; its token is the address of balloon->hinting.
 *
 * With PAGE_POISON a device must find or leave its pattern in what was reported: QEMU drops nothing then if the pattern
 * is not 0, so there is no use in telling. If it is 0, pages are cleared before they are told (5.5.6.7.1).
 *
 * When the device breaks it is reset, and what it had is the guest's again. If it does not even reset, it may drop
 * those pages at any time: they are never used again.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

enum { HINTING_IDLE, HINTING_ASKED, HINTING_SENT };

static struct balloon *balloon_of(struct page_hinting_cb *cb)
{
	return container_of(cb, struct balloon, hinting.cb);
}

/* ---- the pass's side ---- */

static int prepare(struct page_hinting_cb *cb)
{
	return load_acquire(&balloon_of(cb)->hinting.over) ? -EIO : 0;
}

static void clear(const struct page_hinting_block *blocks, unsigned int count)
{
	for (unsigned int at = 0; at < count; at++)
		memset(phys_to_virt(blocks[at].pfn << PAGE_SHIFT), 0, PAGE_SIZE << blocks[at].order);
}

static int hint_pages(struct page_hinting_cb *cb, const struct page_hinting_block *blocks, unsigned int count)
{
	struct balloon *balloon = balloon_of(cb);
	struct balloon_hinting *hinting = &balloon->hinting;

	if (virtio_has_feature(balloon->dev, BALLOON_F_PAGE_POISON))
		clear(blocks, count);
	mutex_lock(&balloon->lock);
	hinting->blocks = blocks;
	hinting->count = count;
	hinting->result = -EIO;
	if (!hinting->over)
		store_release(&hinting->state, HINTING_ASKED);
	mutex_unlock(&balloon->lock);
	balloon_poke(balloon);
	wait_event(&hinting->done, load_acquire(&hinting->state) == HINTING_IDLE);
	return hinting->result;
}

/* ---- the worker's side: balloon->lock is held ---- */

static void finish(struct balloon_hinting *hinting, int result)
{
	hinting->result = result;
	store_release(&hinting->state, HINTING_IDLE);
	wake_up_all(&hinting->done);
}

int balloon_hinting_turn(struct balloon *balloon)
{
	struct balloon_hinting *hinting = &balloon->hinting;
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_REPORT];
	struct virtqueue_buffer buffers[BALLOON_BLOCKS_PER_BATCH];
	int error;

	if (load_relaxed(&hinting->state) != HINTING_ASKED)
		return 0;
	for (unsigned int at = 0; at < hinting->count; at++)
		buffers[at] = (struct virtqueue_buffer){
			.address = hinting->blocks[at].pfn << PAGE_SHIFT,
			.bytes = (uint32_t)(PAGE_SIZE << hinting->blocks[at].order),
		};
	error = virtqueue_add(vq, buffers, 0, hinting->count, hinting);
	if (error) /* full of the balloon's own: when they are answered there is another turn */
		return error == -ENOSPC ? 0 : error;
	hinting->sent_ns = time_ns();
	store_release(&hinting->state, HINTING_SENT);
	virtqueue_kick(vq);
	return 0;
}

void balloon_hinting_answered(struct balloon *balloon)
{
	balloon->counters.hinted_batches++;
	finish(&balloon->hinting, 0);
}

bool balloon_hinting_in_flight(const struct balloon *balloon)
{
	return load_relaxed(&balloon->hinting.state) == HINTING_SENT;
}

void balloon_hinting_over(struct balloon *balloon, bool reset)
{
	struct balloon_hinting *hinting = &balloon->hinting;
	uint32_t state = load_relaxed(&hinting->state);

	store_release(&hinting->over, true);
	if (state != HINTING_IDLE)
		finish(hinting, state == HINTING_SENT && !reset ? -EBUSY : -EIO);
}

/* ---- beginning and end ---- */

static bool is_of_use(struct balloon *balloon)
{
	uint32_t poison = 0;

	if (!balloon->queues[BALLOON_QUEUE_REPORT])
		return false;
	if (virtio_has_feature(balloon->dev, BALLOON_F_PAGE_POISON))
		poison = virtio_config_read32(balloon->dev, BALLOON_CONFIG_POISON_VAL);
	if (poison)
		pr_info("%s: free pages hold the poison 0x%x, which the device keeps: they are not reported",
			balloon->dev->name, poison);
	return !poison;
}

void balloon_hinting_start(struct balloon *balloon)
{
	struct balloon_hinting *hinting = &balloon->hinting;
	int error;

	if (!is_of_use(balloon))
		return;
	hinting->cb = (struct page_hinting_cb){
		.name = balloon->dev->name,
		.max_pages =
			MIN(virtqueue_longest_chain(balloon->queues[BALLOON_QUEUE_REPORT]), BALLOON_BLOCKS_PER_BATCH),
		.prepare = prepare,
		.hint_pages = hint_pages,
	};
	error = page_hinting_enable(&hinting->cb);
	/* Of several balloons one is enough: the host's memory is one. */
	if (error && error != -EBUSY)
		pr_err("%s: %s: free pages are not reported", balloon->dev->name, error_name(error));
}

void balloon_hinting_stop(struct balloon *balloon)
{
	page_hinting_disable(&balloon->hinting.cb);
}
