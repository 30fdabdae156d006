/*
 * The balloon's state machine: one worker thread that brings what it holds to what the host wants.
 *
 *     host writes num_pages ──▶ config change ──▶ poke ──▶ worker: ┌ take back answered batches
 *                                                                  ├ answer statistics
 *                                                                  └ one batch towards the target ──▶ again
 *
 * Every turn of the loop does a bounded amount of work (a batch), looks at the target anew if it was poked, and leaves
 * the lock, so a change of mind of the host, a request for statistics and whoever reads /proc/balloon wait for one
 * batch at most. Several batches are in flight: while the device works on one, the next is filled. What is held is
 * what the device has acknowledged; blocks in flight are neither used nor given back (5.5.6.1).
 *
 * Inflation never starves the guest: before each batch it looks how much memory is free beyond the watermarks and a
 * reserve, and takes no more than that. If this is not enough it says so once, and tries again every now and then.
 *
 * A device that breaks the rules, or does not answer in time, is reset. If that works it has no hold on any page any
 * more, and all go back to the guest; if not, the pages it may still be working on are left where they are.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/vmstat.h"

#include <arch/cpu.h>

#define RETRY_NS	(200 * NS_PER_MS) /* after the memory was short */
#define AFTER_OOM_NS	NS_PER_S
#define IDLE_NS		NS_PER_S	  /* to look at the target even if no interrupt came */
#define SPIN_NS		(200 * NS_PER_US) /* for an answer, before sleeping for it */
#define HINT_POLL_NS	NS_PER_MS
#define ACTUAL_EVERY_NS (20 * NS_PER_MS)

const struct balloon_method *const balloon_methods[NR_BALLOON_METHODS] = {
	[BALLOON_METHOD_REPORT] = &balloon_method_report,
	[BALLOON_METHOD_SG] = &balloon_method_sg,
	[BALLOON_METHOD_PFN] = &balloon_method_pfn,
};

enum turn { TURN_PROGRESS, TURN_WAIT, TURN_BROKEN };

/* ---- poking the worker ---- */

void balloon_poke(struct balloon *balloon)
{
	store_release(&balloon->poked, true);
	wake_up_all(&balloon->wake);
}

/* ---- what the device has done ---- */

void balloon_write_actual(struct balloon *balloon, bool now)
{
	uint64_t actual = balloon_held_pages(balloon) + balloon->deflating_pages;

	if (actual == balloon->actual_pages)
		return;
	if (!now && time_ns() - balloon->actual_written_ns < ACTUAL_EVERY_NS)
		return;
	virtio_config_write32(balloon->dev, BALLOON_CONFIG_ACTUAL, (uint32_t)actual);
	balloon->actual_pages = actual;
	balloon->actual_written_ns = time_ns();
}

static void acknowledge(struct balloon *balloon, struct balloon_batch *batch)
{
	if ((void *)batch == &balloon->hinting) {
		balloon_hinting_answered(balloon);
	} else if (batch->state == BALLOON_BATCH_MOVING) {
		balloon_move_answered(balloon, batch);
	} else if (batch->state == BALLOON_BATCH_INFLATING) {
		balloon->counters.inflated_pages += batch->nr_pages;
		vm_events(balloon_inflate, batch->nr_pages);
		balloon_batch_to_hold(balloon, batch);
	} else {
		balloon->counters.deflated_pages += batch->nr_pages;
		vm_events(balloon_deflate, batch->nr_pages);
		balloon_batch_to_allocator(balloon, batch);
	}
}

static const enum balloon_queue page_queues[] = {BALLOON_QUEUE_INFLATE, BALLOON_QUEUE_DEFLATE, BALLOON_QUEUE_REPORT};

static int take_answers(struct balloon *balloon)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(page_queues); i++) {
		struct virtqueue *vq = balloon->queues[page_queues[i]];
		struct balloon_batch *batch;

		if (!vq)
			continue;
		while ((batch = virtqueue_get(vq, NULL)) != NULL)
			acknowledge(balloon, batch);
		if (virtqueue_is_broken(vq))
			return -EIO;
	}
	return 0;
}

