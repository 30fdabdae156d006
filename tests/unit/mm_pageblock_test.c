/*
 * Bits of a pageblock: finding blocks of exactly one order, against a search page by page.
 */
#include "mm/pageblock.h"

#include "kernel/ktest.h"
#include "lib/rand.h"

static bool run_is(const struct pageblock *pageblock, unsigned int first, unsigned int order, bool free)
{
	for (unsigned int at = first; at < first + (1u << order); at++)
		if ((pageblock->map[at / 64] >> at % 64 & 1) != free)
			return false;
	return true;
}

static unsigned int find_slowly(const struct pageblock *pageblock, unsigned int order, unsigned int from)
{
	for (unsigned int at = ALIGN_UP(from, 1u << order); at < PAGEBLOCK_PAGES; at += 1u << order)
		if (run_is(pageblock, at, order, true) && !run_is(pageblock, at ^ 1u << order, order, true))
			return at;
	return PAGEBLOCK_PAGES;
}

static unsigned int count_slowly(const struct pageblock *pageblock, unsigned int order)
{
	unsigned int count = 0;

	for (unsigned int at = 0; (at = find_slowly(pageblock, order, at)) < PAGEBLOCK_PAGES; at += 1u << order)
		count++;
	return count;
}

KTEST(pageblock, blocks_are_found_as_by_looking_at_every_page)
{
	struct pageblock pageblock = {0};
	uint16_t counts[PAGEBLOCK_ORDER];
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	for (unsigned int step = 0; step < (ktest_hosted() ? 3000 : 200); step++) {
		unsigned int order = (unsigned int)rand_below(&rand, PAGEBLOCK_ORDER);
		unsigned int first = (unsigned int)rand_below(&rand, PAGEBLOCK_PAGES >> order) << order;
		unsigned int from = (unsigned int)rand_below(&rand, PAGEBLOCK_PAGES);

		if (rand_below(&rand, 2))
			pageblock_run_set_free(&pageblock, first, order);
		else
			pageblock_set_taken(&pageblock, first, 1u << order);
		EXPECT(t, run_is(&pageblock, first, order, true) || run_is(&pageblock, first, order, false));
		pageblock_count(&pageblock, counts);
		for (order = 0; order < PAGEBLOCK_ORDER; order++) {
			EXPECT_EQ(t, counts[order], count_slowly(&pageblock, order));
			EXPECT_EQ(t, pageblock_find(&pageblock, order, from), find_slowly(&pageblock, order, from));
			first = from & ~((1u << order) - 1);
			EXPECT_EQ(t, pageblock_run_is_free(&pageblock, first, order),
				  run_is(&pageblock, first, order, true));
			EXPECT_EQ(t, pageblock_run_is_taken(&pageblock, first, order),
				  run_is(&pageblock, first, order, false));
		}
	}
}

KTEST(pageblock, ranges_need_not_be_aligned)
{
	struct pageblock pageblock = {0};

	for (unsigned int at = 60; at < 260; at++)
		pageblock_run_set_free(&pageblock, at, 0);
	for (unsigned int at = 0; at < PAGEBLOCK_PAGES; at++)
		EXPECT_EQ(t, run_is(&pageblock, at, 0, true), at >= 60 && at < 260);
	pageblock_set_taken(&pageblock, 100, 3);
	EXPECT(t, run_is(&pageblock, 99, 0, true) && run_is(&pageblock, 103, 0, true));
	EXPECT(t, run_is(&pageblock, 100, 0, false) && run_is(&pageblock, 102, 0, false));
	pageblock_fill(&pageblock, true);
	EXPECT_EQ(t, pageblock_find(&pageblock, 8, 0), PAGEBLOCK_PAGES);
}
