/*
 * DEFLATE_ON_OOM and PAGE_POISON against the scripted device.
 */
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define WAIT_NS (20 * NS_PER_S)
#define STATS	BIT(BALLOON_F_STATS_VQ)
#define ON_OOM	BIT(BALLOON_F_DEFLATE_ON_OOM)
#define PAGES	9001u

static const uint64_t methods[] = {STATS, STATS | BIT(BALLOON_F_SG), STATS | BIT(BALLOON_F_REPORTING)};

static uint64_t balloon_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_BALLOON];
}

static void unplug(struct scripted_balloon *device)
{
	virtio_unregister_device(&device->dev);
	device->dev.transport = NULL;
}

KTEST(balloon_oom, gives_back_when_memory_is_out_and_comes_back_for_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct scripted_balloon *device = scripted_balloon(t, methods[i] | ON_OOM);
		uint64_t owned = balloon_pages(), freed;

		REQUIRE(t, device);
		scripted_balloon_plug(device);
		EXPECT(t, device->accepted & ON_OOM);
		scripted_balloon_set_target(device, PAGES);
		EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
		freed = oom_give_back(0);
		EXPECT(t, freed >= 256 && freed <= PAGES);
		EXPECT_OK(t, balloon_check());
		/* There is enough in truth, so after a while it is back where the host wants it. */
		EXPECT(t, scripted_balloon_reaches(device, PAGES - (uint32_t)freed, WAIT_NS));
		EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
		EXPECT_EQ(t, balloon_pages() - owned, PAGES);
		EXPECT_EQ(t, device->faults, 0u);
		unplug(device);
	}
}

/* All that is held, and then nothing: whoever asks gets an answer at once. */
KTEST(balloon_oom, an_empty_balloon_has_nothing_to_give)
{
	struct scripted_balloon *device = scripted_balloon(t, STATS | ON_OOM);
	uint64_t start;

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, 3);
	EXPECT(t, scripted_balloon_reaches(device, 3, WAIT_NS));
	EXPECT_EQ(t, oom_give_back(0), 3u);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	start = time_ns();
	EXPECT_EQ(t, oom_give_back(0), 0u);
	EXPECT(t, time_ns() - start < 2 * NS_PER_S); /* not the time-out */
	EXPECT_OK(t, balloon_check());
}

KTEST(balloon_oom, without_the_feature_it_keeps_what_it_has)
{
	struct scripted_balloon *device = scripted_balloon(t, STATS);

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, PAGES);
	EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
	(void)!oom_give_back(0);
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), PAGES);
}

/* With MUST_TELL_HOST it is told before the pages are used, and until it has answered nothing was given. */
KTEST(balloon_oom, a_host_that_must_be_told_is_waited_for)
{
	struct scripted_balloon *device = scripted_balloon(t, STATS | ON_OOM | BIT(BALLOON_F_MUST_TELL_HOST));
	uint64_t owned = balloon_pages();

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	scripted_balloon_set_target(device, PAGES);
	EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
	scripted_balloon_hold_back(device, 60);
	EXPECT_EQ(t, oom_give_back(0), 0u); /* it stopped waiting */
	EXPECT(t, load_relaxed(&device->inflated_pages) < PAGES);
	EXPECT(t, load_relaxed(&device->inflated_pages) >= PAGES - 256 - (1u << MAX_ORDER)); /* no more than asked */
	EXPECT_EQ(t, balloon_pages() - owned, PAGES);
	scripted_balloon_hold_back(device, 0);
	scripted_balloon_answer(device);
	scripted_balloon_set_target(device, 0);
	EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
	EXPECT_EQ(t, balloon_pages(), owned);
	EXPECT_EQ(t, device->faults, 0u);
}

struct asking {
	bool stop;
	uint64_t given;
};

static int ask_again_and_again(void *argument)
{
	struct asking *asking = argument;

	while (!load_acquire(&asking->stop)) {
		asking->given += oom_give_back(0);
		sleep_ns(NS_PER_MS / 2);
	}
	return 0;
}

