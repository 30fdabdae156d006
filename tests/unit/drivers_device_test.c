/*
 * What a virtio balloon *device* must do, tried on the one that this machine has (or, hosted, on the scripted one):
 * `test=device.*` against any machine monitor. A test's name begins with the clause of virtio 1.2 that it tries.
 *
 * Each test takes the device from the balloon, drives it with a bare driver, and gives it back. What a misbehaving
 * driver may not bring down is tried with device_misbehave=1 only: it may end the machine monitor.
 */
#include "tests/unit/scripted_balloon.h"

#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define WAIT_NS	    (20 * NS_PER_S)
#define F_STATS	    1u
#define F_HINT	    3u
#define F_REPORT    5u
#define STATS_QUEUE 2u

static uint64_t bare_features; /* what the next probe accepts, beyond VERSION_1 */

static uint64_t choose(struct virtio_device *dev, uint64_t features UNUSED)
{
	return dev->offered & (bare_features | BIT(VIRTIO_F_VERSION_1));
}

static unsigned int nr_queues(const struct virtio_device *dev)
{
	return 2 + (dev->offered >> F_STATS & 1) + (dev->offered >> F_HINT & 1) + (dev->offered >> F_REPORT & 1);
}

static int bare_probe(struct virtio_device *dev)
{
	struct virtio_queue_request requests[VIRTIO_MAX_QUEUES] = {{.name = "inflate"}, {.name = "deflate"}};
	int error;

	if (virtio_has_feature(dev, F_STATS))
		requests[STATS_QUEUE].name = "stats";
	if (virtio_has_feature(dev, F_REPORT))
		requests[nr_queues(dev) - 1] = (struct virtio_queue_request){.name = "report", .tables = 4};
	error = virtio_setup_queues(dev, requests, nr_queues(dev));
	if (!error)
		virtio_device_ready(dev);
	return error;
}

static void bare_remove(struct virtio_device *dev)
{
	(void)!virtio_device_reset(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		while (dev->queues[i] && virtqueue_detach_unused(dev->queues[i]))
			;
}

static const struct virtio_driver bare = {
	.name = "device_test",
	.device_id = VIRTIO_ID_BALLOON,
	.choose_features = choose,
	.probe = bare_probe,
	.remove = bare_remove,
};

static void give_back(void *dev)
{
	if (virtio_reprobe(dev))
		panic("the device under test does not work for the balloon any more");
}

/* The machine's balloon, or hosted the scripted one, driven by the bare driver; NULL: skipped or failed. */
static struct virtio_device *take(struct ktest *t, uint64_t features)
{
	struct virtio_device *dev;

	if (ktest_hosted()) {
		struct scripted_balloon *device =
			scripted_balloon(t, BIT(F_STATS) | BIT(F_REPORT) | BIT(VIRTIO_F_INDIRECT_DESC));

		if (device)
			scripted_balloon_plug(device);
	}
	bare_features = features;
	list_for_each_entry(dev, virtio_devices(), node) {
		if (dev->device_id != VIRTIO_ID_BALLOON || !dev->driver)
			continue;
		if ((dev->offered & features) != features) {
			ktest_skip(t, "the device does not offer what this is about");
			return NULL;
		}
		if (virtio_probe_with(dev, &bare)) {
			ktest_fail(t, __FILE__, __LINE__, "the device does not take features it offered");
			return NULL;
		}
		ktest_defer(t, give_back, dev);
		return dev;
	}
	ktest_skip(t, "this machine has no balloon");
	return NULL;
}

/* Waits for a used buffer; NULL: none came. */
static void *used(struct virtqueue *vq, uint64_t timeout_ns)
{
	uint64_t deadline = wait_deadline(timeout_ns);
	void *token;

	while ((token = virtqueue_get(vq, NULL)) == NULL && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return token;
}

static struct page *take_page(struct ktest *t)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_DRIVER), 0);

	if (!page)
		ktest_fail(t, __FILE__, __LINE__, "no memory");
	return page;
}

/* Sends @page's number through queue @index and waits for the answer. */
static bool tell_page(struct virtio_device *dev, unsigned int index, struct page *page, uint32_t *array)
{
	struct virtqueue_buffer buffer = {page_to_phys(virt_to_page(array)), sizeof(*array)};

	array[0] = (uint32_t)(page_to_phys(page) >> 12);
	if (virtqueue_add(dev->queues[index], &buffer, 1, 0, array))
		return false;
	virtqueue_kick(dev->queues[index]);
	return used(dev->queues[index], WAIT_NS) == array;
}

static bool inflates_and_deflates(struct ktest *t, struct virtio_device *dev)
{
	struct page *page = take_page(t), *array = page ? take_page(t) : NULL;
	bool sound =
		array && tell_page(dev, 0, page, page_address(array)) && tell_page(dev, 1, page, page_address(array));

	if (array && sound) /* else the device may still have them */
		free_pages(array, 0);
	if (page && sound)
		free_pages(page, 0);
	return sound;
}

