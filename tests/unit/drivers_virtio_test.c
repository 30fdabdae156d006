/*
 * The virtio core: the order of clause 3.1.1, and devices that do not keep to their side of it.
 */
#include "tests/unit/scripted_balloon.h"

#include "kernel/time.h"
#include "lib/atomic.h"

#define F_STATS 1u

KTEST(virtio, initialisation_follows_3_1_1)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(F_STATS));
	static const uint8_t steps[] = {0x00, 0x01, 0x03, 0x0b, 0x0f};

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->nr_status, ARRAY_SIZE(steps));
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++)
		EXPECT_EQ(t, device->status_log[i], steps[i]);
	EXPECT(t, !load_relaxed(&device->dev.broken));
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(virtio, only_offered_and_known_features_are_accepted)
{
	uint64_t unknown = BIT(20) | BIT(40) | BIT(60);
	struct scripted_balloon *device = scripted_balloon(t, unknown | BIT(F_STATS) | BIT(VIRTIO_F_EVENT_IDX));

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->accepted, BIT(F_STATS) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1));
	EXPECT_EQ(t, device->dev.features, device->accepted);
}

KTEST(virtio, a_device_that_refuses_its_own_features_is_failed)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(F_STATS));

	REQUIRE(t, device);
	device->refuses_features = true;
	scripted_balloon_plug(device);
	EXPECT(t, load_relaxed(&device->dev.broken));
	EXPECT(t, device->status & VIRTIO_STATUS_FAILED);
	EXPECT(t, !(device->status & VIRTIO_STATUS_DRIVER_OK));
	EXPECT(t, device->dev.driver == NULL);
}

KTEST(virtio, a_modern_device_must_offer_version_1)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(F_STATS));

	REQUIRE(t, device);
	device->offers &= ~BIT(VIRTIO_F_VERSION_1);
	scripted_balloon_plug(device);
	EXPECT(t, load_relaxed(&device->dev.broken));
	EXPECT(t, device->status & VIRTIO_STATUS_FAILED);
}

KTEST(virtio, a_reset_that_does_not_end_is_given_up)
{
	struct scripted_balloon *device = scripted_balloon(t, 0);

	REQUIRE(t, device);
	device->status = VIRTIO_STATUS_ACKNOWLEDGE;
	device->stuck_in_reset = true;
	device->dev.timeout_ns = 5 * NS_PER_MS;
	scripted_balloon_plug(device);
	EXPECT(t, load_relaxed(&device->dev.broken));
	EXPECT(t, device->dev.driver == NULL);
	device->stuck_in_reset = false;
	/* And it can be tried again. */
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, !load_relaxed(&device->dev.broken));
}

KTEST(virtio, a_device_without_queues_is_failed)
{
	static const unsigned int sizes[] = {0, 32769, 65536};

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct scripted_balloon *device = scripted_balloon(t, 0);

		REQUIRE(t, device);
		device->queue_size = sizes[i];
		scripted_balloon_plug(device);
		EXPECT(t, load_relaxed(&device->dev.broken));
		EXPECT_EQ(t, device->dev.nr_queues, 0u);
	}
}

/* 2.5.1: a configuration that never settles must not keep the driver for ever. */
KTEST(virtio, a_configuration_that_keeps_changing_does_not_hang)
{
	struct scripted_balloon *device = scripted_balloon(t, 0);

	REQUIRE(t, device);
	device->config_keeps_changing = true;
	device->num_pages = 0;
	scripted_balloon_plug(device);
	EXPECT_EQ(t, virtio_config_read32(&device->dev, 0), 0u);
	EXPECT_EQ(t, virtio_config_read32(&device->dev, 64), 0u); /* beyond its end */
}

KTEST(virtio, a_device_of_unknown_kind_is_left_alone)
{
	struct scripted_balloon *device = scripted_balloon(t, 0);

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	virtio_unregister_device(&device->dev);
	device->dev.device_id = 63;
	device->nr_status = 0;
	EXPECT_OK(t, virtio_register_device(&device->dev));
	EXPECT_EQ(t, device->nr_status, 0u);
}
