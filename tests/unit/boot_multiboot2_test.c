/*
 * Multiboot2 boot information, sound and broken.
 */
#include "kernel/ktest.h"
#include "tests/unit/boot_fixture.h"

struct map_entry {
	uint64_t address, bytes;
	uint32_t type, reserved;
};

static struct boot_info info;
static struct fake_memory memory;

static void begin(void)
{
	memset(&info, 0, sizeof(info));
	memset(&memory, 0, sizeof(memory));
	memory.phys = 0x10000;
	memory.bytes = 8;
}

static void word(uint32_t value)
{
	fake_append(&memory, &value, sizeof(value));
}

/* A tag with its padding. */
static void tag(uint32_t type, const void *payload, size_t bytes)
{
	word(type);
	word((uint32_t)bytes + 8);
	fake_append(&memory, payload, bytes);
	memory.bytes = ALIGN_UP(memory.bytes, 8ul);
}

/* Writes the total length and parses. */
static int finish(void)
{
	uint32_t bytes = (uint32_t)memory.bytes;

	memcpy(memory.data, &bytes, sizeof(bytes));
	return multiboot2_parse(&info, memory.phys, fake_map, &memory);
}

static void memory_map_tag(uint32_t entry_bytes)
{
	struct {
		uint32_t entry_bytes, version;
		struct map_entry entries[3];
	} map = {entry_bytes, 0, {{0, 0x9f000, 1}, {0x100000, 0x7f00000, 1}, {0x8000000, 0x10000, 4}}};

	tag(6, &map, sizeof(map));
}

static void efi_map_tag(uint32_t descriptor_bytes)
{
	struct {
		uint32_t descriptor_bytes, version;
		uint32_t type, padding;
		uint64_t physical, virtual, nr_pages, attributes, beyond;
	} map = {descriptor_bytes, 1, 3, 0, 0x200000, 0, 16, 0xf, 0};

	tag(17, &map, sizeof(map));
}

KTEST(boot_multiboot2, all_tags_of_use_are_read)
{
	begin();
	tag(1, "a=b c", 6);
	memory_map_tag(24);
	tag(14, "RSD PTR old.........", 20);
	tag(15, "RSD PTR new.........................", 36);
	tag(0, "", 0);
	REQUIRE_OK(t, finish());
	EXPECT_STR(t, info.complaints, "");
	EXPECT_STR(t, info.cmdline, "a=b c");
	EXPECT_EQ(t, info.nr_ranges, 3u);
	EXPECT_EQ(t, info.ranges[1].end, 0x8000000u);
	EXPECT_EQ(t, info.ranges[2].type, BOOT_MEMORY_NVS);
	EXPECT_EQ(t, info.rsdp_copy_bytes, 36u);
	EXPECT(t, memcmp(info.rsdp_copy, "RSD PTR new", 11) == 0);
}

KTEST(boot_multiboot2, the_new_rsdp_wins_in_any_order)
{
	begin();
	tag(15, "RSD PTR new.........................", 36);
	tag(14, "RSD PTR old.........", 20);
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT_EQ(t, info.rsdp_copy_bytes, 36u);
	EXPECT(t, memcmp(info.rsdp_copy, "RSD PTR new", 11) == 0);
}

KTEST(boot_multiboot2, an_efi_map_is_preferred)
{
	begin();
	memory_map_tag(24);
	efi_map_tag(48);
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT_EQ(t, info.nr_ranges, 1u);
	EXPECT_EQ(t, info.ranges[0].start, 0x200000u);
	EXPECT_EQ(t, info.ranges[0].end, 0x210000u);
	EXPECT_EQ(t, info.ranges[0].type, BOOT_MEMORY_BOOT_SERVICES);
}

KTEST(boot_multiboot2, a_broken_efi_map_leaves_the_other)
{
	begin();
	memory_map_tag(24);
	efi_map_tag(39);
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT(t, boot_complained(&info, "descriptors of 39 bytes"));
	EXPECT_EQ(t, info.nr_ranges, 3u);
}

KTEST(boot_multiboot2, a_framebuffer_counts_only_with_direct_colour)
{
	struct PACKED {
		uint64_t address;
		uint32_t pitch, width, height;
		uint8_t bits, type;
		uint16_t reserved;
		uint8_t colours[6];
	} screen = {0xfd000000, 4096, 1024, 768, 32, 1, 0, {16, 8, 8, 8, 0, 8}};

	begin();
	tag(8, &screen, sizeof(screen));
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT_EQ(t, info.framebuffer.address, 0xfd000000u);
	EXPECT_EQ(t, info.framebuffer.height, 768u);
	EXPECT_EQ(t, info.framebuffer.red_shift, 16u);
	begin();
	screen.type = 2;
	tag(8, &screen, sizeof(screen));
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT_EQ(t, info.framebuffer.address, 0u);
}

KTEST(boot_multiboot2, a_tag_that_leaves_the_block_ends_the_walk)
{
	begin();
	tag(1, "kept", 5);
	word(6);
	word(4096);
	EXPECT_OK(t, finish());
	EXPECT(t, boot_complained(&info, "tag 6 of 4096 bytes at offset 24 of 32"));
	EXPECT_STR(t, info.cmdline, "kept");
	EXPECT_EQ(t, info.nr_ranges, 0u);
	begin();
	word(1);
	word(7); /* less than a tag's head: would never advance */
	EXPECT_OK(t, finish());
	EXPECT(t, boot_complained(&info, "tag 1 of 7 bytes"));
}

KTEST(boot_multiboot2, a_missing_end_and_short_tags_are_complained_about)
{
	begin();
	tag(6, "", 0);
	tag(1, "x", 1); /* a command line without its NUL */
	EXPECT_OK(t, finish());
	EXPECT_STR(t, info.cmdline, "x");
	EXPECT(t, boot_complained(&info, "end tag is missing"));
	EXPECT(t, boot_complained(&info, "tag 6 of 8 bytes, at least 16"));
}

KTEST(boot_multiboot2, entries_may_be_longer_but_not_shorter)
{
	begin();
	memory_map_tag(16);
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT(t, boot_complained(&info, "entries of 16 bytes"));
	EXPECT_EQ(t, info.nr_ranges, 0u);
	begin();
	memory_map_tag(32); /* two whole ones in 72 bytes */
	tag(0, "", 0);
	EXPECT_OK(t, finish());
	EXPECT_EQ(t, info.ranges[0].end, 0x9f000u);
	EXPECT(t, boot_complained(&info, "ends within an entry"));
}

KTEST(boot_multiboot2, absurd_lengths_are_refused)
{
	static const uint32_t lengths[] = {0, 7, 100000, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin();
		memcpy(memory.data, &lengths[i], sizeof(lengths[i]));
		EXPECT_EQ(t, multiboot2_parse(&info, memory.phys, fake_map, &memory), -EINVAL);
		EXPECT(t, boot_complained(&info, "cannot be read"));
	}
	EXPECT_EQ(t, multiboot2_parse(&info, 0, fake_map, &memory), -EINVAL);
}
