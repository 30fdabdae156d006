/*
 * Page tables in a buffer: what is mapped is found, nothing else is, and nothing is lost on the way.
 */
#include "arch/x86_64/page_table.h"
#include "kernel/ktest.h"
#include "lib/rand.h"
#include "lib/string.h"

#include <arch/page.h>

#define POOL_PAGES	24
#define DIRECT_MAP_TEST 0xffff800000000000ul

/* The first page stays unused: a table at physical address 0 would be none. */
static char pool[(POOL_PAGES + 1) * 4096] ALIGNED(4096);
static size_t pool_used, pool_limit;

static uint64_t take_page(void *context UNUSED)
{
	return pool_used < pool_limit ? ++pool_used * PAGE_SIZE : 0;
}

static struct page_table fixture(bool has_gib_pages)
{
	struct page_table table = {.memory = pool, .has_gib_pages = has_gib_pages, .alloc = take_page};

	pool_used = 0;
	pool_limit = POOL_PAGES;
	memset(pool, 0xa5, sizeof(pool)); /* tables come uncleared */
	return table;
}

struct tally {
	size_t pages[3]; /* of 4 KiB, 2 MiB, 1 GiB */
	uint64_t bytes, last_end;
	bool ordered;
};

static void count_leaf(const struct page_table_leaf *leaf, void *context)
{
	struct tally *tally = context;

	tally->pages[leaf->bytes == PAGE_SIZE ? 0 : leaf->bytes == LARGE_PAGE_SIZE ? 1 : 2]++;
	tally->bytes += leaf->bytes;
	tally->ordered = tally->ordered && leaf->virt >= tally->last_end;
	tally->last_end = leaf->virt + leaf->bytes;
}

static struct tally tally_of(const struct page_table *table)
{
	struct tally tally = {.ordered = true};

	page_table_visit(table, count_leaf, &tally);
	return tally;
}

KTEST(page_table, a_page_is_found_with_its_rights)
{
	const unsigned int rights[] = {PAGING_READ, PAGING_WRITE, PAGING_EXECUTE, PAGING_WRITE | PAGING_UNCACHED};
	struct page_table table = fixture(false);
	uint64_t phys;
	unsigned int found;

	REQUIRE_OK(t, page_table_init(&table));
	for (unsigned int i = 0; i < ARRAY_SIZE(rights); i++)
		REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST + i * PAGE_SIZE, 0x5000 + i * PAGE_SIZE, PAGE_SIZE,
					     rights[i]));
	for (unsigned int i = 0; i < ARRAY_SIZE(rights); i++) {
		REQUIRE(t, page_table_lookup(&table, DIRECT_MAP_TEST + i * PAGE_SIZE + 0x123, &phys, &found));
		EXPECT_EQ(t, phys, 0x5123 + i * PAGE_SIZE);
		EXPECT_EQ(t, found, rights[i]);
	}
	EXPECT(t, !page_table_lookup(&table, DIRECT_MAP_TEST - 1, &phys, &found));
	EXPECT(t, !page_table_lookup(&table, DIRECT_MAP_TEST + 4 * PAGE_SIZE, &phys, &found));
	/* Not canonical, though the tables would lead to the first page. */
	EXPECT(t, !page_table_lookup(&table, DIRECT_MAP_TEST & 0x0000ffffffffffff, NULL, NULL));
}

KTEST(page_table, large_pages_are_taken_where_both_addresses_allow)
{
	struct page_table table = fixture(true);
	struct tally tally;

	REQUIRE_OK(t, page_table_init(&table));
	/* From 1 MiB to 3 GiB and 4 KiB: 256 small, 511 of 2 MiB, 2 of 1 GiB, 1 small. */
	REQUIRE_OK(t,
		   page_table_map(&table, DIRECT_MAP_TEST + MIB(1), MIB(1), GIB(3) - MIB(1) + PAGE_SIZE, PAGING_WRITE));
	tally = tally_of(&table);
	EXPECT_EQ(t, tally.pages[0], 257u);
	EXPECT_EQ(t, tally.pages[1], 511u);
	EXPECT_EQ(t, tally.pages[2], 2u);
	EXPECT_EQ(t, tally.bytes, GIB(3) - MIB(1) + PAGE_SIZE);
	EXPECT(t, tally.ordered);
}

KTEST(page_table, without_gib_pages_16_gib_take_18_tables)
{
	struct page_table table = fixture(false);
	uint64_t phys;

	REQUIRE_OK(t, page_table_init(&table));
	REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST, 0, GIB(16), PAGING_WRITE));
	EXPECT_EQ(t, pool_used, 18u);
	EXPECT_EQ(t, tally_of(&table).pages[1], 8192u);
	EXPECT(t, page_table_lookup(&table, DIRECT_MAP_TEST + GIB(15) + 5, &phys, NULL));
	EXPECT_EQ(t, phys, GIB(15) + 5);
}

