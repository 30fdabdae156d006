/*
 * The balloon against the scripted device. What every test ends with: no page lost, none in two places, no clause
 * broken.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/vmstat.h"

#define WAIT_NS (20 * NS_PER_S)
#define ALL	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_REPORTING) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

static uint64_t balloon_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_BALLOON];
}

static uint64_t free_pages_now(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.free;
}

/* Pages that a test may take without touching the guest's own. */
static uint32_t some_pages(void)
{
	return (uint32_t)MIN(free_pages_now() / 4, (uint64_t)MIB(256) >> PAGE_SHIFT) | 3;
}

static void expect_sound(struct ktest *t, struct scripted_balloon *device)
{
	EXPECT_OK(t, balloon_check());
	EXPECT_EQ(t, device->faults, 0u);
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

static void inflate_and_deflate(struct ktest *t, struct scripted_balloon *device, bool by_numbers)
{
	uint64_t owned = balloon_pages();
	uint32_t pages = some_pages();

	scripted_balloon_plug(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS)); /* was 12345 */
	scripted_balloon_set_target(device, pages);
	EXPECT(t, scripted_balloon_reaches(device, pages, WAIT_NS));
	EXPECT_EQ(t, balloon_pages() - owned, pages);
	EXPECT_EQ(t, device->inflated_pages, by_numbers ? pages : 0u);
	EXPECT_EQ(t, device->reported_pages, by_numbers ? 0u : pages);
	expect_sound(t, device);
	scripted_balloon_set_target(device, pages / 3);
	EXPECT(t, scripted_balloon_reaches(device, pages / 3, WAIT_NS));
	expect_sound(t, device);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT_EQ(t, device->inflated_pages, 0u);
	expect_sound(t, device);
}

/* Waits for a figure that the device counts: the driver's thread gets there when it may run. */
static bool becomes(const uint64_t *figure, uint64_t wanted)
{
	uint64_t deadline = wait_deadline(WAIT_NS);

	while (load_relaxed(figure) != wanted && time_ns() < deadline)
		sleep_ns(NS_PER_MS);
	return load_relaxed(figure) == wanted;
}

KTEST(balloon, inflates_and_deflates_by_page_numbers)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ));

	REQUIRE(t, device);
	inflate_and_deflate(t, device, true);
	EXPECT(t, device->biggest_buffer_pages > 256);
}

KTEST(balloon, inflates_by_reporting_where_that_is_offered)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	device->queue_size = 32;
	inflate_and_deflate(t, device, false);
	EXPECT(t, device->biggest_buffer_pages > 1024);
}

KTEST(balloon, works_on_packed_rings)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL | BIT(VIRTIO_F_RING_PACKED));

	REQUIRE(t, device);
	inflate_and_deflate(t, device, false);
}

KTEST(balloon, works_without_interrupts)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	device->no_interrupts = true;
	inflate_and_deflate(t, device, false);
	EXPECT(t, scripted_balloon_ask_stats(device));
}

/* An interrupt line that was unplugged: the target is found all the same, if later. */
KTEST(balloon, lost_interrupts_only_cost_time)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	device->skips_interrupts = true;
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 5000);
	EXPECT(t, scripted_balloon_reaches(device, 5000, WAIT_NS));
	expect_sound(t, device);
}

/* 5.5.2: with hinting offered but not driven, its queue keeps its number. */
KTEST(balloon, the_hint_queue_keeps_its_place)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL | BIT(BALLOON_F_FREE_PAGE_HINT));

	REQUIRE(t, device);
	inflate_and_deflate(t, device, false);
	EXPECT(t, device->ready[3] && device->ready[4]);
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon, the_method_can_be_chosen)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	ktest_defer(t, method_is_auto_again, t);
	set_method(t, "pfn");
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 3000);
	EXPECT(t, scripted_balloon_reaches(device, 3000, WAIT_NS));
	EXPECT_EQ(t, device->inflated_pages, 3000u);
	set_method(t, "report");
	scripted_balloon_set_target(device, 9000);
	EXPECT(t, scripted_balloon_reaches(device, 9000, WAIT_NS));
	EXPECT_EQ(t, device->inflated_pages, 3000u);
	EXPECT_EQ(t, device->reported_pages, 6000u);
	/* Both kinds are given back the way they were told. */
	scripted_balloon_set_target(device, 1);
	EXPECT(t, scripted_balloon_reaches(device, 1, WAIT_NS));
	EXPECT(t, device->inflated_pages <= 1);
	expect_sound(t, device);
}

