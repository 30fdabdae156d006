/*
 * Balloon pages that move, against the scripted device, as compaction and contiguous ranges move them.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/errno.h"
#include "mm/contig.h"
#include "mm/movable.h"
#include "mm/vmstat.h"

#define WAIT_NS	 (20 * NS_PER_S)
#define STATS	 BIT(BALLOON_F_STATS_VQ)
#define PAGES	 9001u
#define GFP_MOVE (GFP_MOVABLE | GFP_KSWAPD_RECLAIM | GFP_OWNER(PAGE_OWNER_BALLOON))

static const uint64_t methods[] = {STATS, STATS | BIT(BALLOON_F_SG), STATS | BIT(BALLOON_F_REPORTING)};

static uint64_t balloon_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_BALLOON];
}

/* A device with PAGES inflated; the operations as those who move find them. */
static struct scripted_balloon *inflated(struct ktest *t, uint64_t features, const struct movable_ops **ops)
{
	struct scripted_balloon *device = scripted_balloon(t, features);
	int error = balloon_init(); /* in the guest this was done at boot */

	EXPECT(t, error == 0 || error == -EEXIST);
	*ops = movable_ops_of(PAGE_OWNER_BALLOON);
	if (!device || !*ops)
		return NULL;
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, PAGES);
	EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
	return device;
}

static void unplug(struct scripted_balloon *device)
{
	virtio_unregister_device(&device->dev);
	device->dev.transport = NULL;
}

/* A block that the balloon holds, not larger than 2^@most_order. */
static struct page *held_block(const struct scripted_balloon *device, unsigned int most_order, unsigned int *order)
{
	struct balloon *balloon = device->dev.driver_data;
	struct balloon_bundle *bundle;
	struct page *page = NULL;

	mutex_lock(&balloon->lock);
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++)
		list_for_each_entry(bundle, &balloon->holds[method].bundles, node)
			for (unsigned int at = 0; at < bundle->nr_blocks; at++)
				if (balloon_block_order(bundle->blocks[at]) <= most_order) {
					page = pfn_to_page(balloon_block_pfn(bundle->blocks[at]));
					*order = balloon_block_order(bundle->blocks[at]);
				}
	mutex_unlock(&balloon->lock);
	return page;
}

/* The worker may hold the lock just now. */
static bool isolates(const struct movable_ops *ops, struct page *page)
{
	for (int tries = 0; tries < 1000; tries++) {
		if (ops->isolate(page))
			return true;
		sleep_ns(NS_PER_MS / 10);
	}
	return false;
}

KTEST(balloon_move, another_block_takes_its_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		const struct movable_ops *ops;
		uint64_t owned = balloon_pages(), counted = vm_event_read(VM_EVENT_balloon_migrate), moved = 0;
		struct scripted_balloon *device = inflated(t, methods[i], &ops);

		REQUIRE(t, device);
		for (unsigned int most = 0; most <= MAX_ORDER; most += 2) {
			unsigned int order = 0;
			struct page *from = held_block(device, most, &order), *to = alloc_pages(GFP_MOVE, order);

			REQUIRE(t, from && to);
			EXPECT(t, isolates(ops, from));
			EXPECT_OK(t, balloon_check());
			EXPECT_EQ(t, ops->migrate(from, to), 0);
			if (!(methods[i] & BIT(BALLOON_F_REPORTING))) {
				EXPECT(t, bitmap_test(device->inflated, page_to_pfn(to)));
				EXPECT(t, !bitmap_test(device->inflated, page_to_pfn(from)));
				EXPECT_EQ(t, load_relaxed(&device->inflated_pages), PAGES);
			}
			moved += 1ull << order;
			free_pages(from, order);
			EXPECT_OK(t, balloon_check());
			EXPECT_EQ(t, load_relaxed(&device->actual), PAGES);
		}
		EXPECT_EQ(t, vm_event_read(VM_EVENT_balloon_migrate) - counted, moved);
		EXPECT(t, !(methods[i] & BIT(BALLOON_F_REPORTING)) ||
				  load_relaxed(&device->reported_pages) == PAGES + moved);
		EXPECT_EQ(t, balloon_pages() - owned, PAGES);
		scripted_balloon_set_target(device, 0);
		EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
		EXPECT_EQ(t, balloon_pages(), owned);
		EXPECT_EQ(t, device->faults, 0u);
		unplug(device);
	}
}

KTEST(balloon_move, an_isolated_block_is_not_given_back_before_it_is_put_back)
{
	const struct movable_ops *ops;
	struct scripted_balloon *device = inflated(t, STATS, &ops);
	unsigned int order = 0;
	struct page *page;

	REQUIRE(t, device);
	page = held_block(device, MAX_ORDER, &order);
	REQUIRE(t, page);
	EXPECT(t, isolates(ops, page));
	EXPECT(t, !ops->isolate(page));
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 1u << order, WAIT_NS));
	sleep_ns(5 * NS_PER_MS);
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 1u << order);
	EXPECT_OK(t, balloon_check());
	ops->put_back(page);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_OK(t, balloon_check());
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_move, what_is_not_in_the_balloon_cannot_be_isolated)
{
	const struct movable_ops *ops;
	struct scripted_balloon *device = inflated(t, STATS, &ops);
	struct page *page = alloc_pages(GFP_MOVE, 0);

	REQUIRE(t, device && page);
	EXPECT(t, !ops->isolate(page)); /* the tag says that it is the balloon's */
	free_pages(page, 0);
}

