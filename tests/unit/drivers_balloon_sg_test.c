/*
 * F_SG, and a test for each of the six faults of the driver that proposed it; the names say which.
 */
#include "tests/unit/scripted_balloon.h"
#include "tests/unit/virtqueue_fixture.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "lib/string.h"

#define WAIT_NS (20 * NS_PER_S)
#define SG	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_SG) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

static uint64_t balloon_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_BALLOON];
}

static uint32_t some_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return (uint32_t)MIN(info.free / 4, (uint64_t)MIB(256) >> PAGE_SHIFT) | 3;
}

static const struct virtqueue_shape shapes[] = {
	{.packed = false, .checked = true, .size = 16},
	{.packed = true, .checked = true, .size = 16},
	{.packed = true, .checked = true, .event_index = true, .size = 5},
};

/* What the device saw of these runs of {first, last}; one after another, behind a chain of its own each. */
static struct virtqueue_fixture *send_runs(struct ktest *t, struct virtqueue_shape shape, struct sparse_bitmap *runs,
					   const uint64_t (*pages)[2], unsigned int count)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);

	if (!f)
		return NULL;
	f->answer = ANSWER_AT_ONCE;
	for (unsigned int i = 0; i < count; i++)
		EXPECT_OK(t, balloon_runs_record(runs, pages[i][0], pages[i][1] - pages[i][0] + 1));
	EXPECT_OK(t, balloon_runs_send(runs, f->vq, true, f));
	EXPECT(t, virtqueue_get(f->vq, NULL) == f);
	EXPECT_EQ(t, runs->nr_bits, 0u);
	return f;
}

#define for_each_shape(t, f, runs, pages)                     \
	for (size_t _at = 0; _at < ARRAY_SIZE(shapes); _at++) \
		if (balloon_runs_init(&(runs)),               \
		    ((f) = send_runs((t), shapes[_at], &(runs), (pages), ARRAY_SIZE(pages))) != NULL)

/* The search ran while start < end, with end inclusive. */
KTEST(balloon_sg, source_fault_1_a_batch_of_one_page_is_sent)
{
	static const uint64_t one[][2] = {{77, 77}}, zero[][2] = {{0, 0}};
	struct virtqueue_fixture *f;
	struct sparse_bitmap runs;

	for_each_shape(t, f, runs, one)
	{
		EXPECT_EQ(t, f->descriptors_seen, 1u);
		EXPECT_EQ(t, f->bytes_seen, PAGE_SIZE);
		EXPECT_EQ(t, f->element.buffers[0].address, 77 * PAGE_SIZE);
		sparse_bitmap_destroy(&runs);
	}
	for_each_shape(t, f, runs, zero)
	{
		EXPECT_EQ(t, f->descriptors_seen, 1u);
		sparse_bitmap_destroy(&runs);
	}
}

KTEST(balloon_sg, source_fault_1_a_last_page_behind_a_gap_of_one_is_sent)
{
	static const uint64_t pages[][2] = {{100, 102}, {104, 104}};
	struct virtqueue_fixture *f;
	struct sparse_bitmap runs;

	for_each_shape(t, f, runs, pages)
	{
		EXPECT_EQ(t, f->descriptors_seen, 2u);
		EXPECT_EQ(t, f->bytes_seen, 4 * PAGE_SIZE);
		EXPECT_EQ(t, f->element.buffers[1].address, 104 * PAGE_SIZE);
		sparse_bitmap_destroy(&runs);
	}
}

/* 4 GiB are 2^32 bytes, which a descriptor's length holds as 0. */
KTEST(balloon_sg, source_fault_2_runs_of_4_gib_and_more_are_split)
{
	static const uint64_t pages[][2] = {{1000, 1000 + (1 << 20) - 1}, {1ull << 24, (1ull << 24) + (1 << 20) + 6}};
	struct virtqueue_fixture *f;
	struct sparse_bitmap runs;

	for_each_shape(t, f, runs, pages)
	{
		EXPECT_EQ(t, f->bytes_seen, ((2ull << 20) + 7) * PAGE_SIZE);
		EXPECT_EQ(t, f->descriptors_seen, 2u + 3u);
		sparse_bitmap_destroy(&runs);
	}
}