/* 5.5.6.1: with MUST_TELL_HOST no page is used before its deflation is acknowledged. */
KTEST(balloon, must_tell_host_waits_for_the_deflate_queue)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL | BIT(BALLOON_F_MUST_TELL_HOST));
	uint64_t owned = balloon_pages();

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, device->accepted & BIT(BALLOON_F_MUST_TELL_HOST));
	scripted_balloon_set_target(device, 2000);
	EXPECT(t, scripted_balloon_reaches(device, 2000, WAIT_NS));
	EXPECT_EQ(t, device->reported_pages, 0u);
	device->hold_back = 60;
	scripted_balloon_set_target(device, 0);
	EXPECT(t, becomes(&device->inflated_pages, 0)); /* told */
	EXPECT_EQ(t, balloon_pages() - owned, 2000u);	/* and not used */
	EXPECT_EQ(t, load_relaxed(&device->actual), 2000u);
	scripted_balloon_answer(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, balloon_pages(), owned);
	expect_sound(t, device);
}

/* 5.5.6.1: nothing is counted in `actual` nor given back before the device has acknowledged its inflation. */
KTEST(balloon, inflation_counts_only_when_acknowledged)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	device->hold_back = 60;
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 4096);
	EXPECT(t, becomes(&device->reported_pages, 4096));
	EXPECT_EQ(t, load_relaxed(&device->actual), 0u);
	scripted_balloon_set_target(device, 0);
	sleep_ns(5 * NS_PER_MS);
	EXPECT_OK(t, balloon_check());
	scripted_balloon_hold_back(device, 0);
	scripted_balloon_answer(device);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	sleep_ns(5 * NS_PER_MS);
	expect_sound(t, device);
}

KTEST(balloon, targets_flap_and_no_page_is_lost)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t owned = balloon_pages();
	uint32_t most = some_pages();
	struct rand rand;

	REQUIRE(t, device);
	ktest_defer(t, method_is_auto_again, t);
	rand_seed(&rand, ktest_seed(t));
	scripted_balloon_plug(device);
	for (int flap = 0; flap < 300; flap++) {
		if (flap % 50 == 0)
			set_method(t, flap % 100 ? "pfn" : "report");
		scripted_balloon_set_target(device, (uint32_t)rand_below(&rand, most));
		if (rand_below(&rand, 4) == 0)
			sleep_ns(rand_below(&rand, NS_PER_MS));
		if (rand_below(&rand, 16) == 0)
			EXPECT_OK(t, balloon_check());
	}
	scripted_balloon_set_target(device, most);
	EXPECT(t, scripted_balloon_reaches(device, most, WAIT_NS));
	EXPECT_EQ(t, balloon_pages() - owned, most);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, balloon_pages(), owned);
	expect_sound(t, device);
}

/* 5.5.6.3 */
KTEST(balloon, one_statistics_buffer_with_true_values)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	struct memory_info info;

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT_EQ(t, device->stats_buffers, 1u);
	EXPECT_EQ(t, device->stats_bytes, 160u);
	memory_info_get(&info);
	EXPECT_EQ(t, scripted_balloon_stat(device, 5), info.total << PAGE_SHIFT);
	vm_event(pgmajfault);
	vm_events(pgfault, 3);
	EXPECT(t, scripted_balloon_ask_stats(device));
	EXPECT_EQ(t, scripted_balloon_stat(device, 2), vm_event_read(VM_EVENT_pgmajfault));
	EXPECT_EQ(t, scripted_balloon_stat(device, 3),
		  vm_event_read(VM_EVENT_pgfault) - vm_event_read(VM_EVENT_pgmajfault));
	for (uint16_t tag = 0; tag < 16; tag++) /* the same subset every time */
		EXPECT_EQ(t, device->stats[10 * tag], tag);
	EXPECT(t, scripted_balloon_stat(device, 4) <= info.total << PAGE_SHIFT);
	expect_sound(t, device);
}

KTEST(balloon, statistics_are_answered_while_inflating_for_ever)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t kept;

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, UINT32_MAX); /* more than there can be */
	for (int i = 0; i < 3; i++)
		EXPECT(t, scripted_balloon_ask_stats(device));
	sleep_ns(100 * NS_PER_MS);
	kept = free_pages_now();
	EXPECT(t, kept + 64 >= memory_reserve_pages() + balloon_reserve_pages());
	EXPECT_OK(t, balloon_check());
	EXPECT(t, scripted_balloon_ask_stats(device));
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	expect_sound(t, device);
}

