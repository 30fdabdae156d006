/*
 * The buddy system: splitting and merging by hand, whole pageblocks and pairs, and long random runs against a model.
 */
#include "mm/buddy.h"

#include "lib/rand.h"
#include "lib/string.h"
#include "tests/unit/mm_fixture.h"

KTEST(buddy, freeing_the_last_split_restores_one_block)
{
	struct zone *zone = fixture_zone(t, 16); /* private; released by the harness */
	struct page *page = buddy_alloc(zone, 0, MIGRATE_MOVABLE);

	REQUIRE(t, page);
	for (unsigned int order = 0; order < 4; order++) /* 16 = 1 taken + 1 + 2 + 4 + 8 */
		EXPECT_EQ(t, buddy_blocks(zone, order), 1u);

	buddy_free(zone, page, 0);
	EXPECT_EQ(t, buddy_blocks(zone, 4), 1u);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(buddy, an_empty_zone_gives_nothing)
{
	struct zone *zone = fixture_zone(t, 16);

	EXPECT(t, !buddy_alloc(zone, 5, MIGRATE_MOVABLE));
	EXPECT(t, buddy_alloc(zone, 4, MIGRATE_MOVABLE));
	EXPECT(t, !buddy_alloc(zone, 0, MIGRATE_MOVABLE));
	EXPECT(t, !buddy_alloc(zone, 0, MIGRATE_UNMOVABLE));
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(buddy, blocks_are_aligned_to_their_size)
{
	struct zone *zone = fixture_zone(t, 2 * PAGEBLOCK_PAGES);

	for (unsigned int order = 0; order < NR_ORDERS - 1; order++) {
		struct page *page = buddy_alloc(zone, order, MIGRATE_MOVABLE);

		REQUIRE(t, page);
		EXPECT(t, IS_ALIGNED(zone_index(zone, page), 1u << order));
		EXPECT_OK(t, buddy_check(zone));
	}
	/* 1 + 2 + ... + 512 taken: one page is left. */
	EXPECT_EQ(t, zone->free_pages, 1u);
	EXPECT_EQ(t, buddy_blocks(zone, 0), 1u);
}

KTEST(buddy, two_pageblocks_merge_into_the_largest_block)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct page *pages[2];

	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 2u);
	pages[0] = buddy_alloc(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE);
	pages[1] = buddy_alloc(zone, 0, MIGRATE_MOVABLE);
	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 1u);
	EXPECT_EQ(t, buddy_blocks(zone, PAGEBLOCK_ORDER), 0u);
	buddy_free(zone, pages[1], 0);
	EXPECT_EQ(t, buddy_blocks(zone, PAGEBLOCK_ORDER), 1u);
	EXPECT_OK(t, buddy_check(zone));
	buddy_free(zone, pages[0], PAGEBLOCK_ORDER);
	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 2u);
	EXPECT_OK(t, buddy_check(zone));
}

/* In one batch: a pair, half a pair, a pair the wrong way round, and one whose halves differ in type. */
KTEST(buddy, pageblocks_that_come_back_together_are_pairs)
{
	struct zone *zone = fixture_zone(t, 8 * PAGEBLOCK_PAGES);
	uint32_t indices[8], order[] = {2, 3, 1, 5, 4, 6, 7, 0};

	EXPECT_EQ(t, buddy_take_pageblocks_locked(zone, MIGRATE_MOVABLE, indices, 8), 8u);
	EXPECT_EQ(t, zone->free_pages, 0u);
	buddy_set_migratetype_locked(zone, 7, MIGRATE_CMA);
	for (uint32_t at = 0; at < ARRAY_SIZE(order); at++)
		indices[at] = order[at] * PAGEBLOCK_PAGES;

	buddy_free_pageblocks_locked(zone, indices, 3);
	EXPECT_EQ(t, buddy_blocks(zone, MAX_ORDER), 1u);
	EXPECT_EQ(t, buddy_blocks(zone, PAGEBLOCK_ORDER), 1u);
	EXPECT_OK(t, buddy_check(zone));
	buddy_free_pageblocks_locked(zone, indices + 3, 5);
	EXPECT_EQ(t, zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE], 3u);
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_MOVABLE], 1u);
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_CMA], 1u);
	EXPECT_EQ(t, zone->free_pages, 8 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, buddy_check(zone));
}

