/*
 * Free page hinting through the scripted balloon's reporting queue, over the machine's own memory. Skipped where the
 * machine has a balloon that does this: then that one is seen to do it from outside.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "kernel/vfile.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/hinting_internal.h"

#define WAIT_NS (20 * NS_PER_S)
#define ALL	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_REPORTING) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

static void untrack(void *argument)
{
	struct ktest *t = argument;

	store_relaxed(&page_hinting.delay_ns, 200 * NS_PER_MS);
	EXPECT_OK(t, hinting_configure(&page_hinting, NULL, PAGE_HINTING_MIN_ORDER));
	EXPECT_OK(t, memory_check());
}

/* Plugged, and hinting through it; NULL if the machine's own balloon is the backend. */
static struct scripted_balloon *hinting_balloon(struct ktest *t, uint64_t features)
{
	struct scripted_balloon *device;

	if (load_relaxed(&page_hinting.cb)) {
		ktest_skip(t, "the machine's balloon is the backend");
		return NULL;
	}
	device = scripted_balloon(t, features);
	if (!device)
		return NULL;
	device->queue_size = 32;
	store_relaxed(&page_hinting.delay_ns, NS_PER_MS);
	scripted_balloon_plug(device);
	ktest_defer(t, untrack, t);
	return device;
}

static void track(struct ktest *t, const struct hinting_tracker *tracker)
{
	EXPECT_OK(t, hinting_configure(&page_hinting, tracker, PAGE_HINTING_MIN_ORDER));
}

static uint64_t whole_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += zone_whole_pages(zone);
	return pages;
}

static bool reaches(const uint64_t *figure, uint64_t wanted)
{
	uint64_t deadline = wait_deadline(WAIT_NS);

	while (load_relaxed(figure) < wanted && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return load_relaxed(figure) >= wanted;
}

KTEST(balloon_hinting, free_pages_are_reported_on_both_nodes)
{
	struct scripted_balloon *device = hinting_balloon(t, ALL);
	uint64_t whole = whole_pages();
	struct page *pages[2] = {NULL, NULL};

	if (!device)
		return;
	track(t, &hinting_tracker_freelist);
	/* A block or two are in use now and then. */
	EXPECT(t, reaches(&device->reported_pages, whole * 9 / 10));
	for (unsigned int node = 0; node < memory.nr_nodes; node++) {
		uint64_t before = load_relaxed(&device->reported_pages);

		pages[node] = alloc_pages_node((int)node, GFP_USER | GFP_THISNODE, MAX_ORDER);
		REQUIRE(t, pages[node]);
		free_pages(pages[node], MAX_ORDER);
		EXPECT(t, reaches(&device->reported_pages, before + (1u << MAX_ORDER)));
	}
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, balloon_check());
	EXPECT_OK(t, memory_check());
}

KTEST(balloon_hinting, the_queue_serves_inflation_and_hinting)
{
	struct scripted_balloon *device = hinting_balloon(t, ALL);
	uint32_t pages = (uint32_t)(whole_pages() / 4);
	struct rand rand;

	if (!device)
		return;
	track(t, &hinting_tracker_bitmap);
	rand_seed(&rand, ktest_seed(t));
	for (unsigned int round = 0; round < 40; round++) {
		uint32_t target = (uint32_t)rand_below(&rand, pages);

		scripted_balloon_set_target(device, target);
		EXPECT(t, scripted_balloon_reaches(device, target, WAIT_NS));
	}
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT(t, load_relaxed(&page_hinting.counters.reported_blocks) > 0);
	EXPECT_EQ(t, device->faults, 0u);
	EXPECT_OK(t, balloon_check());
	EXPECT_OK(t, memory_check());
}