KTEST(device, c2_1_2_status_reads_back_and_is_0_after_a_reset)
{
	struct virtio_device *dev = take(t, 0);

	if (!dev)
		return;
	EXPECT_EQ(t, dev->transport->get_status(dev), dev->legacy ? 0x07u : 0x0fu);
	EXPECT(t, virtio_device_reset(dev));
	EXPECT_EQ(t, dev->transport->get_status(dev), 0u);
	for (uint8_t status = 1; status <= 3; status += 2) {
		dev->transport->set_status(dev, status);
		EXPECT_EQ(t, dev->transport->get_status(dev), status);
	}
}

KTEST(device, c2_2_1_the_same_features_are_offered_after_a_reset)
{
	struct virtio_device *dev = take(t, 0);
	uint64_t offered;

	if (!dev)
		return;
	offered = dev->transport->get_features(dev);
	EXPECT(t, dev->legacy || offered & BIT(VIRTIO_F_VERSION_1));
	EXPECT(t, virtio_device_reset(dev));
	EXPECT_EQ(t, dev->transport->get_features(dev), offered);
}

KTEST(device, c2_2_2_every_single_feature_is_accepted)
{
	struct virtio_device *dev = take(t, 0);

	if (!dev)
		return;
	for (unsigned int bit = 0; bit < 64; bit++) {
		/* ANY_LAYOUT and the access flags are about more than the bit itself. */
		if (!(dev->offered >> bit & 1) || bit == VIRTIO_F_ACCESS_PLATFORM)
			continue;
		bare_features = BIT(bit);
		EXPECT_OK(t, virtio_probe_with(dev, &bare));
	}
}

KTEST(device, c2_5_3_the_generation_stands_still_with_the_configuration)
{
	struct virtio_device *dev = take(t, 0);
	uint32_t before, first, second;

	if (!dev)
		return;
	before = dev->transport->config_generation(dev);
	EXPECT_OK(t, dev->transport->read_config(dev, 0, &first, sizeof(first)));
	EXPECT_OK(t, dev->transport->read_config(dev, 0, &second, sizeof(second)));
	EXPECT(t, first == second || dev->transport->config_generation(dev) != before);
}

KTEST(device, c4_1_5_1_3_a_queue_that_is_not_there_has_size_0)
{
	struct virtio_device *dev = take(t, 0);

	if (!dev)
		return;
	EXPECT(t, dev->transport->queue_size(dev, 0) > 0);
	EXPECT_EQ(t, dev->transport->queue_size(dev, 200), 0u);
}

KTEST(device, c5_5_4_actual_reads_back)
{
	struct virtio_device *dev = take(t, 0);

	if (!dev)
		return;
	for (uint32_t value = 1; value < 1000000; value *= 7) {
		virtio_config_write32(dev, 4, value);
		EXPECT_EQ(t, virtio_config_read32(dev, 4), value);
	}
}

KTEST(device, c5_5_6_inflation_and_deflation_are_acknowledged)
{
	struct virtio_device *dev = take(t, 0);

	if (dev)
		EXPECT(t, inflates_and_deflates(t, dev));
}

KTEST(device, c2_7_8_2_each_of_many_buffers_comes_back_once)
{
	struct virtio_device *dev = take(t, 0);
	struct page *array, *pages;
	uint64_t seen = 0;

	if (!dev)
		return;
	array = take_page(t);
	pages = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_DRIVER), 5);
	REQUIRE(t, array && pages);
	for (uint64_t i = 0; i < 32; i++) {
		struct virtqueue_buffer buffer = {page_to_phys(array) + 4 * i, 4};

		((uint32_t *)page_address(array))[i] = (uint32_t)(page_to_phys(pages) >> 12) + (uint32_t)i;
		EXPECT_OK(t, virtqueue_add(dev->queues[0], &buffer, 1, 0, (void *)(i + 1)));
	}
	virtqueue_kick(dev->queues[0]);
	for (int i = 0; i < 32; i++)
		seen ^= 1ull << (uintptr_t)used(dev->queues[0], WAIT_NS);
	EXPECT_EQ(t, seen, 0x1fffffffeull);
	EXPECT(t, virtqueue_get(dev->queues[0], NULL) == NULL && !virtqueue_is_broken(dev->queues[0]));
	EXPECT_OK(t, virtqueue_check(dev->queues[0]));
	EXPECT(t, virtio_device_reset(dev));
	free_pages(array, 0);
	free_pages(pages, 5);
}

KTEST(device, c5_5_6_3_statistics_of_unknown_tags_are_taken_and_the_buffer_is_kept)
{
	struct virtio_device *dev = take(t, BIT(F_STATS));
	struct virtqueue_buffer buffer;
	struct page *page;

	if (!dev)
		return;
	page = take_page(t);
	REQUIRE(t, page);
	memset(page_address(page), 0xee, 20); /* two entries of tag 0xeeee */
	buffer = (struct virtqueue_buffer){page_to_phys(page), 20};
	EXPECT_OK(t, virtqueue_add(dev->queues[STATS_QUEUE], &buffer, 1, 0, page));
	virtqueue_kick(dev->queues[STATS_QUEUE]);
	EXPECT(t, inflates_and_deflates(t, dev));
	EXPECT(t, !(dev->transport->get_status(dev) & VIRTIO_STATUS_NEEDS_RESET));
	EXPECT(t, virtqueue_get(dev->queues[STATS_QUEUE], NULL) == NULL);
	EXPECT(t, virtio_device_reset(dev));
	free_pages(page, 0);
}

