/*
 * The kernel's own page tables, in the guest: who may do what where.
 */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/paging_internal.h"
#include "kernel/cpu.h"
#include "kernel/ktest.h"
#include "lib/atomic.h"

#include <arch/io.h>
#include <arch/page.h>

extern char image_start[], text_end[], rodata_end[], data_end[], image_end[];

/* Behind all device mappings that ever are; 2 MiB aligned. */
#define SPARE_VIRT (STACK_AREA_BASE - GIB(1))

static unsigned int rights_at(struct ktest *t, uint64_t address)
{
	unsigned int rights = PAGING_WRITE | PAGING_EXECUTE; /* nothing has that */

	EXPECT(t, paging_lookup(address, NULL, &rights));
	return rights;
}

KTEST(paging, every_part_of_the_image_has_its_rights)
{
	uint64_t start = (uint64_t)image_start, end = (uint64_t)image_end;

	EXPECT_EQ(t, rights_at(t, start), PAGING_EXECUTE);
	EXPECT_EQ(t, rights_at(t, (uint64_t)text_end - 1), PAGING_EXECUTE);
	EXPECT_EQ(t, rights_at(t, (uint64_t)text_end), PAGING_READ);
	EXPECT_EQ(t, rights_at(t, (uint64_t)rodata_end - 1), PAGING_READ);
	EXPECT_EQ(t, rights_at(t, (uint64_t)rodata_end), PAGING_WRITE);
	EXPECT_EQ(t, rights_at(t, (uint64_t)data_end - 1), PAGING_WRITE);
	EXPECT_EQ(t, rights_at(t, end - 1), PAGING_READ);
	EXPECT(t, !paging_lookup(start - 1, NULL, NULL));
	EXPECT(t, !paging_lookup(end, NULL, NULL));
}

KTEST(paging, the_direct_map_never_executes_and_shows_text_read_only)
{
	uint64_t fixed_end = DIRECT_MAP_BASE + image_to_phys(rodata_end);

	EXPECT_EQ(t, rights_at(t, DIRECT_MAP_BASE + image_to_phys(image_start)), PAGING_READ);
	EXPECT_EQ(t, rights_at(t, fixed_end - 1), PAGING_READ);
	EXPECT_EQ(t, rights_at(t, fixed_end), PAGING_WRITE);
}

KTEST(paging, low_addresses_and_the_page_under_the_boot_stack_are_not_there)
{
	EXPECT(t, !paging_lookup(0, NULL, NULL));
	EXPECT(t, !paging_lookup(MIB(2), NULL, NULL));
	EXPECT(t, !paging_lookup((uint64_t)boot_stack_guard, NULL, NULL));
	EXPECT(t, !paging_lookup((uint64_t)boot_stack_bottom - 1, NULL, NULL));
	EXPECT_EQ(t, rights_at(t, (uint64_t)boot_stack_bottom), PAGING_WRITE);
}

KTEST(paging, the_check_finds_a_writable_way_to_text)
{
	EXPECT_OK(t, paging_check());
	REQUIRE_OK(t, paging_map(SPARE_VIRT, image_to_phys(image_start), PAGE_SIZE, PAGING_WRITE));
	EXPECT_EQ(t, paging_check(), -EINVAL);
	paging_unmap(SPARE_VIRT, PAGE_SIZE);
	EXPECT_OK(t, paging_check());
}

struct reading {
	const uint32_t *at;
	uint32_t expected, wrong;
};

static void read_here(void *argument)
{
	struct reading *reading = argument;

	if (READ_ONCE(*reading->at) != reading->expected)
		atomic_inc(&reading->wrong);
}

/* Every CPU has touched the page that goes away, so each has it in its TLB. */
KTEST(paging, a_page_that_is_mapped_anew_is_seen_so_on_all_cpus)
{
	struct reading reading = {.at = (const uint32_t *)SPARE_VIRT};
	uint64_t pages[2];

	for (unsigned int i = 0; i < 2; i++) {
		pages[i] = paging_page_alloc(PAGING_FOR_STACK);
		REQUIRE(t, pages[i]);
		*(uint32_t *)phys_to_virt(pages[i]) = 0x1000 + i;
	}
	for (unsigned int round = 0; round < 20; round++) {
		REQUIRE_OK(t, paging_map(SPARE_VIRT, pages[round % 2], PAGE_SIZE, PAGING_READ));
		reading.expected = 0x1000 + round % 2;
		cpu_call_all(read_here, &reading);
		paging_unmap(SPARE_VIRT, PAGE_SIZE);
	}
	EXPECT_EQ(t, reading.wrong, 0u);
	for (unsigned int i = 0; i < 2; i++)
		paging_page_release(pages[i]);
}

KTEST(paging, the_trampoline_is_there_only_while_it_is_needed)
{
	uint64_t phys;
	unsigned int rights;

	REQUIRE_OK(t, paging_trampoline_map(0x8000));
	REQUIRE(t, paging_lookup(0x8123, &phys, &rights));
	EXPECT_EQ(t, phys, 0x8123u);
	EXPECT_EQ(t, rights, PAGING_EXECUTE);
	paging_trampoline_unmap(0x8000);
	EXPECT(t, !paging_lookup(0x8000, NULL, NULL));
	EXPECT(t, paging_root() != 0 && paging_root() < GIB(4));
}

KTEST(device_map, the_same_range_gives_the_same_address)
{
	char *first = device_map(0xfee00030, 4, DEVICE_UNCACHED);
	unsigned int rights;
	uint64_t phys;

	REQUIRE(t, first);
	EXPECT(t, device_map(0xfee00030, 4, DEVICE_UNCACHED) == first);
	EXPECT(t, device_map(0xfee00000, 4096, DEVICE_UNCACHED) == first - 0x30);
	REQUIRE(t, paging_lookup((uint64_t)first, &phys, &rights));
	EXPECT_EQ(t, phys, 0xfee00030u);
	EXPECT_EQ(t, rights, PAGING_WRITE | PAGING_UNCACHED);
}

KTEST(device_map, bars_far_up_are_mapped_with_large_pages)
{
	char *bar = device_map(GIB(896) + MIB(2), MIB(8), DEVICE_UNCACHED);
	uint64_t phys;

	REQUIRE(t, bar);
	EXPECT(t, IS_ALIGNED((uint64_t)bar, LARGE_PAGE_SIZE));
	REQUIRE(t, paging_lookup((uint64_t)bar + MIB(8) - 1, &phys, NULL));
	EXPECT_EQ(t, phys, GIB(896) + MIB(10) - 1);
	/* A part of it is found in it. */
	EXPECT(t, device_map(GIB(896) + MIB(3), 16, DEVICE_UNCACHED) == bar + MIB(1));
	EXPECT(t, !paging_lookup((uint64_t)bar - 1, NULL, NULL));
}

KTEST(device_map, what_cannot_be_is_refused)
{
	EXPECT(t, device_map(0xfee00000, 0, DEVICE_UNCACHED) == NULL);
	EXPECT(t, device_map(UINT64_MAX - 10, 100, DEVICE_UNCACHED) == NULL);
	EXPECT(t, device_map((1ul << 52) - 4096, 8192, DEVICE_UNCACHED) == NULL);
	EXPECT(t, device_map(0, 1ul << 51, DEVICE_UNCACHED) == NULL);
}