struct mover {
	const struct movable_ops *ops;
	struct page *from, *to;
	int result;
	bool done;
};

static int move_one(void *argument)
{
	struct mover *mover = argument;

	mover->result = mover->ops->migrate(mover->from, mover->to);
	store_release(&mover->done, true);
	return 0;
}

/* 5.5.6.1: the new page counts when its inflation is acknowledged, the old one is used when its deflation is. */
KTEST(balloon_move, both_ways_are_acknowledged_before_the_old_block_is_free)
{
	struct mover mover = {0};
	struct scripted_balloon *device = inflated(t, STATS | BIT(BALLOON_F_MUST_TELL_HOST), &mover.ops);
	struct thread *thread;
	unsigned int order = 0;

	REQUIRE(t, device);
	mover.from = held_block(device, 0, &order);
	mover.to = alloc_pages(GFP_MOVE, 0);
	REQUIRE(t, mover.from && mover.to);
	EXPECT(t, isolates(mover.ops, mover.from));
	scripted_balloon_hold_back(device, 60);
	thread = thread_spawn("mover", move_one, &mover);
	REQUIRE(t, !IS_ERR(thread));
	EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_pages) == PAGES + 1));
	EXPECT(t, !load_acquire(&mover.done));
	scripted_balloon_answer(device);
	EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_pages) == PAGES));
	sleep_ns(NS_PER_MS);
	EXPECT(t, !load_acquire(&mover.done));
	EXPECT_OK(t, balloon_check());
	scripted_balloon_answer(device);
	EXPECT_EQ(t, thread_join(thread), 0);
	EXPECT_EQ(t, mover.result, 0);
	free_pages(mover.from, 0);
	scripted_balloon_hold_back(device, 0);
	EXPECT_EQ(t, device->faults, 0u);
}

/* The device falls silent in the middle: after a reset nothing has changed; without one the new block is lost to it. */
KTEST(balloon_move, a_silent_device_ends_a_move)
{
	for (int stuck = 0; stuck < 2; stuck++) {
		struct mover mover = {0};
		uint64_t owned = balloon_pages();
		struct scripted_balloon *device = inflated(t, STATS, &mover.ops);
		unsigned int order = 0;

		REQUIRE(t, device);
		mover.from = held_block(device, 0, &order);
		mover.to = alloc_pages(GFP_MOVE, 0);
		REQUIRE(t, mover.from && mover.to);
		EXPECT(t, isolates(mover.ops, mover.from));
		((struct balloon *)device->dev.driver_data)->answer_timeout_ns = 30 * NS_PER_MS;
		device->dev.timeout_ns = 30 * NS_PER_MS;
		scripted_balloon_fall_silent(device, true, stuck);
		move_one(&mover);
		EXPECT_EQ(t, mover.result, stuck ? 0 : -EAGAIN);
		if (!stuck)
			mover.ops->put_back(mover.from);
		EXPECT(t, EVENTUALLY(balloon_pages() - owned ==
				     (stuck ? 2u : 1u))); /* `to`, and who is lost or `from` freed by us */
		EXPECT_OK(t, balloon_check());
		EXPECT(t, !mover.ops->isolate(mover.from));
		free_pages(stuck ? mover.from : mover.to, 0);
		scripted_balloon_fall_silent(device, true, false);
		unplug(device);
		EXPECT_EQ(t, balloon_pages(), owned);
	}
}

struct moving {
	struct ktest *t;
	const struct movable_ops *ops;
	struct scripted_balloon *device;
	bool stop;
	uint64_t first_pfn, moved, refused;
};

/* Near one that is in the balloon there will be others. */
static uint64_t first_pfn_to_try(const struct scripted_balloon *device)
{
	unsigned int order = 0;

	return page_to_pfn(held_block(device, MAX_ORDER, &order)) & ~0x3fffull;
}

/* As compaction: finds what the tag calls the balloon's, wherever it is. */
static int move_again_and_again(void *argument)
{
	struct moving *moving = argument;
	uint64_t pfn = moving->first_pfn;

	while (!load_acquire(&moving->stop)) {
		struct page *from, *to;
		unsigned int order;

		pfn = pfn < load_relaxed(&moving->first_pfn) + 0x8000 ? pfn + 1 : load_relaxed(&moving->first_pfn);
		from = pfn_to_page(pfn);
		if (!pfn_valid(pfn) || page_owner(from) != PAGE_OWNER_BALLOON || !moving->ops->isolate(from))
			continue;
		order = page_order(from);
		to = alloc_pages(GFP_MOVE | GFP_NOWARN, order);
		if (to && moving->ops->migrate(from, to) == 0) {
			store_relaxed(&moving->moved, moving->moved + 1);
			free_pages(from, order);
			continue;
		}
		moving->refused++;
		moving->ops->put_back(from);
		if (to)
			free_pages(to, order);
	}
	return 0;
}