/* More runs than the ring has descriptors: several chains, and every page in one of them. */
KTEST(balloon_sg, more_runs_than_descriptors_are_all_sent)
{
	static uint64_t pages[200][2];
	struct virtqueue_fixture *f;
	struct sparse_bitmap runs;

	for (uint64_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i][0] = pages[i][1] = (ARRAY_SIZE(pages) - i) * 1000;
	for_each_shape(t, f, runs, pages)
	{
		EXPECT_EQ(t, f->descriptors_seen, ARRAY_SIZE(pages));
		EXPECT_EQ(t, f->bytes_seen, ARRAY_SIZE(pages) * PAGE_SIZE);
		EXPECT(t, f->chains_seen > 10);
		sparse_bitmap_destroy(&runs);
	}
}

/* The token of an intermediate chain was the queue, so that anything used could be taken for it. */
KTEST(balloon_sg, source_fault_6_a_stray_used_buffer_is_not_taken_for_an_intermediate_chain)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct virtqueue_fixture *f = virtqueue_fixture(t, shapes[i]);
		struct sparse_bitmap runs;

		REQUIRE(t, f);
		balloon_runs_init(&runs);
		for (uint64_t pfn = 0; pfn < 100; pfn += 2)
			EXPECT_OK(t, balloon_runs_record(&runs, pfn, 1));
		/* Somebody's buffer, whose token is the queue, comes back; the chain that is waited for never does. */
		EXPECT_OK(t, virtqueue_add(f->vq, &(struct virtqueue_buffer){MIB(1) - 1, 1}, 1, 0, f->vq));
		f->answer = ANSWER_FIRST_ONLY;
		EXPECT_EQ(t, balloon_runs_send(&runs, f->vq, true, f), -EIO);
		EXPECT_EQ(t, f->chains_seen, 1u);
		EXPECT(t, virtqueue_get(f->vq, NULL) == f->vq);
		EXPECT_EQ(t, runs.nr_bits, 0u);
		sparse_bitmap_destroy(&runs);
	}
}

static void inflate_and_deflate(struct ktest *t, uint64_t features, bool polled)
{
	struct scripted_balloon *device = scripted_balloon(t, features);
	uint64_t owned = balloon_pages();
	uint32_t pages = some_pages();

	REQUIRE(t, device);
	device->no_interrupts = polled;
	scripted_balloon_plug(device);
	EXPECT(t, device->accepted & BIT(BALLOON_F_SG));
	for (int round = 0; round < 2; round++) {
		scripted_balloon_set_target(device, pages);
		EXPECT(t, scripted_balloon_reaches(device, pages, WAIT_NS));
		EXPECT_EQ(t, balloon_pages() - owned, pages);
		EXPECT_EQ(t, load_relaxed(&device->inflated_pages), pages);
		EXPECT_OK(t, balloon_check());
		scripted_balloon_set_target(device, pages / 3);
		EXPECT(t, scripted_balloon_reaches(device, pages / 3, WAIT_NS));
		EXPECT_EQ(t, load_relaxed(&device->inflated_pages), pages / 3);
		scripted_balloon_set_target(device, 0);
		EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
		EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 0u);
	}
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT(t, device->runs < pages / 100);
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_sg, inflates_and_deflates_by_runs)
{
	inflate_and_deflate(t, SG, false);
}

KTEST(balloon_sg, works_on_packed_rings_and_without_interrupts)
{
	inflate_and_deflate(t, SG | BIT(VIRTIO_F_RING_PACKED), true);
}

KTEST(balloon_sg, works_with_must_tell_host)
{
	inflate_and_deflate(t, SG | BIT(BALLOON_F_MUST_TELL_HOST) | BIT(BALLOON_F_REPORTING), false);
}

/* The whole inflation was one batch under the lock: nothing was heard before its end. */
KTEST(balloon_sg, source_fault_5_inflation_is_turned_round_in_the_middle)
{
	struct scripted_balloon *device = scripted_balloon(t, SG);
	uint32_t pages = some_pages();

	REQUIRE(t, device);
	device->turns_round = true;
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, pages);
	/* The target is 0 from the first batch on, so `actual` comes back there. */
	EXPECT(t, EVENTUALLY(load_relaxed(&device->inflated_ever)));
	EXPECT(t, scripted_balloon_ask_stats(device));
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	spin_lock(&device->lock);
	EXPECT(t, load_relaxed(&device->inflated_ever) <= 16u << MAX_ORDER);
	EXPECT(t, load_relaxed(&device->inflated_ever) < pages);
	spin_unlock(&device->lock);
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, balloon_check());
}

