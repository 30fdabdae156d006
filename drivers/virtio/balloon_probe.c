/*
 * A balloon's beginning and end: memory set aside, queues, the first statistics, the worker; and all that back.
 *
 * The device may remember an `actual` from before a reset or a restart of the guest, so ours is written at once.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#define ANSWER_TIMEOUT_NS (60 * NS_PER_S)

#define DRIVER_FEATURES                                                                                           \
	(BIT(BALLOON_F_MUST_TELL_HOST) | BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_REPORTING) | BIT(BALLOON_F_SG) | \
	 BIT(BALLOON_F_DEFLATE_ON_OOM) | BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_FREE_PAGE_HINT))

static void queue_used(struct virtqueue *vq)
{
	struct virtio_device *dev = virtqueue_owner(vq);

	balloon_poke(dev->driver_data);
}

static void balloon_config_changed(struct virtio_device *dev)
{
	struct balloon *balloon = dev->driver_data;

	store_release(&balloon->free_page_hint.config_changed, true);
	balloon_poke(dev->driver_data);
}

static uint64_t choose_features(struct virtio_device *dev UNUSED, uint64_t features)
{
	if (balloon_wants_page_numbers())
		features &= ~BIT(BALLOON_F_SG);
	if (balloon_poison() < 0)
		features &= ~BIT(BALLOON_F_PAGE_POISON);
	/* The hint queue must not interrupt: with event indices it could not be told so for good. */
	if (features & BIT(BALLOON_F_FREE_PAGE_HINT))
		features &= ~BIT(VIRTIO_F_EVENT_IDX);
	return features;
}

static bool make_batches(struct balloon *balloon)
{
	uint32_t gfp = GFP_KERNEL | GFP_OWNER(PAGE_OWNER_DRIVER);

	list_init(&balloon->idle);
	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++) {
		struct balloon_batch *batch = &balloon->batches[i];
		struct page *page = alloc_pages(gfp, 0);

		list_add_tail(&balloon->idle, &batch->node);
		if (!page)
			return false;
		batch->pfns = page_address(page);
		batch->blocks = kmalloc(BALLOON_PFNS_PER_BATCH * sizeof(batch->blocks[0]));
		if (!batch->blocks)
			return false;
	}
	balloon->stats_page = alloc_pages(gfp, 0);
	/* Behind the statistics there is room for the hint queue's messages. */
	if (balloon->stats_page)
		balloon->free_page_hint.messages = (void *)((char *)page_address(balloon->stats_page) + PAGE_SIZE / 2);
	return balloon->stats_page != NULL;
}

static void destroy(struct balloon *balloon)
{
	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++) {
		if (balloon->batches[i].pfns)
			free_pages(virt_to_page(balloon->batches[i].pfns), 0);
		kfree(balloon->batches[i].blocks);
	}
	if (balloon->stats_page)
		free_pages(balloon->stats_page, 0);
	sparse_bitmap_destroy(&balloon->runs);
	kfree(balloon);
}

static struct balloon *make(struct virtio_device *dev)
{
	struct balloon *balloon = kzalloc(sizeof(*balloon));

	if (!balloon)
		return NULL;
	balloon->dev = dev;
	balloon->order = MAX_ORDER;
	balloon->poked = true;
	balloon->actual_pages = UINT64_MAX; /* what the device has is from before, or not known: write it */
	balloon->answer_timeout_ns = dev->timeout_ns ? dev->timeout_ns : ANSWER_TIMEOUT_NS;
	balloon_runs_init(&balloon->runs);
	mutex_init(&balloon->lock, "balloon");
	mutex_init(&balloon->move.lock, "balloon_move");
	wait_queue_init(&balloon->move.done);
	wait_queue_init(&balloon->wake);
	wait_queue_init(&balloon->hinting.done);
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++)
		list_init(&balloon->holds[method].bundles);
	if (make_batches(balloon))
		return balloon;
	destroy(balloon);
	return NULL;
}

/*
 * 5.5.2 numbers the queues by what the device *offers*; those behind one that is not offered move up. One that is
 * offered and not negotiated keeps its place and is not set up.
 */
