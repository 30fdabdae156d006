/*
 * The picture of pageblocks: a cell for each, a capital where half or more is used, and no escape codes if asked for
 * none.
 */
#include "kernel/ktest.h"
#include "kernel/shell.h"
#include "lib/string.h"
#include "mm/memory.h"

static char shown[32768];

static int run(const char *line)
{
	struct text text;

	text_init(&text, shown, sizeof(shown));
	return shell_run_line(&text.sink, line);
}

/* The cell of the pageblock at @address; rows begin at any pageblock up to 64 before it. */
static char cell_at(uint64_t address)
{
	for (uint64_t cells = 0; cells < 64 && cells * MIB(2) <= address; cells++) {
		char start[32];
		const char *at;

		format(start, sizeof(start), "  %08lx ", ALIGN_DOWN(address, MIB(2)) - cells * MIB(2));
		at = strstr(shown, start);
		if (at)
			return at[strlen(start) + cells];
	}
	return '?';
}

KTEST(map, a_block_shows_from_half_a_pageblock_on_as_a_capital)
{
	struct page *page = alloc_pages(GFP_MOVABLE | GFP_OWNER(PAGE_OWNER_TEST), PAGEBLOCK_ORDER);
	char taken, part;

	REQUIRE(t, page);
	EXPECT_EQ(t, run("map -p"), 0);
	taken = cell_at(page_to_phys(page));
	split_page(page, 0);
	for (unsigned int at = 1; at < PAGEBLOCK_PAGES; at++)
		free_pages(page + at, 0);
	EXPECT_EQ(t, run("map -p"), 0);
	part = cell_at(page_to_phys(page));
	free_pages(page, 0);
	EXPECT(t, taken >= 'A' && taken <= 'Z');
	EXPECT(t, part == 'm' || part == 'M'); /* what is on per-CPU lists counts as used */
	EXPECT(t, !strchr(shown, '\x1b'));
	EXPECT_EQ(t, run("map"), 0);
	EXPECT(t, strchr(shown, '\x1b'));
}

KTEST(map, nonsense_is_refused)
{
	EXPECT_EQ(t, run("map 5"), -EINVAL);
	EXPECT_EQ(t, run("map -f soon"), -EINVAL);
	EXPECT_EQ(t, run("map -p -f 0"), 0);
}
