/*
 * boot_info: adding, complaining, and making sound.
 */
#include "kernel/boot_info.h"
#include "kernel/ktest.h"
#include "lib/rand.h"
#include "lib/string.h"

static struct boot_info info;

static void begin(void)
{
	memset(&info, 0, sizeof(info));
}

static bool complained(const char *about)
{
	return strstr(info.complaints, about) != NULL;
}

/* The type at an address after sanitising, or -1. */
static int type_at(uint64_t address)
{
	for (size_t i = 0; i < info.nr_ranges; i++)
		if (address >= info.ranges[i].start && address < info.ranges[i].end)
			return (int)info.ranges[i].type;
	return -1;
}

KTEST(boot_info, ranges_are_sorted_and_neighbours_merged)
{
	begin();
	boot_info_add_range(&info, MIB(4), MIB(4), BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(2), MIB(2), BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(1), MIB(1), BOOT_MEMORY_RESERVED);
	EXPECT_OK(t, boot_info_sanitise(&info));
	REQUIRE(t, info.nr_ranges == 2);
	EXPECT_EQ(t, info.ranges[0].start, MIB(1));
	EXPECT_EQ(t, info.ranges[1].start, MIB(2));
	EXPECT_EQ(t, info.ranges[1].end, MIB(8));
	EXPECT_STR(t, info.complaints, "");
	EXPECT_EQ(t, boot_info_usable_bytes(&info), MIB(6));
}

KTEST(boot_info, the_less_usable_type_wins)
{
	begin();
	boot_info_add_range(&info, MIB(2), MIB(8), BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(4), MIB(1), BOOT_MEMORY_ACPI);
	boot_info_add_range(&info, MIB(4), MIB(2), BOOT_MEMORY_BOOT_SERVICES);
	boot_info_add_range(&info, MIB(9), MIB(3), BOOT_MEMORY_BAD);
	EXPECT_OK(t, boot_info_sanitise(&info));
	EXPECT_EQ(t, type_at(MIB(3)), BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, type_at(MIB(4)), BOOT_MEMORY_ACPI);
	EXPECT_EQ(t, type_at(MIB(5)), BOOT_MEMORY_BOOT_SERVICES);
	EXPECT_EQ(t, type_at(MIB(6)), BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, type_at(MIB(9)), BOOT_MEMORY_BAD);
	EXPECT_EQ(t, type_at(MIB(11)), BOOT_MEMORY_BAD);
	EXPECT_EQ(t, type_at(MIB(12)), -1);
	EXPECT(t, complained("overlap at 0x400000"));
}

KTEST(boot_info, usable_shrinks_to_pages_and_the_rest_grows)
{
	begin();
	boot_info_add_range(&info, MIB(2) + 1, 3 * 4096, BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(4) + 1, 4096, BOOT_MEMORY_NVS);
	boot_info_add_range(&info, MIB(6) + 1, 4096, BOOT_MEMORY_USABLE);
	EXPECT_OK(t, boot_info_sanitise(&info));
	REQUIRE(t, info.nr_ranges == 2);
	EXPECT_EQ(t, info.ranges[0].start, MIB(2) + 4096);
	EXPECT_EQ(t, info.ranges[0].end, MIB(2) + 3 * 4096);
	EXPECT_EQ(t, info.ranges[1].start, MIB(4));
	EXPECT_EQ(t, info.ranges[1].end, MIB(4) + 8192);
}

KTEST(boot_info, page_0_and_the_legacy_hole_are_never_usable)
{
	begin();
	boot_info_add_range(&info, 0, MIB(16), BOOT_MEMORY_USABLE);
	EXPECT_OK(t, boot_info_sanitise(&info));
	EXPECT_EQ(t, type_at(0), BOOT_MEMORY_RESERVED);
	EXPECT_EQ(t, type_at(0x1000), BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, type_at(0x9f000), BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, type_at(0xa0000), BOOT_MEMORY_RESERVED);
	EXPECT_EQ(t, type_at(0xff000), BOOT_MEMORY_RESERVED);
	EXPECT_EQ(t, type_at(MIB(1)), BOOT_MEMORY_USABLE);
	EXPECT_STR(t, info.complaints, "");
}

