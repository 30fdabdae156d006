/*
 * memblock: intervals by hand, limits, and random ranges against a map of bits.
 */
#include "mm/memblock.h"

#include "kernel/ktest.h"
#include "lib/rand.h"
#include "lib/string.h"

static struct memblock mb; /* too large for a kernel stack */

static void expect_region(struct ktest *t, const struct memblock_region *region, uint64_t start, uint64_t end, int node)
{
	EXPECT_EQ(t, region->start, start);
	EXPECT_EQ(t, region->end, end);
	EXPECT_EQ(t, region->node, node);
}

KTEST(memblock, overlapping_and_touching_ranges_become_one)
{
	memblock_init(&mb);
	REQUIRE_OK(t, memblock_add(&mb, 0x3000, 0x5000, 0));
	REQUIRE_OK(t, memblock_add(&mb, 0x9000, 0xa000, 0));
	REQUIRE_OK(t, memblock_add(&mb, 0x4000, 0x9000, 0));
	REQUIRE_OK(t, memblock_add(&mb, 0x1000, 0x2000, 0));
	REQUIRE_OK(t, memblock_add(&mb, 0x6000, 0x6000, 0));
	REQUIRE(t, mb.nr_memory == 2);
	expect_region(t, &mb.memory[0], 0x1000, 0x2000, 0);
	expect_region(t, &mb.memory[1], 0x3000, 0xa000, 0);
}

KTEST(memblock, setting_a_node_splits_and_joins)
{
	memblock_init(&mb);
	REQUIRE_OK(t, memblock_add(&mb, 0x1000, 0x9000, 0));
	REQUIRE_OK(t, memblock_set_node(&mb, 0x3000, 0x5000, 1));
	REQUIRE(t, mb.nr_memory == 3);
	expect_region(t, &mb.memory[1], 0x3000, 0x5000, 1);
	REQUIRE_OK(t, memblock_set_node(&mb, 0x0, 0x10000, 1));
	REQUIRE(t, mb.nr_memory == 1);
	expect_region(t, &mb.memory[0], 0x1000, 0x9000, 1);
}

KTEST(memblock, allocates_from_the_top_of_the_node_then_anywhere)
{
	memblock_init(&mb);
	REQUIRE_OK(t, memblock_add(&mb, 0x0, 0x10000, 0));
	REQUIRE_OK(t, memblock_add(&mb, 0x100000, 0x110000, 1));
	EXPECT_EQ(t, memblock_alloc(&mb, 0x1000, 0x1000, 0, UINT64_MAX), 0xf000u);
	EXPECT_EQ(t, memblock_alloc(&mb, 0x1800, 0x1000, 0, UINT64_MAX), 0xd000u);
	EXPECT_EQ(t, memblock_alloc(&mb, 0x1000, 0x1000, 0, 0x8000), 0x7000u);
	EXPECT_EQ(t, memblock_alloc(&mb, 0x8000, 0x1000, 0, UINT64_MAX), 0x108000u);
	EXPECT_EQ(t, memblock_alloc(&mb, 0x20000, 0x1000, 0, UINT64_MAX), 0u);
}

KTEST(memblock, address_zero_is_never_given)
{
	memblock_init(&mb);
	REQUIRE_OK(t, memblock_add(&mb, 0x0, 0x2000, 0));
	EXPECT_EQ(t, memblock_alloc(&mb, 0x1000, 0x1000, 0, UINT64_MAX), 0x1000u);
	EXPECT_EQ(t, memblock_alloc(&mb, 0x1000, 0x1000, 0, UINT64_MAX), 0u);
}

KTEST(memblock, a_full_list_refuses_and_keeps_its_content)
{
	memblock_init(&mb);
	for (uint64_t at = 0; at < MEMBLOCK_MAX_REGIONS; at++)
		REQUIRE_OK(t, memblock_add(&mb, at * 0x4000, at * 0x4000 + 0x1000, 0));
	EXPECT_EQ(t, memblock_add(&mb, 0x2000, 0x3000, 0), -ENOSPC);
	EXPECT_EQ(t, memblock_set_node(&mb, 0x800, 0x1000, 1), -ENOSPC);
	EXPECT_EQ(t, mb.nr_memory, (size_t)MEMBLOCK_MAX_REGIONS);
	/* What joins neighbours needs no room. */
	EXPECT_OK(t, memblock_add(&mb, 0x1000, 0x4000, 0));
	EXPECT_EQ(t, mb.nr_memory, (size_t)MEMBLOCK_MAX_REGIONS - 1);
}

#define MODEL_PAGES 512

static void expect_free_agrees(struct ktest *t, const uint8_t *memory, const uint8_t *reserved)
{
	uint8_t seen[MODEL_PAGES] = {0};
	struct memblock_region range;

	for (uint64_t at = 0; memblock_next_free(&mb, &at, &range);)
		for (uint64_t page = range.start / 0x1000; page < range.end / 0x1000; page++)
			seen[page]++;
	for (unsigned int page = 0; page < MODEL_PAGES; page++)
		EXPECT_EQ(t, seen[page], memory[page] && !reserved[page]);
}

KTEST(memblock, random_ranges_agree_with_a_map)
{
	uint8_t memory[MODEL_PAGES], reserved[MODEL_PAGES];
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	for (unsigned int round = 0; round < (ktest_hosted() ? 200 : 20); round++) {
		memset(memory, 0, sizeof(memory));
		memset(reserved, 0, sizeof(reserved));
		memblock_init(&mb);
		for (unsigned int step = 0; step < 40; step++) {
			uint64_t first = rand_below(&rand, MODEL_PAGES);
			uint64_t end = first + rand_below(&rand, MODEL_PAGES - first + 1) / 4;
			int node = (int)rand_below(&rand, 2);
			bool reserve = rand_below(&rand, 2);

			REQUIRE_OK(t, reserve ? memblock_reserve(&mb, first * 0x1000, end * 0x1000)
					      : memblock_add(&mb, first * 0x1000, end * 0x1000, node));
			memset((reserve ? reserved : memory) + first, 1, end - first);
		}
		expect_free_agrees(t, memory, reserved);
		for (size_t at = 1; at < mb.nr_memory; at++)
			EXPECT(t, mb.memory[at - 1].end <= mb.memory[at].start);
	}
}
