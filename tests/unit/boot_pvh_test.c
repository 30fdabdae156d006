/*
 * PVH start info, sound and broken.
 */
#include "kernel/ktest.h"
#include "tests/unit/boot_fixture.h"

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t nr_ranges, reserved;
};

struct range {
	uint64_t address, bytes;
	uint32_t type, reserved;
};

static const struct range pc_map[] = {{0, 0x9fc00, 1},
				      {0x9fc00, 0x400, 2},
				      {0x100000, 0x7ee0000, 1},
				      {0x7fe0000, 0x20000, 3},
				      {0xfffc0000, 0x40000, 2}};

static struct boot_info info;
static struct fake_memory memory;

/* Text, map, then the start info, which is returned: nothing is behind it. */
static struct start_info *build(const char *cmdline, size_t cmdline_bytes, uint64_t *phys)
{
	struct start_info start = {.magic = 0x336ec578, .version = 1, .rsdp = 0xf5270, .nr_ranges = ARRAY_SIZE(pc_map)};

	memset(&info, 0, sizeof(info));
	memory.phys = 0x1000;
	memory.bytes = 0;
	start.memory_map = fake_append(&memory, pc_map, sizeof(pc_map));
	start.cmdline = fake_append(&memory, cmdline, cmdline_bytes);
	memory.bytes = ALIGN_UP(memory.bytes, 4096ul);
	*phys = fake_append(&memory, &start, sizeof(start));
	return (struct start_info *)(memory.data + (*phys - memory.phys));
}

KTEST(boot_pvh, a_start_info_is_read_whole)
{
	uint64_t phys;

	build("run=help", 9, &phys);
	REQUIRE_OK(t, pvh_parse(&info, phys, fake_map, &memory));
	EXPECT_STR(t, info.source, "pvh");
	EXPECT_STR(t, info.cmdline, "run=help");
	EXPECT_STR(t, info.complaints, "");
	EXPECT_EQ(t, info.rsdp, 0xf5270u);
	REQUIRE(t, info.nr_ranges == ARRAY_SIZE(pc_map));
	EXPECT_EQ(t, info.ranges[2].start, 0x100000u);
	EXPECT_EQ(t, info.ranges[2].end, 0x7fe0000u);
	EXPECT_EQ(t, info.ranges[2].type, BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, info.ranges[3].type, BOOT_MEMORY_ACPI);
	EXPECT_EQ(t, info.ranges[4].type, BOOT_MEMORY_RESERVED);
}

KTEST(boot_pvh, nothing_is_read_that_is_not_there)
{
	uint64_t phys;

	build("", 1, &phys);
	EXPECT_EQ(t, pvh_parse(&info, phys + 1, fake_map, &memory), -EINVAL);
	EXPECT(t, boot_complained(&info, "cannot be read"));
	EXPECT_EQ(t, pvh_parse(&info, UINT64_MAX, fake_map, &memory), -EINVAL);
}

KTEST(boot_pvh, a_wrong_magic_or_version_is_refused)
{
	struct start_info *start;
	uint64_t phys;

	start = build("", 1, &phys);
	start->magic++;
	EXPECT_EQ(t, pvh_parse(&info, phys, fake_map, &memory), -EINVAL);
	EXPECT(t, boot_complained(&info, "magic"));
	start = build("", 1, &phys);
	start->version = 0;
	EXPECT_EQ(t, pvh_parse(&info, phys, fake_map, &memory), -EINVAL);
	EXPECT(t, boot_complained(&info, "version 0"));
	EXPECT_EQ(t, info.nr_ranges, 0u);
}

KTEST(boot_pvh, a_truncated_map_gives_what_is_readable)
{
	struct start_info *start;
	uint64_t phys;

	start = build("", 1, &phys);
	start->nr_ranges = 4000000000u;
	/* The last two whole entries before the end of what is readable. */
	start->memory_map = phys + sizeof(*start) - 2 * sizeof(struct range) - 1;
	EXPECT_OK(t, pvh_parse(&info, phys, fake_map, &memory));
	EXPECT(t, boot_complained(&info, "only 4096 are read"));
	EXPECT(t, boot_complained(&info, "ends after 2 of 4000000000"));
}

KTEST(boot_pvh, a_long_command_line_is_cut_with_a_complaint)
{
	static char text[6000];
	uint64_t phys;

	memset(text, 'x', sizeof(text) - 1);
	build(text, sizeof(text), &phys);
	EXPECT_OK(t, pvh_parse(&info, phys, fake_map, &memory));
	EXPECT_EQ(t, strlen(info.cmdline), BOOT_CMDLINE_SIZE - 1u);
	EXPECT(t, boot_complained(&info, "command line longer than 4095"));
}

KTEST(boot_pvh, a_command_line_may_cross_pages_and_fill_the_buffer)
{
	static char text[BOOT_CMDLINE_SIZE];
	uint64_t phys;

	memset(text, 'y', sizeof(text) - 1);
	build(text, sizeof(text), &phys);
	EXPECT_OK(t, pvh_parse(&info, phys, fake_map, &memory));
	EXPECT_EQ(t, strlen(info.cmdline), BOOT_CMDLINE_SIZE - 1u);
	EXPECT_STR(t, info.complaints, "");
}

KTEST(boot_pvh, an_unreadable_command_line_is_complained_about)
{
	struct start_info *start;
	uint64_t phys;

	start = build("", 1, &phys);
	start->cmdline = 1ull << 40;
	EXPECT_OK(t, pvh_parse(&info, phys, fake_map, &memory));
	EXPECT_STR(t, info.cmdline, "");
	EXPECT(t, boot_complained(&info, "command line at 0x10000000000 cannot be read"));
	EXPECT_EQ(t, info.nr_ranges, ARRAY_SIZE(pc_map));
}