/* Lowest first, across the words of their list; what is left over, from a pair that is torn apart. */
KTEST(buddy, a_batch_of_pageblocks_is_taken_pair_by_pair)
{
	const uint32_t pageblocks = ktest_hosted() ? 200 : 60, wanted = pageblocks - 3;
	struct zone *zone = fixture_zone(t, pageblocks * PAGEBLOCK_PAGES);
	uint32_t indices[208];

	EXPECT_EQ(t, buddy_take_pageblocks_locked(zone, MIGRATE_MOVABLE, indices, wanted), wanted);
	for (uint32_t at = 0; at < wanted; at++) {
		EXPECT_EQ(t, indices[at], at * PAGEBLOCK_PAGES);
		EXPECT_EQ(t, zone_tag(zone, indices[at]), TAG_NONE);
	}
	EXPECT_EQ(t, zone->free_blocks[MAX_ORDER][MIGRATE_MOVABLE], 1u);
	EXPECT_EQ(t, zone->free_blocks[PAGEBLOCK_ORDER][MIGRATE_MOVABLE], 1u);
	EXPECT_EQ(t, zone->free_pages, 3 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, buddy_check(zone));

	EXPECT_EQ(t, buddy_take_pageblocks_locked(zone, MIGRATE_MOVABLE, indices + wanted, 3), 3u);
	EXPECT_EQ(t, buddy_take_pageblocks_locked(zone, MIGRATE_MOVABLE, indices + pageblocks, 8), 0u);
	EXPECT_OK(t, buddy_check(zone));
	buddy_free_pageblocks_locked(zone, indices, wanted);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(buddy, the_smallest_sufficient_block_is_taken)
{
	struct zone *zone = fixture_zone(t, 64);
	struct page *first = buddy_alloc(zone, 2, MIGRATE_MOVABLE); /* leaves 4, 8, 16, 32 */

	EXPECT_EQ(t, zone_index(zone, buddy_alloc(zone, 2, MIGRATE_MOVABLE)), zone_index(zone, first) + 4);
	EXPECT_EQ(t, zone_index(zone, buddy_alloc(zone, 1, MIGRATE_MOVABLE)), zone_index(zone, first) + 8);
	EXPECT_EQ(t, zone_index(zone, buddy_alloc(zone, 4, MIGRATE_MOVABLE)), zone_index(zone, first) + 16);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(buddy, a_page_batch_is_of_one_type_and_in_order)
{
	struct zone *zone = fixture_zone(t, 2 * PAGEBLOCK_PAGES);
	uint32_t indices[700], got;

	spin_lock(&zone->lock);
	got = buddy_take_pages_locked(zone, MIGRATE_MOVABLE, indices, 700);
	spin_unlock(&zone->lock);
	EXPECT_EQ(t, got, 700u);
	for (uint32_t at = 0; at < got; at++)
		EXPECT_EQ(t, indices[at], at);
	EXPECT_OK(t, buddy_check(zone));
	spin_lock(&zone->lock);
	EXPECT_EQ(t, buddy_take_pages_locked(zone, MIGRATE_UNMOVABLE, indices, 1), 0u);
	EXPECT_EQ(t, buddy_take_pages_locked(zone, MIGRATE_MOVABLE, indices, 700), 324u);
	spin_unlock(&zone->lock);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(buddy, free_blocks_follow_their_pageblocks_type)
{
	struct zone *zone = fixture_zone(t, 2 * PAGEBLOCK_PAGES);

	REQUIRE(t, buddy_alloc(zone, 3, MIGRATE_MOVABLE));
	spin_lock(&zone->lock);
	EXPECT_EQ(t, buddy_set_migratetype_locked(zone, 0, MIGRATE_RECLAIMABLE), PAGEBLOCK_PAGES - 8);
	EXPECT_EQ(t, zone->free_blocks[3][MIGRATE_RECLAIMABLE], 1u);
	EXPECT_EQ(t, zone->free_blocks[3][MIGRATE_MOVABLE], 0u);
	EXPECT_EQ(t, buddy_set_migratetype_locked(zone, 1, MIGRATE_ISOLATE), PAGEBLOCK_PAGES);
	spin_unlock(&zone->lock);
	EXPECT_OK(t, buddy_check(zone));
	EXPECT(t, !buddy_alloc(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE));
}

/* ---- against a model ----------------------------------------------------------------------------------------------
 */

struct model {
	struct zone *zone;
	struct rand rand;
	uint8_t *taken; /* a byte per page */
	uint32_t blocks[2048];
	uint8_t orders[2048];
	uint32_t count;
	uint64_t pages;
};

static void model_take(struct ktest *t, struct model *model)
{
	unsigned int order = (unsigned int)rand_below(&model->rand, NR_ORDERS);
	struct page *page =
		buddy_alloc(model->zone, order, (enum migratetype)rand_below(&model->rand, MIGRATE_PCPTYPES));
	uint32_t index;

	if (!page || model->count == ARRAY_SIZE(model->blocks))
		return;
	index = zone_index(model->zone, page);
	EXPECT(t, IS_ALIGNED(index, 1u << order));
	for (uint32_t at = index; at < index + (1u << order); at++) {
		EXPECT_EQ(t, model->taken[at], 0);
		model->taken[at] = 1;
	}
	model->blocks[model->count] = index;
	model->orders[model->count++] = (uint8_t)order;
	model->pages += 1u << order;
}

static void model_free(struct model *model)
{
	uint32_t at = (uint32_t)rand_below(&model->rand, model->count);
	unsigned int order = model->orders[at];

	buddy_free(model->zone, zone_page(model->zone, model->blocks[at]), order);
	memset(model->taken + model->blocks[at], 0, 1u << order);
	model->pages -= 1u << order;
	model->blocks[at] = model->blocks[--model->count];
	model->orders[at] = model->orders[model->count];
}

static void run_model(struct ktest *t, uint64_t pages, unsigned int steps)
{
	static struct model model; /* too large for a kernel stack */
	static uint8_t taken[8 * PAGEBLOCK_PAGES];
	uint64_t all;

	memset(taken, 0, sizeof(taken));
	model = (struct model){.zone = fixture_zone(t, pages), .taken = taken};
	rand_seed(&model.rand, ktest_seed(t));
	all = model.zone->free_pages;
	EXPECT_EQ(t, all, pages);
	for (unsigned int step = 0; step < steps; step++) {
		if (rand_below(&model.rand, 100) < 55 || !model.count)
			model_take(t, &model);
		else
			model_free(&model);
		EXPECT_EQ(t, model.zone->free_pages, all - model.pages);
		if (step % 64 == 0)
			REQUIRE_OK(t, buddy_check(model.zone));
	}
	while (model.count)
		model_free(&model);
	EXPECT_EQ(t, model.zone->free_pages, all);
	EXPECT_OK(t, buddy_check(model.zone));
}

KTEST(buddy, random_orders_and_types_agree_with_a_model)
{
	run_model(t, 8 * PAGEBLOCK_PAGES, ktest_hosted() ? 20000 : 1500);
}

KTEST(buddy, random_use_of_an_odd_zone_agrees_with_a_model)
{
	run_model(t, 3 * PAGEBLOCK_PAGES + 77, ktest_hosted() ? 20000 : 1500);
}

/* Takes all of a zone of @pageblocks but eight pages of the first and one page of the second, and what is behind. */
static struct zone *zone_with_a_crumb(struct ktest *t, uint32_t pageblocks)
{
	struct zone *zone = fixture_zone(t, (uint64_t)pageblocks * PAGEBLOCK_PAGES);

	spin_lock(&zone->lock);
	for (uint32_t number = 0; number < 2; number++)
		EXPECT_EQ(t, buddy_take_locked(zone, PAGEBLOCK_ORDER, MIGRATE_MOVABLE), number * PAGEBLOCK_PAGES);
	buddy_free_locked(zone, 0, 3);
	buddy_free_locked(zone, PAGEBLOCK_PAGES, 0);
	spin_unlock(&zone->lock);
	return zone;
}

static uint32_t take_a_page(struct zone *zone)
{
	uint32_t index = ZONE_INDEX_NONE;

	spin_lock(&zone->lock);
	(void)buddy_take_pages_locked(zone, MIGRATE_MOVABLE, &index, 1);
	spin_unlock(&zone->lock);
	return index;
}

/* Regression: single pages used up the larger blocks beside many holes, and larger requests had to mix. */
KTEST(buddy, single_pages_take_crumbs_first_where_memory_is_short)
{
	struct zone *zone = zone_with_a_crumb(t, 2);

	EXPECT_EQ(t, take_a_page(zone), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, take_a_page(zone), 0u);
	zone = zone_with_a_crumb(t, 4);
	EXPECT_EQ(t, take_a_page(zone), 0u);
	EXPECT_OK(t, buddy_check(zone));
}