KTEST(page_table, unaligned_to_each_other_means_small_pages)
{
	struct page_table table = fixture(true);

	REQUIRE_OK(t, page_table_init(&table));
	REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST, PAGE_SIZE, MIB(4), PAGING_READ));
	EXPECT_EQ(t, tally_of(&table).pages[0], 1024u);
}

KTEST(page_table, high_physical_addresses_and_the_last_page_are_reached)
{
	struct page_table table = fixture(false);
	uint64_t phys;

	REQUIRE_OK(t, page_table_init(&table));
	REQUIRE_OK(t, page_table_map(&table, -2 * PAGE_SIZE, (1ul << 52) - 2 * PAGE_SIZE, 2 * PAGE_SIZE, PAGING_READ));
	EXPECT(t, page_table_lookup(&table, UINT64_MAX, &phys, NULL));
	EXPECT_EQ(t, phys, (1ul << 52) - 1);
	EXPECT_EQ(t, tally_of(&table).pages[0], 2u);
	page_table_unmap(&table, -2 * PAGE_SIZE, 2 * PAGE_SIZE);
	EXPECT_EQ(t, tally_of(&table).bytes, 0u);
}

KTEST(page_table, unmapping_takes_what_it_says_and_skips_holes)
{
	struct page_table table = fixture(true);

	REQUIRE_OK(t, page_table_init(&table));
	REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST, 0, 3 * PAGE_SIZE, PAGING_WRITE));
	REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST + MIB(2), MIB(2), MIB(4), PAGING_WRITE));
	REQUIRE_OK(t, page_table_map(&table, DIRECT_MAP_TEST + GIB(4), GIB(4), PAGE_SIZE, PAGING_WRITE));
	page_table_unmap(&table, DIRECT_MAP_TEST + 2 * PAGE_SIZE, MIB(4) - 2 * PAGE_SIZE);
	EXPECT_EQ(t, tally_of(&table).bytes, 3 * PAGE_SIZE + MIB(2));
	EXPECT(t, page_table_lookup(&table, DIRECT_MAP_TEST + PAGE_SIZE, NULL, NULL));
	EXPECT(t, !page_table_lookup(&table, DIRECT_MAP_TEST + 2 * PAGE_SIZE, NULL, NULL));
	page_table_unmap(&table, DIRECT_MAP_TEST, GIB(5));
	EXPECT_EQ(t, tally_of(&table).bytes, 0u);
}

KTEST(page_table, without_memory_nothing_is_mapped)
{
	struct page_table table = fixture(false);

	REQUIRE_OK(t, page_table_init(&table));
	for (pool_limit = 1; pool_limit < 5; pool_limit++) {
		/* Crosses into a second lowest table: four are needed, then five. */
		EXPECT_EQ(t,
			  page_table_map(&table, DIRECT_MAP_TEST + MIB(2) - PAGE_SIZE, 0, 2 * PAGE_SIZE, PAGING_WRITE),
			  -ENOMEM);
		EXPECT_EQ(t, tally_of(&table).bytes, 0u);
	}
	pool_limit = 5;
	EXPECT_OK(t, page_table_map(&table, DIRECT_MAP_TEST + MIB(2) - PAGE_SIZE, 0, 2 * PAGE_SIZE, PAGING_WRITE));
	pool_used = pool_limit;
	EXPECT_EQ(t, page_table_init(&table), -ENOMEM);
}

/* Random maps and unmaps of 4 KiB to 4 MiB pieces within 16 MiB, against an array. */
KTEST(page_table, random_changes_agree_with_an_array)
{
	enum { PIECES = 64 };	      /* of 256 KiB */
	static uint64_t want[PIECES]; /* physical address + 1, 0: not mapped */
	struct page_table table = fixture(false);
	struct rand random;

	rand_seed(&random, ktest_seed(t));
	memset(want, 0, sizeof(want));
	REQUIRE_OK(t, page_table_init(&table));
	for (unsigned int round = 0; round < 500; round++) {
		uint64_t piece = rand_below(&random, PIECES), phys = 0;
		uint64_t virt = DIRECT_MAP_TEST + piece * KIB(256);

		if (want[piece]) {
			page_table_unmap(&table, virt, KIB(256));
			want[piece] = 0;
		} else {
			want[piece] = rand_below(&random, 1u << 20) * PAGE_SIZE + 1;
			REQUIRE_OK(t, page_table_map(&table, virt, want[piece] - 1, KIB(256), PAGING_WRITE));
		}
		piece = rand_below(&random, PIECES);
		virt = DIRECT_MAP_TEST + piece * KIB(256) + rand_below(&random, KIB(256));
		EXPECT_EQ(t, page_table_lookup(&table, virt, &phys, NULL), want[piece] != 0);
		if (want[piece])
			EXPECT_EQ(t, phys, want[piece] - 1 + virt % KIB(256));
	}
}
