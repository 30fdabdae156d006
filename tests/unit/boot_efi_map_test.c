/*
 * EFI memory maps, sound and broken.
 */
#include "kernel/ktest.h"
#include "tests/unit/boot_fixture.h"

struct descriptor {
	uint32_t type, padding;
	uint64_t physical, virtual, nr_pages, attributes;
};

static struct boot_info info;

static int parse(const void *map, size_t bytes, size_t descriptor_bytes)
{
	memset(&info, 0, sizeof(info));
	return efi_map_parse(&info, map, bytes, descriptor_bytes);
}

KTEST(boot_efi_map, every_type_has_its_use)
{
	static const enum boot_memory want[] = {
		BOOT_MEMORY_RESERVED,	   BOOT_MEMORY_BOOT_SERVICES, BOOT_MEMORY_BOOT_SERVICES,
		BOOT_MEMORY_BOOT_SERVICES, BOOT_MEMORY_BOOT_SERVICES, BOOT_MEMORY_RESERVED,
		BOOT_MEMORY_RESERVED,	   BOOT_MEMORY_USABLE,	      BOOT_MEMORY_BAD,
		BOOT_MEMORY_ACPI,	   BOOT_MEMORY_NVS,	      BOOT_MEMORY_RESERVED,
	};

	for (uint32_t type = 0; type < ARRAY_SIZE(want); type++) {
		struct descriptor map = {.type = type, .physical = 0x200000, .nr_pages = 3};

		EXPECT_OK(t, parse(&map, sizeof(map), sizeof(map)));
		EXPECT_EQ(t, info.ranges[0].type, want[type]);
		EXPECT_EQ(t, info.ranges[0].end, 0x203000u);
	}
}

KTEST(boot_efi_map, neighbours_of_one_type_are_one_range)
{
	struct descriptor map[] = {{.type = 3, .physical = 0x200000, .nr_pages = 2},
				   {.type = 4, .physical = 0x202000, .nr_pages = 1},
				   {.type = 7, .physical = 0x203000, .nr_pages = 1}};

	EXPECT_OK(t, parse(map, sizeof(map), sizeof(map[0])));
	EXPECT_EQ(t, info.nr_ranges, 2u);
	EXPECT_EQ(t, info.ranges[0].end, 0x203000u);
}

KTEST(boot_efi_map, longer_descriptors_are_stepped_over_whole)
{
	struct {
		struct descriptor known;
		uint64_t newer;
	} map[2] = {{{.type = 7, .physical = 0x1000, .nr_pages = 1}, UINT64_MAX},
		    {{.type = 7, .physical = 0x5000, .nr_pages = 1}, UINT64_MAX}};

	EXPECT_OK(t, parse(map, sizeof(map), sizeof(map[0])));
	EXPECT_EQ(t, info.nr_ranges, 2u);
	EXPECT_EQ(t, info.ranges[1].start, 0x5000u);
}

KTEST(boot_efi_map, broken_maps_are_complained_about)
{
	struct descriptor map = {.type = 7, .physical = 0x1000, .nr_pages = 1};

	EXPECT_EQ(t, parse(&map, sizeof(map), 0), -EINVAL);
	EXPECT_EQ(t, parse(&map, sizeof(map), sizeof(map) - 1), -EINVAL);
	EXPECT(t, boot_complained(&info, "map ignored"));
	EXPECT_OK(t, parse(&map, sizeof(map) - 1, sizeof(map)));
	EXPECT(t, boot_complained(&info, "ends within a descriptor"));
	EXPECT_EQ(t, info.nr_ranges, 0u);
}

KTEST(boot_efi_map, a_page_count_beyond_64_bits_is_refused)
{
	struct descriptor map = {.type = 7, .physical = 0x1000, .nr_pages = (1ull << 52) + 1};

	EXPECT_OK(t, parse(&map, sizeof(map), sizeof(map)));
	EXPECT_EQ(t, info.nr_ranges, 0u);
	EXPECT(t, boot_complained(&info, "leaves the address space"));
}
