/*
 * The balloon when memory is short: each allocation of probing and inflating fails once, and then all of them.
 */
#include "tests/host/host.h"
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"

#define WAIT_NS (20 * NS_PER_S)
#define ALL	(BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_REPORTING) | BIT(VIRTIO_F_INDIRECT_DESC))

static uint64_t owned_pages(enum page_owner owner)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[owner];
}

static void inject_nothing(void *argument UNUSED)
{
	host_fail_allocation(0);
}

KTEST(balloon_memory, every_allocation_of_probing_may_fail)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	uint64_t live, driver_pages = owned_pages(PAGE_OWNER_DRIVER);
	unsigned int failed = 0;

	REQUIRE(t, device);
	ktest_defer(t, inject_nothing, NULL);
	live = host_live_allocations();
	for (uint64_t nth = 1; nth < 60; nth++) {
		host_fail_allocation(nth);
		device->dev.broken = false;
		scripted_balloon_plug(device);
		failed += device->dev.broken;
		host_fail_allocation(0);
		virtio_unregister_device(&device->dev);
		EXPECT_EQ(t, host_live_allocations(), live);
		EXPECT_EQ(t, owned_pages(PAGE_OWNER_DRIVER), driver_pages);
	}
	device->dev.transport = NULL;
	EXPECT(t, failed >= 10 && failed < 59);
}

KTEST(balloon_memory, every_allocation_of_inflating_may_fail)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);

	REQUIRE(t, device);
	ktest_defer(t, inject_nothing, NULL);
	scripted_balloon_plug(device);
	for (uint32_t nth = 1; nth < 5; nth++) {
		host_fail_allocation(nth);
		scripted_balloon_set_target(device, nth * 20000);
		EXPECT(t, scripted_balloon_reaches(device, nth * 20000, WAIT_NS));
		EXPECT_OK(t, balloon_check());
	}
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, device->faults, 0u);
}

/* Where the bit for a page could not be set the page was taken and the host never told. */
KTEST(balloon_memory, source_fault_4_a_page_that_cannot_be_recorded_stays_with_the_guest)
{
	struct scripted_balloon *device = scripted_balloon(t, BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_SG));
	uint64_t owned = owned_pages(PAGE_OWNER_BALLOON);
	struct sparse_bitmap runs;

	REQUIRE(t, device);
	ktest_defer(t, inject_nothing, NULL);
	balloon_runs_init(&runs);
	for (uint64_t nth = 1; nth <= 2; nth++) {
		host_fail_allocation(nth);
		EXPECT_EQ(t, balloon_runs_record(&runs, 1000, 10), -ENOMEM);
		EXPECT_EQ(t, runs.nr_bits, 0u);
	}
	sparse_bitmap_destroy(&runs);

	scripted_balloon_plug(device);
	for (uint32_t nth = 1; nth < 12; nth++) {
		host_fail_allocation(nth);
		scripted_balloon_set_target(device, nth * 5000);
		EXPECT(t, scripted_balloon_reaches(device, nth * 5000, WAIT_NS));
		EXPECT_EQ(t, device->inflated_pages, nth * 5000);
		EXPECT_EQ(t, owned_pages(PAGE_OWNER_BALLOON) - owned, nth * 5000);
	}
	/* Giving back needs no memory: it works with every allocation failing that could be tried. */
	host_fail_allocation(1);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, host_fail_allocation(0), 0u);
	EXPECT_EQ(t, device->inflated_pages, 0u);
	EXPECT_EQ(t, device->faults, 0u);
}

struct block {
	struct block *next;
};

static struct block *take_all(void)
{
	struct block *first = NULL;
	struct page *page;

	while ((page = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), 0)) != NULL) {
		struct block *block = page_address(page);

		block->next = first;
		first = block;
	}
	return first;
}

static void give_back(void *blocks)
{
	struct block *block = blocks;

	while (block) {
		struct block *next = block->next;

		free_pages(virt_to_page(block), 0);
		block = next;
	}
}

KTEST(balloon_memory, with_no_page_left_probing_fails_and_can_be_repeated)
{
	struct scripted_balloon *device = scripted_balloon(t, ALL);
	struct block *blocks;

	REQUIRE(t, device);
	blocks = take_all();
	scripted_balloon_plug(device);
	EXPECT(t, device->dev.broken);
	give_back(blocks);
	EXPECT_OK(t, virtio_reprobe(&device->dev));
	EXPECT(t, !device->dev.broken);
	scripted_balloon_set_target(device, 1000);
	EXPECT(t, scripted_balloon_reaches(device, 1000, WAIT_NS));
}