KTEST(balloon_move, while_targets_change_and_the_device_is_reset)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct moving moving = {.t = t};
		uint64_t owned = balloon_pages();
		struct thread *thread;

		moving.device = inflated(t, methods[i] | BIT(BALLOON_F_DEFLATE_ON_OOM), &moving.ops);
		REQUIRE(t, moving.device);
		moving.first_pfn = first_pfn_to_try(moving.device);
		thread = thread_spawn("mover", move_again_and_again, &moving);
		REQUIRE(t, !IS_ERR(thread));
		for (uint32_t flap = 0; flap < 60; flap++) {
			scripted_balloon_set_target(moving.device, flap * 7919 % PAGES);
			sleep_ns(NS_PER_MS);
			if (flap % 20 == 19)
				EXPECT_OK(t, virtio_reprobe(&moving.device->dev));
			if (flap % 20 == 9)
				(void)!oom_give_back(0);
			EXPECT_OK(t, balloon_check());
		}
		scripted_balloon_set_target(moving.device, PAGES);
		EXPECT(t, scripted_balloon_reaches(moving.device, PAGES, WAIT_NS));
		/* On slow machines nothing may have moved so far, between the resets, and the blocks are elsewhere now.
		 */
		store_relaxed(&moving.first_pfn, first_pfn_to_try(moving.device));
		for (uint64_t end = wait_deadline(WAIT_NS); !load_relaxed(&moving.moved) && time_ns() < end;)
			sleep_ns(NS_PER_MS);
		store_release(&moving.stop, true);
		EXPECT_EQ(t, thread_join(thread), 0);
		EXPECT(t, moving.moved > 0);
		EXPECT_EQ(t, balloon_pages() - owned, PAGES);
		EXPECT_EQ(t, moving.device->faults, 0u);
		unplug(moving.device);
		EXPECT_EQ(t, balloon_pages(), owned);
	}
}

KTEST(balloon_move, a_contiguous_range_is_taken_from_under_it)
{
	const struct movable_ops *ops;
	struct scripted_balloon *device = inflated(t, STATS | BIT(BALLOON_F_SG), &ops);
	unsigned int order = 0;
	struct page *page;
	uint64_t first;
	int error = -EBUSY;

	REQUIRE(t, device);
	page = held_block(device, MAX_ORDER, &order);
	REQUIRE(t, page);
	first = page_to_pfn(page);
	for (int tries = 0; tries < 100 && error == -EBUSY; tries++)
		error = alloc_contig_range(first, first + (1ull << order), GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST));
	EXPECT_EQ(t, error, 0);
	EXPECT(t, !bitmap_test(device->inflated, first));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), PAGES);
	EXPECT_OK(t, balloon_check());
	if (!error)
		free_contig_range(first, 1ull << order);
	EXPECT_EQ(t, device->faults, 0u);
}

struct pass {
	struct balloon *balloon;
	struct page_hinting_block block;
	uint32_t done;
};

static int hint_one(void *argument)
{
	struct pass *pass = argument;
	struct page_hinting_cb *cb = &pass->balloon->hinting.cb;
	int result = cb->hint_pages(cb, &pass->block, 1);

	store_release(&pass->done, 1);
	return result;
}

/* When the device is given up whoever waits for hints is told at once, however long somebody has a block isolated. */
KTEST(balloon_move, a_pass_of_hints_does_not_wait_for_who_has_a_block_isolated)
{
	const struct movable_ops *ops;
	struct scripted_balloon *device = inflated(t, STATS | BIT(BALLOON_F_REPORTING), &ops);
	struct page *hinted = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST), 0), *page;
	struct pass pass = {0};
	struct thread *thread;
	unsigned int order;

	REQUIRE(t, device && hinted);
	pass.balloon = device->dev.driver_data;
	pass.block = (struct page_hinting_block){page_to_pfn(hinted), 0};
	REQUIRE(t, pass.balloon->hinting.cb.hint_pages);
	page = held_block(device, MAX_ORDER, &order);
	REQUIRE(t, page && isolates(ops, page));
	scripted_balloon_fall_silent(device, true, false);
	thread = thread_spawn("pass", hint_one, &pass);
	REQUIRE(t, !IS_ERR(thread));
	EXPECT(t, EVENTUALLY(balloon_hinting_in_flight(pass.balloon)));
	virtio_device_break(&device->dev, "broken by the test");
	EXPECT(t, EVENTUALLY(load_acquire(&pass.done)));
	ops->put_back(page);
	EXPECT_EQ(t, thread_join(thread), -EIO);
	free_pages(hinted, 0);
	unplug(device);
}
