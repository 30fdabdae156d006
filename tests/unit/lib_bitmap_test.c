/*
 * Ranges and searches at every pair of ends across three words, against single bits.
 */
#include "kernel/ktest.h"
#include "lib/bitmap.h"

#define BITS 192u

KTEST(lib_bitmap, ranges_are_exact)
{
	for (size_t from = 0; from <= BITS; from++) {
		for (size_t end = from; end <= BITS; end += 1 + end % 3) {
			uint64_t set[BITMAP_WORDS(BITS)] = {0}, cleared[BITMAP_WORDS(BITS)] = {~0ull, ~0ull, ~0ull};
			size_t wrong = 0;

			bitmap_set_range(set, from, end - from);
			bitmap_clear_range(cleared, from, end - from);
			for (size_t bit = 0; bit < BITS; bit++) {
				bool in = bit >= from && bit < end;

				wrong += bitmap_test(set, bit) != in;
				wrong += bitmap_test(cleared, bit) == in;
			}
			REQUIRE(t, wrong == 0);
			REQUIRE(t, bitmap_count(set, 0, BITS) == end - from);
			REQUIRE(t, bitmap_next_set(set, BITS, 0) == (from == end ? BITS : from));
			REQUIRE(t, bitmap_next_clear(set, BITS, from) == end);
			REQUIRE(t, bitmap_next_clear(cleared, BITS, 0) == (from == end ? BITS : from));
		}
	}
}

KTEST(lib_bitmap, searches_stop_at_their_end)
{
	uint64_t map[2] = {0, 0};

	bitmap_set(map, 100);
	EXPECT_EQ(t, bitmap_next_set(map, 100, 0), 100u);
	EXPECT_EQ(t, bitmap_next_set(map, 99, 3), 99u);
	EXPECT_EQ(t, bitmap_next_set(map, 128, 101), 128u);
	EXPECT_EQ(t, bitmap_next_set(map, 128, 100), 100u);
	EXPECT_EQ(t, bitmap_next_set(map, 50, 60), 50u);
	EXPECT_EQ(t, bitmap_next_set(map, 0, 0), 0u);
	bitmap_clear(map, 100);
	EXPECT_EQ(t, bitmap_next_set(map, 128, 0), 128u);
}

KTEST(lib_bitmap, counts_within_a_range)
{
	uint64_t map[3] = {~0ull, 0x8000000000000001ull, 0xf0f0ull};

	EXPECT_EQ(t, bitmap_count(map, 0, 192), 64u + 2 + 8);
	EXPECT_EQ(t, bitmap_count(map, 10, 20), 10u);
	EXPECT_EQ(t, bitmap_count(map, 63, 66), 2u);
	EXPECT_EQ(t, bitmap_count(map, 65, 127), 0u);
	EXPECT_EQ(t, bitmap_count(map, 20, 10), 0u);
}