static void report_a_chain(struct ktest *t, uint64_t features)
{
	struct virtio_device *dev = take(t, features);
	struct virtqueue_buffer buffers[4];
	struct page *pages;
	struct virtqueue *vq;

	if (!dev)
		return;
	vq = dev->queues[nr_queues(dev) - 1];
	pages = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_DRIVER), 2);
	REQUIRE(t, pages);
	for (unsigned int i = 0; i < 4; i++)
		buffers[i] = (struct virtqueue_buffer){page_to_phys(pages) + i * PAGE_SIZE, PAGE_SIZE};
	EXPECT_OK(t, virtqueue_add(vq, buffers, 0, 4, pages));
	virtqueue_kick(vq);
	EXPECT(t, used(vq, WAIT_NS) == pages);
	EXPECT(t, virtio_device_reset(dev));
	free_pages(pages, 2);
}

KTEST(device, c5_5_6_7_reported_pages_are_acknowledged)
{
	report_a_chain(t, BIT(F_REPORT));
}

KTEST(device, c2_7_5_3_a_chain_in_an_indirect_table_is_taken)
{
	report_a_chain(t, BIT(F_REPORT) | BIT(VIRTIO_F_INDIRECT_DESC));
}

KTEST(device, c2_7_7_2_no_interrupt_while_the_driver_wants_none)
{
	struct virtio_device *dev = take(t, 0);
	uint64_t before;

	if (!dev)
		return;
	virtqueue_disable_interrupts(dev->queues[0]);
	virtqueue_disable_interrupts(dev->queues[1]);
	before = load_relaxed(&dev->interrupts);
	for (int i = 0; i < 20; i++)
		EXPECT(t, inflates_and_deflates(t, dev));
	sleep_ns(20 * NS_PER_MS);
	EXPECT_EQ(t, load_relaxed(&dev->interrupts), before);
}

/* ---- drivers that misbehave: the device may break, and must come out of a reset sound ---- */

struct raw_split { /* of a split ring's memory, 2.7 */
	struct virtqueue_desc *descriptors;
	uint16_t *avail; /* flags, index, ring */
};

static void looped(struct raw_split raw)
{
	raw.descriptors[raw.avail[2]].flags |= 1;
	raw.descriptors[raw.avail[2]].next = raw.avail[2];
}

static void next_out_of_range(struct raw_split raw)
{
	raw.descriptors[raw.avail[2]].flags |= 1;
	raw.descriptors[raw.avail[2]].next = 0xfff0;
}

static void head_out_of_range(struct raw_split raw)
{
	raw.avail[2] = 0xfff0;
}

static void index_far_ahead(struct raw_split raw)
{
	raw.avail[1] = 0x8000;
}

static void of_length_0(struct raw_split raw)
{
	raw.descriptors[raw.avail[2]].bytes = 0;
}

static void at_no_memory(struct raw_split raw)
{
	raw.descriptors[raw.avail[2]].address = 0x7ffffffff000;
}

static void misbehave(struct ktest *t, void (*spoil)(struct raw_split raw))
{
	struct virtio_device *dev;
	struct virtqueue_buffer buffer;
	struct raw_split raw;
	struct page *page;

	if (ktest_hosted() || !cmdline_bool("device_misbehave", false)) {
		ktest_skip(t, "may end the machine monitor: device_misbehave=1 tries it");
		return;
	}
	dev = take(t, 0);
	if (!dev)
		return;
	page = take_page(t);
	REQUIRE(t, page);
	raw.descriptors = page_address(dev->queue_pages[0]);
	raw.avail = phys_to_virt(virtqueue_addresses(dev->queues[0]).driver);
	buffer = (struct virtqueue_buffer){page_to_phys(page), 4};
	*(uint32_t *)page_address(page) = (uint32_t)(page_to_phys(page) >> 12);
	EXPECT_OK(t, virtqueue_add(dev->queues[0], &buffer, 1, 0, page));
	spoil(raw);
	virtqueue_kick(dev->queues[0]);
	sleep_ns(50 * NS_PER_MS);
	EXPECT_OK(t, virtio_probe_with(dev, &bare));
	EXPECT(t, inflates_and_deflates(t, dev));
	free_pages(page, 0);
}

#define MISBEHAVE(name)                                    \
	KTEST(device, c2_1_2_recovers_from_a_chain_##name) \
	{                                                  \
		misbehave(t, name);                        \
	}                                                  \
	_Static_assert(true, "")

MISBEHAVE(looped);
MISBEHAVE(next_out_of_range);
MISBEHAVE(head_out_of_range);
MISBEHAVE(index_far_ahead);
MISBEHAVE(of_length_0);
MISBEHAVE(at_no_memory);
