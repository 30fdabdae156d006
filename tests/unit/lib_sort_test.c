/*
 * Sorted, nothing lost: random arrays of several element sizes, and the shapes that break naive sorts.
 */
#include "kernel/ktest.h"
#include "lib/rand.h"
#include "lib/sort.h"
#include "lib/string.h"

struct wide {
	uint32_t key;
	char payload[252];
};
_Static_assert(sizeof(struct wide) == 256, "the largest element allowed");

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_wide(const void *a, const void *b)
{
	return compare_u64(&(uint64_t){((const struct wide *)a)->key}, &(uint64_t){((const struct wide *)b)->key});
}

static bool is_sorted(const uint64_t *numbers, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (numbers[i - 1] > numbers[i])
			return false;
	return true;
}

KTEST(lib_sort, random_numbers_of_every_small_count)
{
	uint64_t numbers[70];
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	for (size_t count = 0; count <= ARRAY_SIZE(numbers); count++) {
		uint64_t before = 0, after = 0;

		for (size_t i = 0; i < count; i++)
			before += numbers[i] = rand_below(&rand, 50) << 33;
		sort(numbers, count, sizeof(*numbers), compare_u64);
		for (size_t i = 0; i < count; i++)
			after += numbers[i];
		EXPECT_EQ(t, after, before);
		REQUIRE(t, is_sorted(numbers, count));
	}
}

KTEST(lib_sort, rising_falling_and_equal)
{
	uint64_t rising[100], falling[100], equal[100];

	for (size_t i = 0; i < 100; i++) {
		rising[i] = i;
		falling[i] = 99 - i;
		equal[i] = 5;
	}
	sort(rising, 100, 8, compare_u64);
	sort(falling, 100, 8, compare_u64);
	sort(equal, 100, 8, compare_u64);
	for (size_t i = 0; i < 100; i++) {
		EXPECT_EQ(t, rising[i], i);
		EXPECT_EQ(t, falling[i], i);
		EXPECT_EQ(t, equal[i], 5u);
	}
}

KTEST(lib_sort, elements_move_whole)
{
	static struct wide wide[20];

	for (uint32_t i = 0; i < 20; i++) {
		wide[i].key = i * 7 % 20;
		memset(wide[i].payload, (int)wide[i].key, sizeof(wide[i].payload));
	}
	sort(wide, 20, sizeof(*wide), compare_wide);
	for (uint32_t i = 0; i < 20; i++) {
		EXPECT_EQ(t, wide[i].key, i);
		EXPECT_EQ(t, wide[i].payload[0], (char)i);
		EXPECT_EQ(t, wide[i].payload[251], (char)i);
	}
}
