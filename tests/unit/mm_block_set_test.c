/*
 * Sets of pageblock numbers: lowest member and iteration against an array, at one, two and three levels.
 */
#include "mm/block_set.h"

#include "kernel/ktest.h"
#include "lib/rand.h"
#include "lib/string.h"

static uint64_t words[200];
static uint8_t model[8192];

static uint32_t model_next(uint32_t from, uint32_t count)
{
	while (from < count && !model[from])
		from++;
	return from < count ? from : BLOCK_SET_NONE;
}

/* A random part of a random word's members stays. */
static void keep_some(const struct block_set_shape *shape, struct rand *rand, uint32_t count)
{
	uint32_t at = (uint32_t)rand_below(rand, DIV_ROUND_UP(count, 64));
	uint64_t bits = rand_below(rand, 2) ? words[at] & rand_u64(rand) : 0;

	block_set_keep(shape, words, at, bits);
	for (uint32_t number = at * 64; number < MIN((at + 1) * 64, count); number++)
		model[number] = bits >> number % 64 & 1;
}

static void run(struct ktest *t, uint32_t count, uint32_t levels)
{
	struct block_set_shape shape;
	struct rand rand;

	block_set_shape_init(&shape, count);
	EXPECT_EQ(t, shape.levels, levels);
	REQUIRE(t, shape.words <= ARRAY_SIZE(words));
	memset(words, 0, sizeof(words));
	memset(model, 0, sizeof(model));
	rand_seed(&rand, ktest_seed(t));
	for (unsigned int step = 0; step < (ktest_hosted() ? 4000 : 500); step++) {
		uint32_t number = (uint32_t)rand_below(&rand, count);

		/* Ebb and flow, so that words empty. */
		model[number] = rand_below(&rand, 4) < (step / 500 % 2 ? 3 : 1);
		if (model[number])
			block_set_add(&shape, words, number);
		else
			block_set_remove(&shape, words, number);
		EXPECT_EQ(t, block_set_has(words, number), model[number]);
		if (step % 8 == 0)
			keep_some(&shape, &rand, count);
		EXPECT_EQ(t, block_set_first(&shape, words), model_next(0, count));
		number = (uint32_t)rand_below(&rand, count);
		EXPECT_EQ(t, block_set_next(&shape, words, number), model_next(number, count));
	}
	EXPECT(t, block_set_is_sound(&shape, words));
	for (uint32_t number = 0; number < count; number++)
		block_set_remove(&shape, words, number);
	EXPECT(t, block_set_empty(&shape, words));
	for (uint32_t number = 0; number < count; number++)
		block_set_add(&shape, words, number);
	for (uint32_t at = 0; at < DIV_ROUND_UP(count, 64); at++)
		block_set_keep(&shape, words, at, 0);
	EXPECT(t, block_set_empty(&shape, words) && block_set_is_sound(&shape, words));
	EXPECT_EQ(t, block_set_first(&shape, words), BLOCK_SET_NONE);
}

KTEST(block_set, one_level)
{
	run(t, 1, 1);
	run(t, 64, 1);
}

KTEST(block_set, two_levels)
{
	run(t, 65, 2);
	run(t, 4096, 2);
}

KTEST(block_set, three_levels)
{
	run(t, 8192, 3);
}