static bool something_used(const struct balloon *balloon)
{
	for (unsigned int i = 0; i < NR_BALLOON_QUEUES; i++)
		if (balloon->queues[i] && virtqueue_has_used(balloon->queues[i]))
			return true;
	return false;
}

static bool is_broken(const struct balloon *balloon)
{
	if (load_relaxed(&balloon->dev->broken))
		return true;
	for (unsigned int i = 0; i < NR_BALLOON_QUEUES; i++)
		if (balloon->queues[i] && virtqueue_is_broken(balloon->queues[i]))
			return true;
	return false;
}

/* ---- one batch up or down ---- */

uint64_t balloon_takeable_pages(void)
{
	uint64_t keep = memory_reserve_pages() + balloon_reserve_pages();
	struct memory_info info;

	memory_info_get(&info);
	return info.free > keep ? info.free - keep : 0;
}

static void be_starved(struct balloon *balloon)
{
	if (!balloon->starved_said)
		pr_info("%s: balloon holds %llu of the %llu pages that the host wants: no more is free beyond the "
			"reserve; trying again every %llu ms",
			balloon->dev->name, (unsigned long long)balloon_held_pages(balloon),
			(unsigned long long)balloon->target_pages, RETRY_NS / NS_PER_MS);
	balloon->starved = balloon->starved_said = true;
	balloon->retry_at_ns = time_ns() + RETRY_NS;
	balloon->counters.retries++;
}

static void try_again(struct balloon *balloon)
{
	balloon->starved = false;
	balloon->order = MAX_ORDER;
}

void balloon_batch_sent(struct balloon *balloon, struct balloon_batch *batch, enum balloon_batch_state state)
{
	list_del(&batch->node);
	batch->state = state;
	batch->sent_ns = time_ns();
	balloon->counters.batches++;
	if (state == BALLOON_BATCH_INFLATING)
		balloon->inflating_pages += batch->nr_pages;
	else if (state == BALLOON_BATCH_DEFLATING)
		balloon->deflating_pages += batch->nr_pages;
}

static enum turn inflate(struct balloon *balloon, uint64_t wanted)
{
	enum balloon_method_id id = balloon_choose_method(balloon);
	struct balloon_batch *batch = balloon_take_batch(balloon, id);
	int error;

	if (!batch)
		return TURN_WAIT;
	wanted = MIN(wanted, balloon_takeable_pages());
	if (!balloon_fill_from_allocator(balloon, batch, wanted)) {
		be_starved(balloon);
		return TURN_WAIT;
	}
	error = balloon_methods[id]->inflate(balloon, batch);
	if (error == -ENOSPC) {
		balloon_batch_to_allocator(balloon, batch);
		return TURN_WAIT;
	}
	/* On another error the device may have a part of it: the batch comes back with all others, after the reset. */
	balloon_batch_sent(balloon, batch, BALLOON_BATCH_INFLATING);
	return error ? TURN_BROKEN : TURN_PROGRESS;
}

static bool deflate_queue_is_full(const struct balloon *balloon)
{
	const struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_DEFLATE];

	return virtqueue_free_descriptors(vq) == 0;
}

static void give_back_at_once(struct balloon *balloon, struct balloon_batch *batch)
{
	balloon->counters.deflated_pages += batch->nr_pages;
	vm_events(balloon_deflate, batch->nr_pages);
	balloon_batch_to_allocator(balloon, batch);
}

/* What the host need not be told goes first: it is free at once. */
static enum turn deflate(struct balloon *balloon, uint64_t surplus)
{
	enum balloon_method_id id = 0;
	struct balloon_batch *batch;
	int error;