static void set_method(struct ktest *t, const char *method)
{
	int error = balloon_init(); /* in the guest the files are there already */

	EXPECT(t, error == 0 || error == -EEXIST);
	EXPECT_OK(t, vfile_write("/sys/module/virtio_balloon/parameters/inflate", method, strlen(method)));
}

static void method_is_auto_again(void *argument)
{
	set_method(argument, "auto");
}

/* Reporting, where offered, is the default beside it; page numbers mean that F_SG is not negotiated. */
KTEST(balloon_sg, the_method_can_be_chosen)
{
	struct scripted_balloon *device = scripted_balloon(t, SG | BIT(BALLOON_F_REPORTING));

	REQUIRE(t, device);
	ktest_defer(t, method_is_auto_again, t);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 2000);
	EXPECT(t, scripted_balloon_reaches(device, 2000, WAIT_NS));
	EXPECT_EQ(t, load_relaxed(&device->reported_pages), 2000u);
	set_method(t, "sg");
	scripted_balloon_set_target(device, 5000);
	EXPECT(t, scripted_balloon_reaches(device, 5000, WAIT_NS));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 3000u);
	set_method(t, "pfn");
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, !(device->accepted & BIT(BALLOON_F_SG)));
	device->runs = 0;
	EXPECT(t, scripted_balloon_reaches(device, 5000, WAIT_NS));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 5000u);
	EXPECT_EQ(t, device->runs, 0u);
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, balloon_check());
}

KTEST(balloon_sg, targets_flap_and_no_page_is_lost)
{
	struct scripted_balloon *device = scripted_balloon(t, SG | BIT(BALLOON_F_REPORTING));
	uint64_t owned = balloon_pages();
	uint32_t most = some_pages();
	struct rand rand;

	REQUIRE(t, device);
	ktest_defer(t, method_is_auto_again, t);
	rand_seed(&rand, ktest_seed(t));
	scripted_balloon_plug(device);
	for (int flap = 0; flap < 200; flap++) {
		if (flap % 50 == 0)
			set_method(t, flap % 100 ? "report" : "sg");
		scripted_balloon_set_target(device, (uint32_t)rand_below(&rand, most));
		if (rand_below(&rand, 4) == 0)
			sleep_ns(rand_below(&rand, NS_PER_MS));
		if (rand_below(&rand, 40) == 0)
			EXPECT_OK(t, virtio_reprobe(&device->dev));
		if (rand_below(&rand, 16) == 0)
			EXPECT_OK(t, balloon_check());
	}
	scripted_balloon_set_target(device, most);
	EXPECT(t, scripted_balloon_reaches(device, most, WAIT_NS));
	EXPECT_EQ(t, balloon_pages() - owned, most);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT_EQ(t, device->faults, 0u);
}

#define SCATTERED 4096

/*
 * A ring of one descriptor, a batch of two runs: the first is with a device that does not answer any more and does not
 * reset either. All of the batch stays away from the guest, for nobody knows what the device still does with it.
 */
KTEST(balloon_sg, a_batch_that_was_sent_by_half_is_not_used_before_a_reset)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_SG));
	uint64_t owned = balloon_pages();
	static struct page *scattered[SCATTERED];

	REQUIRE(t, device);
	for (unsigned int i = 0; i < SCATTERED; i++)
		scattered[i] = alloc_pages(GFP_MOVABLE | GFP_OWNER(PAGE_OWNER_TEST), 0);
	device->dev.timeout_ns = 30 * NS_PER_MS;
	device->queue_size = 1;
	scripted_balloon_plug(device);
	for (unsigned int i = 0; i < SCATTERED; i++)
		if (scattered[i] && i % 2)
			free_pages(scattered[i], 0);
	scripted_balloon_fall_silent(device, true, true);
	scripted_balloon_set_target(device, 17);
	EXPECT(t, EVENTUALLY(load_acquire(&device->dev.broken)));
	sleep_ns(100 * NS_PER_MS); /* the worker ends */
	EXPECT(t, virtqueue_free_descriptors(device->dev.queues[0]) == 0);
	EXPECT_EQ(t, balloon_pages() - owned, 17u);
	EXPECT_OK(t, balloon_check());
	scripted_balloon_fall_silent(device, false, false);
	virtio_unregister_device(&device->dev);
	device->dev.transport = NULL;
	EXPECT_EQ(t, balloon_pages(), owned);
	for (unsigned int i = 0; i < SCATTERED; i += 2)
		if (scattered[i])
			free_pages(scattered[i], 0);
}
