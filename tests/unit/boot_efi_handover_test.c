/*
 * What the EFI application hands over, sound and broken.
 */
#include "arch/x86_64/boot/efi_handover.h"
#include "kernel/ktest.h"
#include "tests/unit/boot_fixture.h"

struct descriptor {
	uint32_t type, padding;
	uint64_t physical, virtual, nr_pages, attributes;
};

static struct boot_info info;
static struct fake_memory memory;

static struct efi_handover *build(const char *cmdline, uint64_t *phys)
{
	static const struct descriptor map[] = {{.type = 7, .physical = 0x100000, .nr_pages = 256},
						{.type = 9, .physical = 0x200000, .nr_pages = 1}};
	struct efi_handover from = {.magic = EFI_HANDOVER_MAGIC,
				    .bytes = sizeof(from),
				    .entry_cycles = 77,
				    .rsdp = 0x3f77d014,
				    .memory_map_bytes = sizeof(map),
				    .descriptor_bytes = sizeof(map[0]),
				    .cmdline_bytes = strlen(cmdline)};

	memset(&info, 0, sizeof(info));
	memory.phys = 0x1000;
	memory.bytes = 0;
	from.memory_map = fake_append(&memory, map, sizeof(map));
	from.cmdline = fake_append(&memory, cmdline, strlen(cmdline));
	*phys = fake_append(&memory, &from, sizeof(from));
	return (struct efi_handover *)(memory.data + (*phys - memory.phys));
}

KTEST(boot_efi_handover, everything_is_read)
{
	uint64_t phys;

	build("a=1 b", &phys);
	REQUIRE_OK(t, efi_parse(&info, phys, fake_map, &memory));
	EXPECT_STR(t, info.source, "efi");
	EXPECT_STR(t, info.cmdline, "a=1 b");
	EXPECT_STR(t, info.complaints, "");
	EXPECT_EQ(t, info.entry_cycles, 77u);
	EXPECT_EQ(t, info.rsdp, 0x3f77d014u);
	EXPECT_EQ(t, info.framebuffer.address, 0u);
	EXPECT_EQ(t, info.nr_ranges, 2u);
	EXPECT_EQ(t, info.ranges[1].type, BOOT_MEMORY_ACPI);
}

KTEST(boot_efi_handover, a_framebuffer_comes_with_its_layout)
{
	uint64_t phys;
	struct efi_handover *from = build("", &phys);

	from->framebuffer = 0x80000000;
	from->width = 800;
	from->height = 600;
	from->pitch_bytes = 3200;
	from->bits_per_pixel = 32;
	from->red_shift = 16;
	from->green_shift = 8;
	EXPECT_OK(t, efi_parse(&info, phys, fake_map, &memory));
	EXPECT_EQ(t, info.framebuffer.address, 0x80000000u);
	EXPECT_EQ(t, info.framebuffer.width, 800u);
	EXPECT_EQ(t, info.framebuffer.height, 600u);
	EXPECT_EQ(t, info.framebuffer.red_shift, 16u);
	EXPECT_EQ(t, info.framebuffer.blue_shift, 0u);
}

KTEST(boot_efi_handover, a_wrong_magic_length_or_place_is_refused)
{
	uint64_t phys;
	struct efi_handover *from = build("", &phys);

	from->magic++;
	EXPECT_EQ(t, efi_parse(&info, phys, fake_map, &memory), -EINVAL);
	EXPECT(t, boot_complained(&info, "no hand-over"));
	from = build("", &phys);
	from->bytes--;
	EXPECT_EQ(t, efi_parse(&info, phys, fake_map, &memory), -EINVAL);
	build("", &phys);
	EXPECT_EQ(t, efi_parse(&info, phys + 8, fake_map, &memory), -EINVAL);
	EXPECT_EQ(t, info.nr_ranges, 0u);
}

KTEST(boot_efi_handover, unreadable_parts_are_complained_about)
{
	uint64_t phys;
	struct efi_handover *from = build("text", &phys);

	from->cmdline = 0;
	EXPECT_OK(t, efi_parse(&info, phys, fake_map, &memory));
	EXPECT(t, boot_complained(&info, "command line at 0x0 cannot be read"));
	EXPECT_EQ(t, info.nr_ranges, 2u);
	from = build("", &phys);
	from->memory_map_bytes = UINT64_MAX;
	EXPECT_EQ(t, efi_parse(&info, phys, fake_map, &memory), -EINVAL);
	EXPECT(t, boot_complained(&info, "memory map at"));
}

/* Gives the structure itself, and notes the longest wish. */
static size_t most_bytes;

static const void *noting_map(uint64_t phys, size_t bytes, void *context)
{
	most_bytes = MAX(most_bytes, bytes);
	return fake_map(phys, bytes, context);
}

KTEST(boot_efi_handover, an_absurd_memory_map_is_not_even_asked_for)
{
	uint64_t phys;
	struct efi_handover *from = build("", &phys);

	most_bytes = 0;
	from->memory_map_bytes = GIB(1);
	EXPECT_EQ(t, efi_parse(&info, phys, noting_map, &memory), -EINVAL);
	EXPECT(t, most_bytes >= sizeof(*from) && most_bytes <= MIB(1));
}

KTEST(boot_efi_handover, a_long_command_line_is_cut_with_a_complaint)
{
	static char text[BOOT_CMDLINE_SIZE + 100];
	uint64_t phys;

	memset(text, 'z', sizeof(text) - 1);
	build(text, &phys);
	EXPECT_OK(t, efi_parse(&info, phys, fake_map, &memory));
	EXPECT_EQ(t, strlen(info.cmdline), BOOT_CMDLINE_SIZE - 1u);
	EXPECT(t, boot_complained(&info, "longer than 4095"));
}