	while (id < NR_BALLOON_METHODS && !balloon->holds[id].nr_pages)
		id++;
	batch = id < NR_BALLOON_METHODS ? balloon_take_batch(balloon, id) : NULL;
	if (!batch || (balloon_methods[id]->deflate && deflate_queue_is_full(balloon)))
		return TURN_WAIT;
	if (!balloon_fill_from_hold(balloon, batch, surplus))
		return TURN_WAIT;
	if (!balloon_methods[id]->deflate) {
		give_back_at_once(balloon, batch);
		return TURN_PROGRESS;
	}
	error = balloon_methods[id]->deflate(balloon, batch);
	/* There was room, so the queue is broken: the batch is given back with all others, after the reset. */
	balloon_batch_sent(balloon, batch, BALLOON_BATCH_DEFLATING);
	return error ? TURN_BROKEN : TURN_PROGRESS;
}

/* ---- the worker ---- */

static void read_target(struct balloon *balloon)
{
	uint64_t target;

	if (!atomic_exchange(&balloon->poked, false))
		return;
	target = virtio_config_read32(balloon->dev, BALLOON_CONFIG_NUM_PAGES);
	if (target == balloon->target_pages)
		return;
	balloon->target_pages = target;
	balloon->starved_said = false;
	balloon->counters.targets++;
	/* What stands there is from the way to the last target: it must not look like the answer to this one. */
	balloon_write_actual(balloon, true);
	/* What is reached soon is written once: it is expensive for the host. */
	balloon->actual_written_ns = time_ns();
	try_again(balloon);
}

/* Somebody waits for @missing pages: the target does not count now, nor for a while. */
static enum turn relieve(struct balloon *balloon, uint64_t missing)
{
	balloon->starved = true;
	balloon->retry_at_ns = time_ns() + AFTER_OOM_NS;
	if (missing <= balloon->deflating_pages || !balloon_held_pages(balloon))
		return TURN_WAIT;
	return deflate(balloon, missing - balloon->deflating_pages);
}

static enum turn towards_target(struct balloon *balloon)
{
	uint64_t missing = balloon_oom_missing(balloon);
	uint64_t held = balloon_held_pages(balloon), coming = held + balloon->inflating_pages;
	uint64_t target = balloon->target_pages;

	if (missing)
		return relieve(balloon, missing);
	if (balloon->starved && time_ns() >= balloon->retry_at_ns)
		try_again(balloon);
	if (coming < target)
		return balloon->starved ? TURN_WAIT : inflate(balloon, target - coming);
	if (coming > target && held)
		return deflate(balloon, MIN(held, coming - target));
	if (coming == target)
		balloon->starved = balloon->starved_said = false;
	return TURN_WAIT;
}

static enum turn take_turn(struct balloon *balloon)
{
	enum turn turn;

	if (take_answers(balloon) || balloon_stats_poll(balloon) || balloon_hinting_turn(balloon) ||
	    balloon_free_page_hint_turn(balloon) || balloon_move_turn(balloon))
		return TURN_BROKEN;
	read_target(balloon);
	turn = is_broken(balloon) ? TURN_BROKEN : towards_target(balloon);
	if (turn != TURN_BROKEN)
		balloon_write_actual(balloon, turn == TURN_WAIT && !balloon->inflating_pages);
	return turn;
}

static bool waits_for_device(const struct balloon *balloon)
{
	return balloon->inflating_pages || balloon->deflating_pages || balloon_hinting_in_flight(balloon) ||
	       balloon_free_page_hint_is_busy(balloon) || balloon_move_in_flight(balloon);
}

static bool has_reason_to_run(const struct balloon *balloon)
{
	return load_acquire(&balloon->poked) || something_used(balloon) || is_broken(balloon) || thread_should_stop();
}

/* The oldest batch in flight was sent when? UINT64_MAX: none is. */
static uint64_t sent_ns_of_oldest(const struct balloon *balloon)
{
	uint64_t oldest = balloon_hinting_in_flight(balloon) ? balloon->hinting.sent_ns : UINT64_MAX;

	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++)
		if (balloon->batches[i].state != BALLOON_BATCH_IDLE)
			oldest = MIN(oldest, balloon->batches[i].sent_ns);
	return oldest;
}

