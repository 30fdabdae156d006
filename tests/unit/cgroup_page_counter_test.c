/*
 * Page counters: limits that hold, stocks that are given back, transfers past common ancestors.
 */
#include "cgroup/page_counter.h"

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/rand.h"

static void drain(void *argument UNUSED)
{
	page_counter_drain();
}

KTEST(page_counter, a_charge_counts_in_all_ancestors_or_in_none)
{
	struct page_counter root, middle, leaf, *full = NULL;

	page_counter_init(&root, NULL);
	page_counter_init(&middle, &root);
	page_counter_init(&leaf, &middle);
	page_counter_set_max(&root, 100);
	EXPECT_OK(t, page_counter_try_charge(&leaf, 60, NULL));
	EXPECT_EQ(t, page_counter_try_charge(&leaf, 41, &full), -ENOMEM);
	EXPECT(t, full == &root);
	EXPECT_EQ(t, root.failed, 1u);
	EXPECT_EQ(t, leaf.usage, 60u);
	EXPECT_EQ(t, middle.usage, 60u);
	EXPECT_EQ(t, root.usage, 60u);
	EXPECT_OK(t, page_counter_try_charge(&middle, 40, NULL));
	page_counter_uncharge(&leaf, 60);
	page_counter_uncharge(&middle, 40);
	EXPECT_EQ(t, page_counter_read(&root), 0u);
	EXPECT_EQ(t, leaf.usage, 0u);
	EXPECT_EQ(t, root.peak, 100u);
}

KTEST(page_counter, huge_amounts_do_not_wrap)
{
	struct page_counter counter;

	page_counter_init(&counter, NULL);
	EXPECT_OK(t, page_counter_try_charge(&counter, PAGE_COUNTER_MAX - 1, NULL));
	EXPECT_EQ(t, page_counter_try_charge(&counter, UINT64_MAX, NULL), -ENOMEM);
	EXPECT_EQ(t, page_counter_try_charge(&counter, 2, NULL), -ENOMEM);
	EXPECT_OK(t, page_counter_try_charge(&counter, 1, NULL));
	page_counter_uncharge(&counter, PAGE_COUNTER_MAX);
	EXPECT_EQ(t, page_counter_read(&counter), 0u);
}

KTEST(page_counter, a_limit_full_of_stocks_is_not_full)
{
	struct page_counter root, a, b;

	ktest_defer(t, drain, NULL);
	page_counter_init(&root, NULL);
	page_counter_init(&a, &root);
	page_counter_init(&b, &root);
	page_counter_set_max(&root, 10);
	EXPECT_OK(t, page_counter_try_charge(&a, 10, NULL));
	page_counter_uncharge(&a, 10); /* now in this CPU's stock */
	EXPECT_OK(t, page_counter_try_charge(&b, 10, NULL));
	EXPECT_EQ(t, root.failed, 0u);
	EXPECT_EQ(t, page_counter_try_charge(&a, 1, NULL), -ENOMEM);
	page_counter_uncharge(&b, 10);
	EXPECT_EQ(t, page_counter_read(&root), 0u);
}

KTEST(page_counter, a_transfer_leaves_common_ancestors_alone)
{
	struct page_counter root, left, right, leaf;

	ktest_defer(t, drain, NULL);
	page_counter_init(&root, NULL);
	page_counter_init(&left, &root);
	page_counter_init(&right, &root);
	page_counter_init(&leaf, &right);
	page_counter_set_max(&root, 8);
	page_counter_set_max(&leaf, 6);
	EXPECT_OK(t, page_counter_try_charge(&left, 8, NULL));
	EXPECT_EQ(t, page_counter_transfer(&left, &leaf, 7), -ENOMEM);
	EXPECT_EQ(t, left.usage, 8u);
	EXPECT_EQ(t, leaf.usage, 0u);
	EXPECT_OK(t, page_counter_transfer(&left, &leaf, 6));
	EXPECT_EQ(t, left.usage, 2u);
	EXPECT_EQ(t, right.usage, 6u);
	EXPECT_EQ(t, leaf.usage, 6u);
	EXPECT_EQ(t, root.usage, 8u);
	EXPECT_EQ(t, root.peak, 8u);
	EXPECT_OK(t, page_counter_transfer(&leaf, &right, 6)); /* to an ancestor */
	EXPECT_EQ(t, leaf.usage, 0u);
	EXPECT_EQ(t, right.usage, 6u);
	page_counter_uncharge(&right, 6);
	page_counter_uncharge(&left, 2);
	EXPECT_EQ(t, page_counter_read(&root), 0u);
}

#define DEPTH	5
#define THREADS 4

struct tree {
	struct page_counter levels[DEPTH][THREADS]; /* [0][0] is the root; each level halves the branches */
	uint32_t above_limit;
};

static void check_limits(struct tree *tree, struct page_counter *at)
{
	for (; at; at = at->parent)
		if (load_relaxed(&at->usage) > at->max)
			atomic_inc(&tree->above_limit);
}

struct charger {
	struct tree *tree;
	struct page_counter *leaf;
	uint64_t seed;
};

static int charge_at_random(void *argument)
{
	struct charger *charger = argument;
	uint64_t held[16] = {0};
	struct rand rand;

	rand_seed(&rand, charger->seed);
	for (int i = 0; i < 20000; i++) {
		size_t slot = rand_below(&rand, 16);

		if (held[slot]) {
			page_counter_uncharge(charger->leaf, held[slot]);
			held[slot] = 0;
		} else {
			uint64_t pages = 1 + rand_below(&rand, 90);

			if (!page_counter_try_charge(charger->leaf, pages, NULL))
				held[slot] = pages;
		}
		check_limits(charger->tree, charger->leaf);
	}
	for (size_t i = 0; i < 16; i++)
		if (held[i])
			page_counter_uncharge(charger->leaf, held[i]);
	return 0;
}

KTEST(page_counter, limits_hold_under_concurrency_and_all_returns_to_zero)
{
	static struct tree tree;
	struct charger chargers[THREADS];
	struct thread *threads[THREADS];
	uint64_t seed = ktest_seed(t);

	tree.above_limit = 0;
	for (int level = 0; level < DEPTH; level++)
		for (int i = 0; i < THREADS; i++) {
			page_counter_init(&tree.levels[level][i],
					  level ? &tree.levels[level - 1][level == 1 ? 0 : i / 2] : NULL);
			page_counter_set_max(&tree.levels[level][i], level == 0 ? 900 : level == 3 ? 400 : 700);
		}
	for (int i = 0; i < THREADS; i++) {
		chargers[i] = (struct charger){&tree, &tree.levels[DEPTH - 1][i], seed + i};
		threads[i] = thread_spawn("charger", charge_at_random, &chargers[i]);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	page_counter_drain();
	EXPECT_EQ(t, tree.above_limit, 0u);
	for (int level = 0; level < DEPTH; level++)
		for (int i = 0; i < THREADS; i++)
			EXPECT_EQ(t, tree.levels[level][i].usage, 0u);
	EXPECT(t, tree.levels[0][0].failed + tree.levels[3][0].failed + tree.levels[3][1].failed > 0);
}
