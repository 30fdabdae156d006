/*
 * The free page hint queue against the scripted device.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "mm/shrinker.h"

#define WAIT_NS (20 * NS_PER_S)
#define HINT	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_FREE_PAGE_HINT) | BIT(VIRTIO_F_EVENT_IDX))

static uint64_t hinted_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_HINTED];
}

static struct scripted_balloon *hinting_device(struct ktest *t)
{
	struct scripted_balloon *device = scripted_balloon(t, HINT);

	if (!device)
		return NULL;
	device->queue_size = 64;
	scripted_balloon_plug(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, device->accepted & BIT(VIRTIO_F_EVENT_IDX), 0u);
	return device;
}

static bool ids_told(struct scripted_balloon *device, uint32_t count)
{
	uint64_t deadline = wait_deadline(WAIT_NS);

	while (load_acquire(&device->nr_hint_ids) < count && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return load_acquire(&device->nr_hint_ids) == count;
}

static bool all_back(uint64_t before)
{
	uint64_t deadline = wait_deadline(WAIT_NS);

	while (hinted_pages() != before && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return hinted_pages() == before;
}

KTEST(balloon_free_page_hint, blocks_are_told_between_id_and_stop_and_kept_until_done)
{
	uint64_t before = hinted_pages();
	struct scripted_balloon *device = hinting_device(t);

	REQUIRE(t, device);
	for (uint32_t id = 7; id < 10; id++) {
		uint64_t told = load_relaxed(&device->hinted_pages);

		scripted_balloon_command(device, id);
		EXPECT(t, ids_told(device, (id - 6) * 2));
		EXPECT_EQ(t, device->hint_ids[(id - 7) * 2], id);
		EXPECT_EQ(t, device->hint_ids[(id - 7) * 2 + 1], 0u);
		EXPECT(t, load_relaxed(&device->hinted_pages) > told + 10 * PAGEBLOCK_PAGES);
		EXPECT(t, hinted_pages() >= before + load_relaxed(&device->hinted_pages) - told);
		scripted_balloon_command(device, 1);
		EXPECT(t, all_back(before));
	}
	EXPECT_OK(t, balloon_check()); /* and the worker is through with what it did */
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(balloon_free_page_hint, what_is_kept_is_given_back_when_memory_is_short)
{
	uint64_t before = hinted_pages();
	struct scripted_balloon *device = hinting_device(t);

	REQUIRE(t, device);
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 2));
	EXPECT(t, hinted_pages() > before);
	/* Until the last answers are taken there may be blocks that must not be given back yet. */
	for (unsigned int tries = 0; tries < 1000 && hinted_pages() != before; tries++) {
		(void)shrink_all(0);
		sleep_ns(NS_PER_MS);
	}
	EXPECT_EQ(t, hinted_pages(), before);
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_free_page_hint, a_reset_under_way_loses_nothing)
{
	uint64_t before = hinted_pages();
	struct scripted_balloon *device = hinting_device(t);

	REQUIRE(t, device);
	device->silent = true;
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 1));
	while (hinted_pages() == before)
		sleep_ns(NS_PER_MS / 5);
	store_relaxed(&device->hint_command, 0); /* or it begins anew */
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT_EQ(t, hinted_pages(), before);
	EXPECT_OK(t, memory_check());
}
