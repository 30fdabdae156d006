/*
 * The free page hint queue (5.5.6.5): while the guest is moved to another host, this one need not copy what is free.
 *
 *     host: a command id in the configuration ──▶ we: the id, a readable buffer
 *                                                     free blocks, writable buffers, until none is left
 *                                                     0 (stop), a readable buffer
 *     host: 0 (stop): no more for now; 1 (done): the blocks may be used again
 *
 * Blocks that were told are kept until the host says done: what is in them may be lost. When memory is short some are
 * given back early, but none that the device has not answered: it may yet decide to skip it, and would skip what
 * somebody has written meanwhile. Kept are only whole pageblocks, and the reserve stays free.
 *
 * The next command may come without a done that we saw (the host gives a migration up and begins another). It knows
 * nothing of what earlier ones were told, so blocks that are still kept are told again, and first.
 *
 * What comes back early is written to first (5.5.6.5.1): only then is it the guest's content that counts, here and at
 * the other host. With PAGE_POISON all that comes back is filled with the poison, for the other host has zeroes there;
 * nothing asks for a fill before a block is told, and a device (QEMU) skips it whatever the poison is.
 *
 * This queue never interrupts: QEMU aborts when it raises an interrupt from this queue's thread under TCG; EVENT_IDX is
 * declined for that. The command id reads as 0 (stop) while a command is under way, so it is read when the
 * configuration has changed; only done is true whenever it is read.
 *
 * The worker does all this in turns of a few blocks. A block's token is its own word, see balloon_block(); the
 * messages' tokens are pointers, which no block looks like. balloon->lock is held.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#define CMD_STOP	0u
#define CMD_DONE	1u
#define BLOCKS_PER_TURN 64u
#define LOOK_NS		NS_PER_S /* for a done whose interrupt was lost, on the way to another host say */
#define FILL_PER_TURN	(MIB(64) >> PAGE_SHIFT) /* pages: the lock is held meanwhile */
#define HINT_GFP	(GFP_MOVABLE | GFP_NORETRY | GFP_NOWARN | GFP_NOMEMALLOC | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_HINTED))

/* ---- blocks ---- */

/* Whole blocks of at least @wanted pages, if there are so many, go back to the allocator; how many pages. */
static uint64_t release_kept(struct balloon *balloon, uint64_t wanted)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	uint64_t pages = 0;

	while (hint->nr_kept && pages < wanted) {
		uint64_t block = hint->kept[--hint->nr_kept];
		struct page *page = pfn_to_page(balloon_block_pfn(block));

		if (balloon->poisoned || !hint->done)
			balloon_fill(balloon, page, balloon_block_order(block));
		free_pages(page, balloon_block_order(block));
		pages += balloon_block_pages(block);
	}
	hint->nr_old = MIN(hint->nr_old, hint->nr_kept);
	store_relaxed(&hint->kept_pages, hint->kept_pages - pages);
	return pages;
}

static void keep(struct balloon_free_page_hint *hint, uint64_t block)
{
	hint->kept[hint->nr_kept++] = block;
	store_relaxed(&hint->kept_pages, hint->kept_pages + balloon_block_pages(block));
}

/* A block that an earlier command was told; the last one kept takes its place. */
static uint64_t take_old(struct balloon_free_page_hint *hint)
{
	uint64_t block = hint->kept[--hint->nr_old];

	hint->kept[hint->nr_old] = hint->kept[--hint->nr_kept];
	store_relaxed(&hint->kept_pages, hint->kept_pages - balloon_block_pages(block));
	return block;
}

static bool is_message(const struct balloon_free_page_hint *hint, const void *token)
{
	return token == &hint->messages[0] || token == &hint->messages[1];
}

static void take_answers(struct balloon *balloon)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	void *token;

	while ((token = virtqueue_get(balloon->queues[BALLOON_QUEUE_HINT], NULL)) != NULL) {
		if (is_message(hint, token))
			continue;
		hint->nr_in_flight--;
		keep(hint, (uintptr_t)token);
	}
}

/* A block for the host, or 0: nothing is left that may be taken. */
static uint64_t take_block(struct balloon_free_page_hint *hint)
{
	if (hint->nr_old)
		return take_old(hint);
	if (hint->nr_kept + hint->nr_in_flight >= hint->most_blocks || balloon_takeable_pages() < 2u << MAX_ORDER)
		return 0;
	for (unsigned int order = MAX_ORDER; order >= PAGEBLOCK_ORDER; order--) {
		struct page *page = alloc_pages(HINT_GFP, order);

		if (page)
			return balloon_block(page_to_pfn(page), order);
	}
	return 0;
}

/* ---- talking ---- */

static int say(struct balloon *balloon, unsigned int which, uint32_t id)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	struct virtqueue_buffer buffer = {.address = virt_to_phys(&hint->messages[which]), .bytes = sizeof(id)};

	WRITE_ONCE(hint->messages[which], id);
	return virtqueue_add(balloon->queues[BALLOON_QUEUE_HINT], &buffer, 1, 0, &hint->messages[which]);
}

static int end_supply(struct balloon *balloon)
{
	int error = say(balloon, 1, CMD_STOP);

	balloon->free_page_hint.supplying = false;
	virtqueue_kick(balloon->queues[BALLOON_QUEUE_HINT]);
	return error;
}

