/*
 * The balloon that the machine really has; skipped where it has none. What only the host can start (a new target) is
 * tested from outside.
 */
#include "drivers/virtio/balloon_internal.h"
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/string.h"

static struct virtio_device *real_balloon(struct ktest *t)
{
	struct virtio_device *dev;

	list_for_each_entry(dev, virtio_devices(), node)
		if (dev->device_id == VIRTIO_ID_BALLOON && strcmp(dev->transport->name, "scripted") != 0)
			return dev;
	ktest_skip(t, "this machine has no balloon");
	return NULL;
}

static uint64_t pages_of(enum page_owner owner)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[owner];
}

KTEST(balloon_real, is_driven_with_the_features_it_offers)
{
	struct virtio_device *dev = real_balloon(t);

	if (!dev)
		return;
	EXPECT(t, !load_relaxed(&dev->broken) && dev->driver);
	EXPECT_EQ(t, dev->transport->get_status(dev), 0x0fu);
	EXPECT_EQ(t, dev->features & ~dev->offered, 0u);
	EXPECT(t, virtio_has_feature(dev, VIRTIO_F_VERSION_1));
	EXPECT_OK(t, balloon_check());
}

/* For tests from outside: the first may be asked at any moment, the second while no pages move. */
KTEST(balloon_real, the_balloon_is_whole)
{
	if (real_balloon(t))
		EXPECT_OK(t, balloon_check());
}

KTEST(balloon_real, every_page_is_accounted_for)
{
	if (!real_balloon(t))
		return;
	EXPECT_OK(t, balloon_check());
	EXPECT_OK(t, memory_check());
}

/* `actual` outlives a reset in the device: the driver's must replace it. */
KTEST(balloon_real, probes_again_after_a_reset)
{
	struct virtio_device *dev = real_balloon(t);
	uint64_t rings;

	if (!dev)
		return;
	rings = pages_of(PAGE_OWNER_DRIVER);
	for (int round = 0; round < 10; round++) {
		EXPECT_OK(t, virtio_reprobe(dev));
		EXPECT_EQ(t, dev->transport->get_status(dev), 0x0fu);
		EXPECT_EQ(t, pages_of(PAGE_OWNER_DRIVER), rings);
		EXPECT_OK(t, balloon_check());
	}
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		EXPECT(t, !dev->queues[i] || !virtqueue_is_broken(dev->queues[i]));
}

KTEST(balloon_real, actual_is_written_as_it_is)
{
	struct virtio_device *dev = real_balloon(t);
	uint32_t target;

	if (!dev)
		return;
	virtio_config_write32(dev, BALLOON_CONFIG_ACTUAL, 7);
	EXPECT_EQ(t, virtio_config_read32(dev, BALLOON_CONFIG_ACTUAL), 7u);
	EXPECT_OK(t, virtio_reprobe(dev));
	target = virtio_config_read32(dev, BALLOON_CONFIG_NUM_PAGES);
	for (int tries = 0; tries < 1000 && virtio_config_read32(dev, BALLOON_CONFIG_ACTUAL) != target; tries++)
		sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, virtio_config_read32(dev, BALLOON_CONFIG_ACTUAL), target);
}
