/*
 * What the standard asks of a driver beside its rings, a test a requirement; the names begin with the clause (virtio
 * 1.2). Much is seen by the scripted device itself, in every test that it is in: what it counts in `faults`. All of
 * them, and where each is tried, are in tests/conformance.txt.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/string.h"

#define WAIT_NS (20 * NS_PER_S)
#define OWN                                                                                        \
	(BIT(BALLOON_F_MUST_TELL_HOST) | BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_DEFLATE_ON_OOM) | \
	 BIT(BALLOON_F_FREE_PAGE_HINT) | BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_REPORTING) | BIT(BALLOON_F_SG))
#define RESERVED                                                                           \
	(BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) | \
	 BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_ORDER_PLATFORM))

static bool inflates(struct scripted_balloon *device, uint32_t pages)
{
	scripted_balloon_set_target(device, pages);
	return scripted_balloon_reaches(device, pages, WAIT_NS);
}

KTEST(driver, c2_1_1_a_failed_device_is_reset_before_it_is_tried_again)
{
	struct scripted_balloon *device = scripted_balloon(t, 0);
	unsigned int resets;

	REQUIRE(t, device);
	device->refuses_features = true;
	scripted_balloon_plug(device);
	EXPECT(t, load_relaxed(&device->status) & VIRTIO_STATUS_FAILED);
	device->refuses_features = false;
	resets = device->resets;
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, device->resets > resets);
	EXPECT(t, inflates(device, 100));
	EXPECT_EQ(t, device->faults, 0u); /* no bit was cleared, none set behind FAILED */
}

/* Found by fuzz_balloon: giving the device up wrote back what it said of its status, and FAILED. */
KTEST(driver, c2_1_1_no_bit_is_cleared_even_if_the_device_forgets_them)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, inflates(device, 100));
	store_relaxed(&device->forgets_status, true);
	virtio_device_break(&device->dev, "broken by the test");
	store_relaxed(&device->forgets_status, false);
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, inflates(device, 200));
	EXPECT_EQ(t, device->faults, 0u);
}

/* Every bit that there is, on offer: IN_ORDER, SR_IOV, NOTIFICATION_DATA, RING_RESET and ADMIN_VQ among them. */
KTEST(driver, c2_2_1_what_is_not_driven_is_not_accepted)
{
	struct scripted_balloon *device = scripted_balloon(t, UINT64_MAX);

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->accepted & ~(OWN | RESERVED), 0u);
	for (unsigned int bit = 35; bit <= 41; bit++)
		EXPECT_EQ(t, device->accepted >> bit & 1, bit == VIRTIO_F_ORDER_PLATFORM);
	EXPECT(t, !load_relaxed(&device->dev.broken));
	EXPECT(t, inflates(device, 100));
	EXPECT_EQ(t, device->faults, 0u);
}

/* Without any one of those it can drive it does without. (VERSION_1 is the exception: 6.1.) */
KTEST(driver, c2_2_1_every_feature_may_be_missing)
{
	const uint64_t all = (OWN | RESERVED) & ~BIT(BALLOON_F_SG);

	for (unsigned int bit = 0; bit < 64; bit++) {
		struct scripted_balloon *device;

		if (!(all >> bit & 1) || bit == VIRTIO_F_VERSION_1)
			continue;
		device = scripted_balloon(t, all & ~BIT(bit));
		REQUIRE(t, device);
		scripted_balloon_plug(device);
		EXPECT(t, inflates(device, 700));
		EXPECT_EQ(t, device->accepted >> bit & 1, 0u);
		EXPECT_EQ(t, device->faults, 0u);
		virtio_unregister_device(&device->dev);
		device->dev.transport = NULL;
	}
}

KTEST(driver, c2_5_1_fields_of_features_that_are_not_offered_are_left_alone)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_REPORTING));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, inflates(device, 3000));
	EXPECT(t, inflates(device, 0));
	EXPECT_EQ(t, device->faults, 0u);
	/* It is seen: */
	EXPECT_EQ(t, virtio_config_read32(&device->dev, BALLOON_CONFIG_POISON_VAL), 0u);
	EXPECT_EQ(t, device->faults, 1u);
}

KTEST(driver, c2_7_5_3_1_no_table_is_made_unless_negotiated)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_REPORTING));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, inflates(device, 20000)); /* the ring device asserts that there is none */
	EXPECT(t, device->reported_pages >= 20000);
}

KTEST(driver, c3_1_1_nothing_is_set_up_behind_failed)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	device->refuses_features = true;
	scripted_balloon_plug(device);
	EXPECT(t, !device->ready[0] && !device->ready[1] && !device->ready[2]);
	EXPECT_EQ(t, device->actual_writes, 0u);
	EXPECT_EQ(t, load_relaxed(&device->status) & (VIRTIO_STATUS_FAILED | VIRTIO_STATUS_DRIVER_OK),
		  VIRTIO_STATUS_FAILED);
	EXPECT_EQ(t, device->faults, 0u);
}

/* ---- the balloon ---- */

KTEST(driver, c5_5_3_1_page_poison_is_declined_unless_pages_are_poisoned)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->accepted & BIT(BALLOON_F_PAGE_POISON), 0u);
	EXPECT_EQ(t, device->faults, 0u);
}