static int tell_block(struct balloon *balloon, uint64_t block)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	struct virtqueue_buffer buffer = {.address = balloon_block_pfn(block) << PAGE_SHIFT,
					  .bytes = (uint32_t)(balloon_block_pages(block) << PAGE_SHIFT)};
	int error = virtqueue_add(balloon->queues[BALLOON_QUEUE_HINT], &buffer, 0, 1, (void *)(uintptr_t)block);

	if (error) {
		free_pages(pfn_to_page(balloon_block_pfn(block)), balloon_block_order(block));
		return error;
	}
	hint->nr_in_flight++;
	hint->told_pages += balloon_block_pages(block);
	return 0;
}

/* Up to a turn's blocks; two descriptors stay free for messages. */
static int supply(struct balloon *balloon)
{
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_HINT];
	int error = 0;

	for (unsigned int told = 0; told < BLOCKS_PER_TURN && virtqueue_free_descriptors(vq) > 2 && !error; told++) {
		uint64_t block = take_block(&balloon->free_page_hint);

		if (!block) {
			error = end_supply(balloon);
			break;
		}
		error = tell_block(balloon, block);
	}
	virtqueue_kick(vq);
	return error;
}

static int begin(struct balloon *balloon, uint32_t id)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	struct memory_info info;

	memory_info_get(&info);
	if (!hint->kept) {
		hint->most_blocks = (unsigned int)(info.total >> PAGEBLOCK_ORDER);
		hint->kept = kmalloc(hint->most_blocks * sizeof(hint->kept[0]));
	}
	if (!hint->kept) {
		pr_err("%s: no memory to remember free pages by: the host is told of none", balloon->dev->name);
		return 0;
	}
	hint->commands++;
	hint->nr_old = hint->nr_kept;
	hint->done = false;
	hint->supplying = true;
	return say(balloon, 0, id);
}

static int obey(struct balloon *balloon, uint32_t id)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	bool supplying = hint->supplying, news = id != hint->cmd_id;

	hint->cmd_id = id;
	if (id == CMD_DONE)
		hint->done = true;
	if (id == CMD_DONE || id == CMD_STOP)
		return supplying ? end_supply(balloon) : 0;
	return news ? begin(balloon, id) : 0;
}

static bool is_time_to_look(struct balloon_free_page_hint *hint)
{
	if (!hint->nr_kept || hint->supplying || time_ns() - hint->looked_ns < LOOK_NS)
		return false;
	hint->looked_ns = time_ns();
	return true;
}

/* ---- for the worker ---- */

int balloon_free_page_hint_turn(struct balloon *balloon)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	int error = 0;

	if (!balloon->queues[BALLOON_QUEUE_HINT])
		return 0;
	take_answers(balloon);
	if (atomic_exchange(&hint->config_changed, false))
		error = obey(balloon, virtio_config_read32(balloon->dev, BALLOON_CONFIG_CMD_ID));
	else if (is_time_to_look(hint) && virtio_config_read32(balloon->dev, BALLOON_CONFIG_CMD_ID) == CMD_DONE)
		error = obey(balloon, CMD_DONE);
	if (!error && hint->supplying)
		error = supply(balloon);
	if (hint->done)
		release_kept(balloon, balloon->poisoned ? FILL_PER_TURN : UINT64_MAX);
	return error == -ENOSPC ? 0 : error;
}

bool balloon_free_page_hint_is_busy(const struct balloon *balloon)
{
	const struct balloon_free_page_hint *hint = &balloon->free_page_hint;

	return hint->nr_in_flight || hint->supplying || (hint->done && hint->nr_kept);
}

/* ---- when memory is short ---- */

static uint64_t count_kept(struct shrinker *shrinker)
{
	return load_relaxed(
		&container_of(shrinker, struct balloon, free_page_hint.shrinker)->free_page_hint.kept_pages);
}

static uint64_t give_kept(struct shrinker *shrinker, uint64_t wanted)
{
	struct balloon *balloon = container_of(shrinker, struct balloon, free_page_hint.shrinker);
	uint64_t pages;
	int error = 0;

	mutex_lock(&balloon->lock);
	if (balloon->free_page_hint.supplying)
		error = end_supply(balloon);
	pages = error ? 0 : release_kept(balloon, wanted);
	mutex_unlock(&balloon->lock);
	return pages;
}

/* ---- beginning and end ---- */

void balloon_free_page_hint_start(struct balloon *balloon)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;

	hint->shrinker = (struct shrinker){.name = "free_page_hint", .count = count_kept, .scan = give_kept};
	/* A command may have been given before we came. */
	store_release(&hint->config_changed, true);
	if (balloon->queues[BALLOON_QUEUE_HINT])
		shrinker_register(&hint->shrinker);
}

void balloon_free_page_hint_stop(struct balloon *balloon)
{
	if (balloon->free_page_hint.shrinker.scan && balloon->queues[BALLOON_QUEUE_HINT])
		shrinker_unregister(&balloon->free_page_hint.shrinker);
}

void balloon_free_page_hint_over(struct balloon *balloon, bool reset)
{
	struct balloon_free_page_hint *hint = &balloon->free_page_hint;
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_HINT];
	void *token;

	hint->supplying = false;
	while (vq && reset && (token = virtqueue_detach_unused(vq)) != NULL)
		if (!is_message(hint, token))
			keep(hint, (uintptr_t)token);
	hint->nr_in_flight = 0;
	release_kept(balloon, UINT64_MAX);
	kfree(hint->kept);
	hint->kept = NULL;
}