KTEST(balloon_oom, in_the_middle_of_changing_targets_and_resets)
{
	struct scripted_balloon *device = scripted_balloon(t, STATS | ON_OOM | BIT(BALLOON_F_SG));
	struct asking asking = {0};
	uint64_t owned = balloon_pages();
	struct thread *thread;

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	thread = thread_spawn("asks", ask_again_and_again, &asking);
	REQUIRE(t, !IS_ERR(thread));
	for (uint32_t flap = 0; flap < 100; flap++) {
		scripted_balloon_set_target(device, flap * 7919 % PAGES);
		sleep_ns(NS_PER_MS / 2);
		if (flap % 20 == 19)
			EXPECT_OK(t, virtio_reprobe(&device->dev));
		EXPECT_OK(t, balloon_check());
	}
	store_release(&asking.stop, true);
	EXPECT_EQ(t, thread_join(thread), 0);
	EXPECT(t, asking.given > 0);
	scripted_balloon_set_target(device, PAGES);
	EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
	EXPECT_EQ(t, balloon_pages() - owned, PAGES);
	EXPECT_EQ(t, device->faults, 0u);
	unplug(device);
	EXPECT_EQ(t, balloon_pages(), owned);
}

/* ---- PAGE_POISON ---- */

static void set_poison(struct ktest *t, const char *value)
{
	int error = balloon_init(); /* in the guest the files are there already */

	EXPECT(t, error == 0 || error == -EEXIST);
	EXPECT_OK(t, vfile_write("/sys/module/virtio_balloon/parameters/poison", value, strlen(value)));
}

static void no_poison(void *argument)
{
	set_poison(argument, "-1");
}

static bool holds(uint64_t pfn, uint32_t value)
{
	const uint32_t *word = phys_to_virt(pfn << PAGE_SHIFT);

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		if (word[i] != value)
			return false;
	return true;
}

/* Some pages that are in the balloon now. */
static unsigned int remember(const struct scripted_balloon *device, uint64_t *pfns, unsigned int most)
{
	unsigned int count = 0;

	for (uint64_t pfn = 0; pfn < 1ull << 24 && count < most; pfn++)
		if (device->inflated[pfn / 64] >> pfn % 64 & 1)
			pfns[count++] = pfn;
	return count;
}

/* 5.5.6.6.1: written before DRIVER_OK (the device notes it if not); what comes back is filled with it. */
KTEST(balloon_poison, deflated_pages_hold_the_poison)
{
	for (size_t i = 0; i < 2; i++) {
		uint64_t features = methods[i] | BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_REPORTING);
		struct scripted_balloon *device = scripted_balloon(t, features);
		unsigned int count, poisoned = 0;
		static uint64_t pfns[512];

		REQUIRE(t, device);
		ktest_defer(t, no_poison, t);
		set_poison(t, "0x600dcafe");
		scripted_balloon_plug(device);
		EXPECT_EQ(t, device->poison, 0x600dcafeu);
		scripted_balloon_set_target(device, PAGES);
		EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
		EXPECT_EQ(t, load_relaxed(&device->reported_pages), 0u); /* a device may skip those */
		count = remember(device, pfns, ARRAY_SIZE(pfns));
		EXPECT_EQ(t, count, ARRAY_SIZE(pfns));
		memset(phys_to_virt(pfns[7] << PAGE_SHIFT), 0xdd, PAGE_SIZE);
		scripted_balloon_set_target(device, 0);
		EXPECT(t, scripted_balloon_reaches(device, 0, WAIT_NS));
		for (unsigned int at = 0; at < count; at++)
			poisoned += holds(pfns[at], 0x600dcafe);
		/* All but the few that somebody has taken and written to since. */
		EXPECT(t, poisoned > count * 3 / 4);
		EXPECT_EQ(t, device->faults, 0u);
		unplug(device);
	}
}

/* With 0 there is nothing that dropping a page could lose: reporting is used. */
KTEST(balloon_poison, reporting_is_used_if_the_poison_is_zero)
{
	struct scripted_balloon *device =
		scripted_balloon(t, STATS | BIT(BALLOON_F_PAGE_POISON) | BIT(BALLOON_F_REPORTING));

	REQUIRE(t, device);
	ktest_defer(t, no_poison, t);
	set_poison(t, "0");
	scripted_balloon_plug(device);
	EXPECT(t, device->accepted & BIT(BALLOON_F_PAGE_POISON));
	scripted_balloon_set_target(device, PAGES);
	EXPECT(t, scripted_balloon_reaches(device, PAGES, WAIT_NS));
	EXPECT_EQ(t, load_relaxed(&device->inflated_pages), 0u);
	EXPECT(t, load_relaxed(&device->reported_pages) >= PAGES);
	EXPECT_EQ(t, device->faults, 0u);
}
