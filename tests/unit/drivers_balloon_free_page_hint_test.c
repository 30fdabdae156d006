/*
 * The free page hint queue against the scripted device.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/shrinker.h"

#define WAIT_NS (20 * NS_PER_S)
#define HINT	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_FREE_PAGE_HINT) | BIT(VIRTIO_F_EVENT_IDX))

static uint64_t hinted_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_HINTED];
}

static struct scripted_balloon *device_with(struct ktest *t, uint64_t features)
{
	struct scripted_balloon *device = scripted_balloon(t, HINT | features);

	if (!device)
		return NULL;
	device->queue_size = 64;
	scripted_balloon_plug(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, device->accepted & BIT(VIRTIO_F_EVENT_IDX), 0u);
	return device;
}

static struct scripted_balloon *hinting_device(struct ktest *t)
{
	return device_with(t, 0);
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

KTEST(balloon_free_page_hint, another_command_without_done_is_told_of_what_is_kept)
{
	uint64_t before = hinted_pages(), told[2];
	struct scripted_balloon *device = hinting_device(t);

	REQUIRE(t, device);
	for (uint32_t i = 0; i < 2; i++) {
		told[i] = load_relaxed(&device->hinted_pages);
		scripted_balloon_command(device, 7 + i);
		EXPECT(t, ids_told(device, 2 * i + 2));
		told[i] = load_relaxed(&device->hinted_pages) - told[i];
	}
	/* Other tests' threads may have taken a block or two meanwhile. */
	EXPECT(t, told[0] > 10 * PAGEBLOCK_PAGES && told[1] + 4 * PAGEBLOCK_PAGES > told[0]);
	EXPECT(t, hinted_pages() < before + told[0] + told[1]);
	scripted_balloon_command(device, 1);
	EXPECT(t, all_back(before));
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
	scripted_balloon_fall_silent(device, true, false);
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 1));
	while (hinted_pages() == before)
		sleep_ns(NS_PER_MS / 5);
	store_relaxed(&device->hint_command, 0); /* or it begins anew */
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT_EQ(t, hinted_pages(), before);
	EXPECT_OK(t, memory_check());
}

/* ---- what is in blocks that come back (this file looks at free memory: the sanitizer is off) ---- */

static void set_poison(struct ktest *t, const char *value)
{
	int error = balloon_init(); /* in the guest the files are there already */

	EXPECT(t, error == 0 || error == -EEXIST);
	EXPECT_OK(t, vfile_write("/sys/module/virtio_balloon/parameters/poison", value, strlen(value)));
}

static void no_poison(void *t)
{
	set_poison(t, "-1");
}

/* Of the first pages of blocks that the device was told of, and dropped: how many are full of @value now? */
static unsigned int pages_full_of(const struct scripted_balloon *device, uint32_t value)
{
	unsigned int full = 0;

	EXPECT_OK(device->t, balloon_check()); /* the worker is through with what it did */
	for (unsigned int at = 0; at < device->nr_hinted; at++) {
		const uint32_t *word = phys_to_virt(device->hinted[at] << PAGE_SHIFT), *end = word + PAGE_SIZE / 4;

		while (word < end && *word == value)
			word++;
		full += word == end;
	}
	return full;
}

/* 5.5.6.6.1. A few may have been taken and written to since. */
KTEST(balloon_free_page_hint, with_a_poison_blocks_are_told_and_come_back_full_of_it)
{
	uint64_t before = hinted_pages();
	struct scripted_balloon *device;

	ktest_defer(t, no_poison, t);
	set_poison(t, "0x600dcafe");
	device = device_with(t, BIT(BALLOON_F_PAGE_POISON));
	REQUIRE(t, device);
	EXPECT_EQ(t, device->poison, 0x600dcafeu);
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 2));
	EXPECT(t, load_relaxed(&device->hinted_pages) > 10 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pages_full_of(device, 0x600dcafe), 0u);
	scripted_balloon_command(device, 1);
	EXPECT(t, all_back(before));
	EXPECT(t, pages_full_of(device, 0x600dcafe) > device->nr_hinted * 3 / 4);
	EXPECT_EQ(t, device->faults, 0u);
}

/* 5.5.6.5.1: before the host says done it may still lose what was not written since it was told. */
KTEST(balloon_free_page_hint, what_comes_back_early_was_written_to)
{
	uint64_t before = hinted_pages();
	struct scripted_balloon *device = hinting_device(t);

	REQUIRE(t, device);
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 2));
	for (unsigned int tries = 0; tries < 1000 && hinted_pages() != before; tries++) {
		(void)shrink_all(0);
		sleep_ns(NS_PER_MS);
	}
	EXPECT_EQ(t, hinted_pages(), before);
	EXPECT(t, device->nr_hinted > 0 && pages_full_of(device, 0) > device->nr_hinted * 3 / 4);
}

KTEST(balloon_free_page_hint, no_more_comes_back_than_is_wanted)
{
	struct scripted_balloon *device = hinting_device(t);
	uint64_t kept;

	REQUIRE(t, device);
	scripted_balloon_command(device, 5);
	EXPECT(t, ids_told(device, 2));
	EXPECT_OK(t, balloon_check()); /* the worker is through with what it did */
	kept = hinted_pages();
	EXPECT(t, shrink_all(4) > 0 || hinted_pages() == kept);
	EXPECT(t, hinted_pages() >= kept / 2);
}