/* The host really drops what it is told, page by page. */
KTEST(balloon_hinting, no_pattern_is_lost_while_memory_churns)
{
	struct scripted_balloon *device = hinting_balloon(t, ALL);

	if (!device)
		return;
	for (unsigned int at = 0; at < 2; at++) {
		uint64_t before = load_relaxed(&device->reported_pages);
		char output[256];
		struct text out;

		track(t, at ? &hinting_tracker_freelist : &hinting_tracker_bitmap);
		text_init(&out, output, sizeof(output));
		EXPECT_EQ(t, shell_run_line(&out.sink, "run patterns seconds=1 size=128M threads=3"), 0);
		EXPECT(t, load_relaxed(&device->reported_pages) > before);
	}
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_hinting, trackers_change_at_any_moment)
{
	struct scripted_balloon *device = hinting_balloon(t, ALL);

	if (!device)
		return;
	for (unsigned int round = 0; round < 60; round++) {
		track(t, round % 3 == 0 ? NULL : round % 3 == 1 ? &hinting_tracker_bitmap : &hinting_tracker_freelist);
		if (round % 7 == 0)
			sleep_ns(2 * NS_PER_MS);
		if (round % 3 == 0)
			EXPECT_OK(t, memory_check());
	}
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_hinting, a_device_that_breaks_gives_its_pages_back)
{
	struct scripted_balloon *device = hinting_balloon(t, ALL);
	uint64_t lost = load_relaxed(&page_hinting.counters.lost_pages);

	if (!device)
		return;
	scripted_balloon_lie(device);
	track(t, &hinting_tracker_bitmap);
	while (load_acquire(&page_hinting.cb))
		sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, load_relaxed(&page_hinting.away_pages), 0u);
	EXPECT_EQ(t, load_relaxed(&page_hinting.counters.lost_pages), lost);
	EXPECT(t, load_relaxed(&device->reported_pages) > 0);
	EXPECT_OK(t, memory_check());
}

/* Once FAILED was written behind the worker's reset, which then seemed not to succeed. */
KTEST(balloon_hinting, breaking_a_device_does_not_cross_its_reset)
{
	uint64_t lost = load_relaxed(&page_hinting.counters.lost_pages);

	for (unsigned int round = 0; round < 20; round++) {
		struct scripted_balloon *device = hinting_balloon(t, ALL);

		if (!device)
			return;
		scripted_balloon_fall_silent(device, true, false);
		track(t, &hinting_tracker_bitmap);
		EXPECT(t, reaches(&page_hinting.away_pages, 1));
		virtio_device_break(&device->dev, "the test says so");
		while (load_acquire(&page_hinting.cb))
			sleep_ns(NS_PER_MS);
		track(t, NULL);
	}
	EXPECT_EQ(t, load_relaxed(&page_hinting.counters.lost_pages), lost);
	EXPECT_OK(t, memory_check());
}

static void set_poison(struct ktest *t, const char *value)
{
	int error = balloon_init(); /* in the guest the files are there already */

	EXPECT(t, error == 0 || error == -EEXIST);
	EXPECT_OK(t, vfile_write("/sys/module/virtio_balloon/parameters/poison", value, strlen(value)));
}

KTEST(balloon_hinting, useless_with_a_poison_in_the_way)
{
	struct scripted_balloon *device;
	uint64_t before;

	if (load_relaxed(&page_hinting.cb)) {
		ktest_skip(t, "the machine's balloon is the backend");
		return;
	}
	before = load_relaxed(&page_hinting.counters.batches);
	device = scripted_balloon(t, ALL | BIT(BALLOON_F_PAGE_POISON));
	REQUIRE(t, device);
	set_poison(t, "170");
	scripted_balloon_plug(device);
	set_poison(t, "-1");
	EXPECT_EQ(t, device->poison, 0xaau);
	track(t, &hinting_tracker_bitmap);
	EXPECT(t, !load_relaxed(&page_hinting.cb));
	EXPECT_EQ(t, load_relaxed(&page_hinting.counters.batches), before);
	untrack(t);
}
