/*
 * The memory files: formats as tools parse them, and figures that agree.
 */
#include "kernel/ktest.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/vmstat.h"
#include "tests/unit/mm_fixture.h"

static char buffer[65536];

static const char *read_file(struct ktest *t, const char *path)
{
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	EXPECT_OK(t, vfile_read(path, &text.sink));
	EXPECT(t, !text.cut);
	return buffer;
}

static bool has_line(const char *text, const char *start)
{
	const char *at = strstr(text, start);

	return at && (at == text || at[-1] == '\n');
}

KTEST(memory_files, meminfo_is_as_linux_shows_it)
{
	struct memory_info info;
	char line[64];

	fixture_memory_files(t);
	memory_info_get(&info);
	format(line, sizeof(line), "MemTotal:       %8lu kB\n", info.total * 4);
	EXPECT(t, strstr(read_file(t, "/proc/meminfo"), line) == buffer);
	EXPECT(t, has_line(buffer, "MemFree:        "));
	EXPECT(t, has_line(buffer, "MemAvailable:   "));
}

KTEST(memory_files, buddyinfo_has_a_line_per_zone)
{
	unsigned int lines = 0;

	fixture_memory_files(t);
	read_file(t, "/proc/buddyinfo");
	EXPECT(t, strstr(buffer, "Node 0, zone      DMA ") == buffer);
	for (const char *at = buffer; (at = strchr(at, '\n')); at++)
		lines++;
	EXPECT_EQ(t, lines, memory.nr_zones);
}

KTEST(memory_files, the_others_have_their_landmarks)
{
	fixture_memory_files(t);
	EXPECT(t, strstr(read_file(t, "/proc/pagetypeinfo"), "Page block order: 9\nPages per block:  512\n\n"
							     "Free pages count per migrate type at order  ") == buffer);
	EXPECT(t, has_line(buffer, "Node    0, zone      DMA, type    Unmovable "));
	EXPECT(t, has_line(buffer, "Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic "));
	EXPECT(t, strstr(read_file(t, "/proc/zoneinfo"),
			 "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon ") == buffer);
	EXPECT(t, has_line(buffer, "  pages free     "));
	EXPECT(t, has_line(buffer, "        boost    0\n        min      "));
	EXPECT(t, has_line(read_file(t, "/proc/pageowners"), "free "));
}

KTEST(vmstat, events_and_allocations_are_counted)
{
	uint64_t faults = vm_event_read(VM_EVENT_pgfault), frees = vm_event_read(VM_EVENT_pgfree);
	uint64_t dma = vm_event_read(VM_EVENT_pgalloc_dma);
	struct page *page = alloc_pages(GFP_KERNEL | GFP_DMA | GFP_OWNER(PAGE_OWNER_TEST), 3);
	char line[64];

	REQUIRE(t, page);
	vm_event(pgfault);
	vm_events(pgfault, 41);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_pgfault) - faults, 42u);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_pgalloc_dma) - dma, 8u);
	free_pages(page, 3);
	EXPECT(t, vm_event_read(VM_EVENT_pgfree) - frees >= 8);
	fixture_memory_files(t);
	format(line, sizeof(line), "pgfault %lu\n", faults + 42);
	EXPECT(t, has_line(read_file(t, "/proc/vmstat"), line));
}