static int set_up_queues(struct balloon *balloon)
{
	struct virtio_device *dev = balloon->dev;
	struct virtio_queue_request requests[VIRTIO_MAX_QUEUES] = {
		{.name = "inflate", .used = queue_used},
		{.name = "deflate", .used = queue_used},
	};
	unsigned int count = 2, stats = 0, hint = 0, report = 0;
	int error;

	if (dev->offered & BIT(BALLOON_F_STATS_VQ))
		requests[stats = count++] = (struct virtio_queue_request){
			.name = virtio_has_feature(dev, BALLOON_F_STATS_VQ) ? "stats" : NULL, .used = queue_used};
	if (dev->offered & BIT(BALLOON_F_FREE_PAGE_HINT))
		requests[hint = count++] = (struct virtio_queue_request){
			.name = virtio_has_feature(dev, BALLOON_F_FREE_PAGE_HINT) ? "hint" : NULL};
	if (dev->offered & BIT(BALLOON_F_REPORTING))
		requests[report = count++] = (struct virtio_queue_request){
			.name = virtio_has_feature(dev, BALLOON_F_REPORTING) ? "report" : NULL,
			.tables = BALLOON_NR_BATCHES,
			.used = queue_used,
		};
	error = virtio_setup_queues(dev, requests, count);
	if (error)
		return error;
	balloon->queues[BALLOON_QUEUE_INFLATE] = dev->queues[0];
	balloon->queues[BALLOON_QUEUE_DEFLATE] = dev->queues[1];
	balloon->queues[BALLOON_QUEUE_STATS] = stats ? dev->queues[stats] : NULL;
	balloon->queues[BALLOON_QUEUE_HINT] = hint ? dev->queues[hint] : NULL;
	balloon->queues[BALLOON_QUEUE_REPORT] = report ? dev->queues[report] : NULL;
	return 0;
}

/* 5.5.6.6.1: before DRIVER_OK, and never after. */
static void tell_poison(struct balloon *balloon)
{
	balloon->poisoned = virtio_has_feature(balloon->dev, BALLOON_F_PAGE_POISON);
	if (!balloon->poisoned)
		return;
	balloon->poison_val = (uint32_t)balloon_poison();
	virtio_config_write32(balloon->dev, BALLOON_CONFIG_POISON_VAL, balloon->poison_val);
}

static int start(struct balloon *balloon)
{
	struct virtio_device *dev = balloon->dev;
	int error = set_up_queues(balloon);

	if (error)
		return error;
	for (unsigned int i = 0; i < NR_BALLOON_QUEUES; i++)
		if (balloon->queues[i])
			virtqueue_disable_interrupts(balloon->queues[i]);
	tell_poison(balloon);
	virtio_device_ready(dev);
	error = balloon_stats_start(balloon);
	if (error)
		return error;
	mutex_lock(&balloon->lock);
	balloon_write_actual(balloon, true);
	mutex_unlock(&balloon->lock);
	balloon->worker = thread_spawn("balloon", balloon_work, balloon);
	return IS_ERR(balloon->worker) ? PTR_ERR(balloon->worker) : 0;
}

static int balloon_probe(struct virtio_device *dev)
{
	struct balloon *balloon = make(dev);
	int error;

	if (!balloon)
		return -ENOMEM;
	dev->driver_data = balloon;
	error = start(balloon);
	if (error) {
		/* Nothing of it may be called or written to any more. */
		virtio_device_reset(dev);
		destroy(balloon);
		return error;
	}
	balloon_oom_start(balloon);
	balloon_list_add(balloon);
	balloon_hinting_start(balloon);
	balloon_free_page_hint_start(balloon);
	return 0;
}

static void balloon_remove(struct virtio_device *dev)
{
	struct balloon *balloon = dev->driver_data;

	balloon_oom_stop(balloon);
	balloon_hinting_stop(balloon);
	balloon_free_page_hint_stop(balloon);
	thread_stop(balloon->worker);
	thread_join(balloon->worker);
	/* If it broke the worker has done this, and once more does no harm. */
	if (!balloon_reset_and_release(balloon))
		pr_err("%s: %llu balloon pages stay lost to the device", dev->name,
		       (unsigned long long)(balloon->inflating_pages + balloon->deflating_pages));
	/* Until now whoever had isolated a block of it had to find it. */
	balloon_list_del(balloon);
	destroy(balloon);
}

const struct virtio_driver balloon_driver = {
	.name = "virtio_balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.features = DRIVER_FEATURES,
	.choose_features = choose_features,
	.probe = balloon_probe,
	.remove = balloon_remove,
	.config_changed = balloon_config_changed,
};