/* A device that takes buffers and never answers: reset, one line, and all pages are the guest's again. */
KTEST(balloon, a_silent_device_is_given_up_and_its_pages_come_back)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t owned = balloon_pages(), deadline;

	REQUIRE(t, device);
	device->dev.timeout_ns = 30 * NS_PER_MS;
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 1000);
	EXPECT(t, scripted_balloon_reaches(device, 1000, WAIT_NS));
	scripted_balloon_fall_silent(device, true, false);
	scripted_balloon_set_target(device, 3000);
	deadline = wait_deadline(WAIT_NS);
	while (balloon_pages() != owned && time_ns() < deadline)
		sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT(t, load_relaxed(&device->dev.broken));
	EXPECT_OK(t, balloon_check());
	/* It recovers when it is probed again. */
	scripted_balloon_fall_silent(device, false, false);
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, scripted_balloon_reaches(device, 3000, WAIT_NS));
	expect_sound(t, device);
}

KTEST(balloon, a_lying_device_is_given_up_and_its_pages_come_back)
{
	for (int report = 0; report < 2; report++) {
		struct scripted_balloon *device = scripted_balloon(t, report ? ALL : BIT(BALLOON_F_STATS_VQ));
		uint64_t owned = balloon_pages(), deadline = wait_deadline(WAIT_NS);

		REQUIRE(t, device);
		scripted_balloon_plug(device);
		scripted_balloon_lie(device);
		scripted_balloon_set_target(device, 5000);
		while (!load_relaxed(&device->dev.broken) && time_ns() < deadline)
			sleep_ns(NS_PER_MS);
		while (balloon_pages() != owned && time_ns() < deadline)
			sleep_ns(NS_PER_MS);
		EXPECT(t, load_relaxed(&device->dev.broken));
		EXPECT_EQ(t, balloon_pages(), owned);
		EXPECT_OK(t, balloon_check());
	}
}

/* 2.1.2: DEVICE_NEEDS_RESET with a configuration interrupt. */
KTEST(balloon, a_device_that_needs_a_reset_is_given_up)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t owned = balloon_pages(), deadline = wait_deadline(WAIT_NS);

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 5000);
	EXPECT(t, scripted_balloon_reaches(device, 5000, WAIT_NS));
	atomic_fetch_or(&device->status, VIRTIO_STATUS_NEEDS_RESET);
	virtio_config_interrupt(&device->dev);
	while (balloon_pages() != owned && time_ns() < deadline)
		sleep_ns(NS_PER_MS);
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT(t, load_relaxed(&device->dev.broken));
}

KTEST(balloon, reset_and_probe_again_in_the_middle)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t owned = balloon_pages();
	uint32_t pages = some_pages();

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	for (int round = 0; round < 5; round++) {
		scripted_balloon_set_target(device, pages);
		sleep_ns(round * NS_PER_MS / 4);
		EXPECT_OK(t, virtio_reprobe(&device->dev));
		EXPECT(t, scripted_balloon_reaches(device, pages, WAIT_NS));
		EXPECT_EQ(t, balloon_pages() - owned, pages);
		EXPECT_OK(t, balloon_check());
	}
	virtio_unregister_device(&device->dev);
	device->dev.transport = NULL;
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT_EQ(t, device->faults, 0u);
}

static uint64_t counted_pages(void)
{
	return vm_event_read(VM_EVENT_balloon_inflate) - vm_event_read(VM_EVENT_balloon_deflate);
}

/* What was on its way back is the guest's again without an answer: it counts as deflated all the same. */
KTEST(balloon, a_reset_counts_what_was_being_deflated)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL | BIT(BALLOON_F_MUST_TELL_HOST));
	uint64_t owned = balloon_pages(), counted = counted_pages();

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 2000);
	EXPECT(t, scripted_balloon_reaches(device, 2000, WAIT_NS));
	EXPECT_EQ(t, counted_pages() - counted, 2000u);
	scripted_balloon_hold_back(device, 60);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, becomes(&device->inflated_pages, 0));
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT_EQ(t, counted_pages(), counted);
	expect_sound(t, device);
}