/* By page numbers: what the device has not answered is not taken back, whatever the target. */
KTEST(driver, c5_5_6_1_no_deflation_before_the_inflation_is_acknowledged)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_hold_back(device, 60);
	scripted_balloon_set_target(device, 2048);
	EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_pages) == 2048));
	scripted_balloon_set_target(device, 0);
	for (int i = 0; i < 3; i++) /* the worker has been round */
		EXPECT(t, scripted_balloon_ask_stats(device));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 2048u);
	scripted_balloon_hold_back(device, 0);
	scripted_balloon_answer(device);
	EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_pages) == 0));
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, device->faults, 0u);
}

/* Without DEFLATE_ON_OOM, at its target: nothing comes back by itself. */
KTEST(driver, c5_5_6_1_what_the_host_wants_stays_in_the_balloon)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, inflates(device, 2048));
	for (int i = 0; i < 3; i++)
		EXPECT(t, scripted_balloon_ask_stats(device));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 2048u);
	EXPECT_EQ(t, load_relaxed(&device->inflated_ever), 2048u);
	EXPECT_EQ(t, device->faults, 0u);
}

/* After each change the host's figure is the balloon's. */
KTEST(driver, c5_5_6_1_actual_is_updated_after_each_change)
{
	static const uint32_t targets[] = {1, 1025, 3000, 2999, 7, 0};
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS)); /* what it had from before is put right */
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		EXPECT(t, inflates(device, targets[i]));
		EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_pages) == targets[i]));
	}
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(driver, c5_5_6_3_1_a_buffer_at_initialisation_and_one_for_each_used)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, load_acquire(&device->stats_buffers), 1u);
	for (uint32_t count = 2; count < 10; count++) {
		EXPECT(t, scripted_balloon_ask_stats(device));
		EXPECT_EQ(t, load_acquire(&device->stats_buffers), count); /* two at once are a fault */
	}
	EXPECT_EQ(t, device->faults, 0u);
}

/* The same tags in the same order, each once, with values: none of the buffer is left over from the one before. */
KTEST(driver, c5_5_6_3_1_the_same_subset_in_every_buffer)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	for (int round = 0; round < 5; round++) {
		EXPECT_EQ(t, device->stats_bytes, 160u);
		for (uint16_t tag = 0; tag < 16; tag++) {
			EXPECT_EQ(t, device->stats[10 * tag] | device->stats[10 * tag + 1] << 8, tag);
			EXPECT(t, scripted_balloon_stat(device, tag) != UINT64_MAX);
		}
		memset(device->stats, 0xff, sizeof(device->stats));
		EXPECT(t, scripted_balloon_ask_stats(device));
	}
	EXPECT_EQ(t, device->faults, 0u);
}

static bool ids_told(struct scripted_balloon *device, uint32_t count)
{
	return EVENTUALLY(load_acquire(&device->nr_hint_ids) >= count);
}

/* The host says stop in the middle: no block behind our stop, and the id was said once. */
KTEST(driver, c5_5_6_5_1_stop_and_done_end_the_supply)
{
	for (uint32_t end = 0; end < 2; end++) {
		struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_FREE_PAGE_HINT));
		uint64_t told;

		REQUIRE(t, device);
		device->queue_size = 16;
		scripted_balloon_plug(device);
		scripted_balloon_fall_silent(device, true, false); /* it takes what fits, and no more */
		scripted_balloon_command(device, 9);
		EXPECT(t, ids_told(device, 1));
		EXPECT(t, EVENTUALLY(load_relaxed(&device->hinted_pages) > 0));
		scripted_balloon_command(device, end);
		EXPECT(t, ids_told(device, 2));
		EXPECT_EQ(t, device->hint_ids[0], 9u);
		EXPECT_EQ(t, device->hint_ids[1], 0u);
		told = load_relaxed(&device->hinted_pages);
		EXPECT_OK(t, balloon_check());
		EXPECT_EQ(t, load_relaxed(&device->hinted_pages), told);
		EXPECT_EQ(t, load_acquire(&device->nr_hint_ids), 2u);
		EXPECT_EQ(t, device->faults, 0u);
		virtio_unregister_device(&device->dev);
		device->dev.transport = NULL;
	}
}

KTEST(driver, c5_5_6_6_1_poison_val_is_written_before_driver_ok_and_never_after)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_STATS_VQ));
	static const char parameter[] = "/sys/module/virtio_balloon/parameters/poison";
	int error = balloon_init(); /* in the guest the files are there already */

	EXPECT(t, error == 0 || error == -EEXIST);
	REQUIRE(t, device);
	EXPECT_OK(t, vfile_write(parameter, "0x77", 4));
	scripted_balloon_plug(device);
	EXPECT(t, device->accepted & BIT(BALLOON_F_PAGE_POISON));
	EXPECT_EQ(t, device->poison, 0x77u);
	EXPECT_OK(t, vfile_write(parameter, "0x88", 4));
	EXPECT(t, inflates(device, 1000) && inflates(device, 0));
	EXPECT_EQ(t, device->poison, 0x77u);
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, vfile_write(parameter, "-1", 2));
}

/* The largest blocks there are: few descriptors for much memory. */
KTEST(driver, c5_5_6_7_1_large_pages_rather_than_small_ones)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_REPORTING) | BIT(VIRTIO_F_INDIRECT_DESC));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, inflates(device, 16384));
	EXPECT(t, device->biggest_buffer_pages >= 1024);
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(driver, c6_1_reserved_features_that_ought_to_be_accepted_are)
{
	struct scripted_balloon *device = scripted_balloon(t, RESERVED);

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->accepted, RESERVED);
	EXPECT(t, inflates(device, 1000));
	EXPECT_EQ(t, device->faults, 0u);
}