static void set_interrupts(struct balloon *balloon, bool enabled)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(page_queues); i++) {
		struct virtqueue *vq = balloon->queues[page_queues[i]];

		if (vq && enabled)
			virtqueue_enable_interrupts(vq);
		else if (vq)
			virtqueue_disable_interrupts(vq);
	}
}

static bool spin_for_reason(struct balloon *balloon)
{
	uint64_t until = time_ns() + SPIN_NS;

	while (time_ns() < until) {
		if (has_reason_to_run(balloon))
			return true;
		cpu_relax();
	}
	return false;
}

static void wait_for_reason(struct balloon *balloon)
{
	uint64_t timeout = balloon->starved ? RETRY_NS : IDLE_NS, oldest;
	bool woken;

	if (waits_for_device(balloon)) {
		if (spin_for_reason(balloon))
			return;
		timeout = MIN(timeout,
			      balloon_free_page_hint_is_busy(balloon) ? HINT_POLL_NS : balloon->answer_timeout_ns);
		set_interrupts(balloon, true);
	}
	woken = wait_event_timeout(&balloon->wake, has_reason_to_run(balloon), timeout);
	set_interrupts(balloon, false);
	oldest = sent_ns_of_oldest(balloon);
	/* An answer that is there is not late: this thread, or the whole guest, may have stood still meanwhile. */
	if (oldest != UINT64_MAX && time_ns() - oldest > balloon->answer_timeout_ns && !something_used(balloon))
		virtio_device_break(balloon->dev, "the balloon had no answer from the device in time");
	/* An interrupt for a new target may have been lost. */
	if (!woken)
		store_release(&balloon->poked, true);
}

/* ---- the end ---- */

bool balloon_reset_and_release(struct balloon *balloon)
{
	bool reset = virtio_device_reset(balloon->dev);

	mutex_lock(&balloon->lock);
	/* First: who waits for it need not wait for those who have isolated blocks, too. */
	balloon_hinting_over(balloon, reset);
	balloon_move_over(balloon, reset);
	for (unsigned int i = 0; reset && i < BALLOON_NR_BATCHES; i++)
		if (balloon->batches[i].state == BALLOON_BATCH_DEFLATING)
			give_back_at_once(balloon, &balloon->batches[i]);
		else if (balloon->batches[i].state != BALLOON_BATCH_IDLE)
			balloon_batch_to_allocator(balloon, &balloon->batches[i]);
	balloon_release_hold(balloon);
	balloon_free_page_hint_over(balloon, reset);
	balloon->target_pages = 0;
	mutex_unlock(&balloon->lock);
	return reset;
}

static void end_broken(struct balloon *balloon)
{
	uint64_t held = balloon_held_pages(balloon) + balloon->inflating_pages + balloon->deflating_pages;

	virtio_device_break(balloon->dev, "a queue of the balloon is broken");
	if (balloon_reset_and_release(balloon))
		pr_err("%s: balloon given up: all %llu pages are the guest's again", balloon->dev->name,
		       (unsigned long long)held);
	else
		pr_err("%s: balloon given up: %llu pages stay lost to the device", balloon->dev->name,
		       (unsigned long long)(balloon->inflating_pages + balloon->deflating_pages));
}

int balloon_work(void *argument)
{
	struct balloon *balloon = argument;
	enum turn turn = TURN_PROGRESS;

	/* Hinting's blocks return through this thread: it must not wait for them. */
	(void)memalloc_enter();
	while (!thread_should_stop() && turn != TURN_BROKEN) {
		mutex_lock(&balloon->lock);
		turn = take_turn(balloon);
		mutex_unlock(&balloon->lock);
		if (turn == TURN_WAIT)
			wait_for_reason(balloon);
	}
	if (turn == TURN_BROKEN) {
		end_broken(balloon);
		balloon_hinting_stop(balloon);
	}
	return 0;
}