KTEST(boot_info, absurd_ranges_are_dropped_or_cut)
{
	begin();
	boot_info_add_range(&info, MIB(2), MIB(2), BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(8), 0, BOOT_MEMORY_USABLE);
	EXPECT_STR(t, info.complaints, "");
	boot_info_add_range(&info, MIB(16), UINT64_MAX, BOOT_MEMORY_USABLE);
	EXPECT(t,
	       complained("usable range at 0x1000000 of 0xffffffffffffffff bytes leaves the address space: dropped"));
	boot_info_add_range(&info, BOOT_PHYSICAL_END, 4096, BOOT_MEMORY_RESERVED);
	EXPECT_EQ(t, info.nr_ranges, 1u);
	boot_info_add_range(&info, MIB(32), UINT64_MAX, BOOT_MEMORY_RESERVED);
	EXPECT(t, complained("reserved range at 0x2000000"));
	EXPECT_OK(t, boot_info_sanitise(&info));
	EXPECT_EQ(t, boot_info_usable_bytes(&info), MIB(2));
	EXPECT_EQ(t, type_at(BOOT_PHYSICAL_END - 1), BOOT_MEMORY_RESERVED);
}

KTEST(boot_info, too_many_ranges_are_dropped_with_a_complaint)
{
	begin();
	for (uint64_t i = 0; i < BOOT_MAX_RANGES + 5; i++)
		boot_info_add_range(&info, MIB(2) + i * 8192, 4096, BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, info.nr_ranges, BOOT_MAX_RANGES);
	EXPECT(t, complained("more than 128 ranges"));
	EXPECT_OK(t, boot_info_sanitise(&info));
	EXPECT_EQ(t, info.nr_ranges, BOOT_MAX_RANGES);
}

KTEST(boot_info, too_many_pieces_are_dropped_with_a_complaint)
{
	begin();
	boot_info_add_range(&info, MIB(2), MIB(8), BOOT_MEMORY_USABLE);
	for (uint64_t i = 1; i < BOOT_MAX_RANGES; i++)
		boot_info_add_range(&info, MIB(2) + i * 8192, 4096, BOOT_MEMORY_RESERVED);
	EXPECT_OK(t, boot_info_sanitise(&info));
	EXPECT_EQ(t, info.nr_ranges, BOOT_MAX_RANGES);
	EXPECT(t, complained("too many pieces"));
}

KTEST(boot_info, no_usable_memory_is_an_error)
{
	begin();
	EXPECT_EQ(t, boot_info_sanitise(&info), -EINVAL);
	EXPECT(t, complained("no usable memory"));
	begin();
	boot_info_add_range(&info, 0, 4096, BOOT_MEMORY_USABLE);
	boot_info_add_range(&info, MIB(2), 4095, BOOT_MEMORY_USABLE);
	EXPECT_EQ(t, boot_info_sanitise(&info), -EINVAL);
}

KTEST(boot_info, complaints_are_whole_lines_and_never_overflow)
{
	begin();
	for (unsigned int i = 0; i < 200; i++)
		boot_info_complain(&info, "complaint number %u", i);
	EXPECT(t, info.complaints_length < sizeof(info.complaints));
	EXPECT_EQ(t, strlen(info.complaints), info.complaints_length);
	EXPECT_EQ(t, info.complaints[info.complaints_length - 1], '\n');
	EXPECT(t, complained("complaint number 0\ncomplaint number 1\n"));
}

KTEST(boot_info, a_complaint_that_just_does_not_fit_is_left_out)
{
	const int room = (int)sizeof(info.complaints) - 101; /* behind the first line */

	for (int length = room - 4; length < room + 4; length++) {
		begin();
		boot_info_complain(&info, "%100s", "first");
		boot_info_complain(&info, "%*s", length, "second");
		EXPECT_EQ(t, info.complaints_length, length + 2 <= room ? 102u + (unsigned int)length : 101u);
		EXPECT_EQ(t, strlen(info.complaints), info.complaints_length);
	}
}

/* Against the definition: every page has the least usable type of what covers it. */
KTEST(boot_info, random_maps_agree_with_a_page_by_page_account)
{
	enum { PAGES = 64 };
	struct rand random;

	rand_seed(&random, ktest_seed(t));
	for (unsigned int round = 0; round < 200; round++) {
		int want[PAGES];

		begin();
		for (unsigned int i = 0; i < PAGES; i++)
			want[i] = -1;
		for (unsigned int i = 0; i < 12; i++) {
			unsigned int first = (unsigned int)rand_below(&random, PAGES);
			unsigned int count = 1 + (unsigned int)rand_below(&random, PAGES - first);
			int type = (int)rand_below(&random, BOOT_MEMORY_BAD + 1);

			boot_info_add_range(&info, MIB(2) + first * 4096ull, count * 4096ull, (enum boot_memory)type);
			for (unsigned int page = first; page < first + count; page++)
				want[page] = MAX(want[page], type);
		}
		(void)!boot_info_sanitise(&info);
		for (unsigned int i = 0; i < PAGES; i++)
			EXPECT_EQ(t, type_at(MIB(2) + i * 4096ull), want[i]);
		for (size_t i = 1; i < info.nr_ranges; i++)
			EXPECT(t, info.ranges[i].start >= info.ranges[i - 1].end);
	}
}
