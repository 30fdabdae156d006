/*
 * The generator gives what the published algorithm gives, is repeatable, and is fair within bounds.
 */
#include "kernel/ktest.h"
#include "lib/rand.h"

KTEST(lib_rand, gives_the_published_sequence)
{
	/* State {1, 2, 3, 4}: the first values by the definition, 1: rotl(2*5, 7)*9, and so on. */
	struct rand rand = {.state = {1, 2, 3, 4}};

	EXPECT_EQ(t, rand_u64(&rand), 11520ull);
	EXPECT_EQ(t, rand_u64(&rand), 0ull);
	EXPECT_EQ(t, rand_u64(&rand), 1509978240ull);
	EXPECT_EQ(t, rand_u64(&rand), 1215971899390074240ull);
}

KTEST(lib_rand, seeds_by_splitmix)
{
	struct rand rand;

	rand_seed(&rand, 0);
	EXPECT_EQ(t, rand.state[0], 0xe220a8397b1dcdafull);
	EXPECT_EQ(t, rand.state[1], 0x6e789e6aa1b965f4ull);
	EXPECT_EQ(t, rand.state[2], 0x06c45d188009454full);
	EXPECT_EQ(t, rand.state[3], 0xf88bb8a8724c81ecull);
}

KTEST(lib_rand, seeds_repeat_and_differ)
{
	struct rand a, b, c;
	size_t equal = 0;

	rand_seed(&a, 42);
	rand_seed(&b, 42);
	rand_seed(&c, 43);
	for (size_t i = 0; i < 100; i++) {
		uint64_t x = rand_u64(&a);

		EXPECT_EQ(t, rand_u64(&b), x);
		equal += rand_u64(&c) == x;
	}
	EXPECT_EQ(t, equal, 0u);
}

KTEST(lib_rand, stays_below_its_bound_and_is_even)
{
	struct rand rand;
	size_t seen[7] = {0};

	rand_seed(&rand, ktest_seed(t));
	for (size_t i = 0; i < 7000; i++)
		seen[rand_below(&rand, 7)]++;
	/* 1000 each; 200 away is more than six standard deviations. */
	for (size_t i = 0; i < 7; i++)
		EXPECT(t, seen[i] > 800 && seen[i] < 1200);
	EXPECT_EQ(t, rand_below(&rand, 1), 0u);
}

KTEST(lib_rand, large_bounds_are_fair)
{
	/* With 3/4 of 2^64 a biased way would favour the lowest third two to one. */
	uint64_t bound = 3ull << 62;
	struct rand rand;
	size_t low = 0;

	rand_seed(&rand, ktest_seed(t));
	for (size_t i = 0; i < 3000; i++) {
		uint64_t x = rand_below(&rand, bound);

		REQUIRE(t, x < bound);
		low += x < bound / 3;
	}
	EXPECT(t, low > 850 && low < 1150);
}
