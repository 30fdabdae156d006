/*
 * The floor's workload against the scripted device: what is asked for arrives whole, and the balloon has its device
 * back.
 */
#include "tests/unit/scripted_balloon.h"

#include "kernel/shell.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define F_STATS	 (1ull << 1)
#define F_HINT	 (1ull << 3)
#define F_REPORT (1ull << 5)

static int run(const char *line, char *shown, size_t bytes)
{
	struct text text;

	text_init(&text, shown, bytes);
	return shell_run_line(&text.sink, line);
}

KTEST(balloon_floor, prepared_blocks_arrive_and_the_balloon_gets_its_device_back)
{
	struct scripted_balloon *device = scripted_balloon(t, F_STATS | F_HINT | F_REPORT);
	uint64_t before;
	struct memory_info info;
	char shown[128];

	REQUIRE(t, device);
	scripted_balloon_plug(device);
	memory_info_get(&info);
	before = info.by_owner[PAGE_OWNER_WORKLOAD];
	EXPECT_EQ(t, run("run balloon_floor size=8M", shown, sizeof(shown)), 0);
	EXPECT(t, strstr(shown, "balloon_floor: 8 MiB in ") != NULL);
	memory_info_get(&info);
	EXPECT_EQ(t, info.by_owner[PAGE_OWNER_WORKLOAD], before);
	EXPECT(t, device->dev.driver && strcmp(device->dev.driver->name, "virtio_balloon") == 0);
	if (ktest_hosted()) /* elsewhere the machine's own balloon is found first */
		EXPECT_EQ(t, device->reported_pages, MIB(8) >> PAGE_SHIFT);
	EXPECT_EQ(t, device->faults, 0u);
}

KTEST(balloon_floor, a_device_without_the_queue_is_left_as_it_was)
{
	struct scripted_balloon *device = scripted_balloon(t, F_STATS);
	char shown[128];

	if (!ktest_hosted()) {
		ktest_skip(t, "the machine's own balloon would be found first");
		return;
	}
	REQUIRE(t, device);
	scripted_balloon_plug(device);
	EXPECT(t, run("run balloon_floor size=8M", shown, sizeof(shown)) != 0);
	EXPECT(t, device->dev.driver && strcmp(device->dev.driver->name, "virtio_balloon") == 0);
	EXPECT_EQ(t, device->faults, 0u);
}
