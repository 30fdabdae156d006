/*
 * The sparse set against a plain bitmap; runs up to the very last number; failing memory.
 */
#include "kernel/ktest.h"
#include "kernel/memory.h"
#include "lib/bitmap.h"
#include "lib/rand.h"
#include "lib/sparse_bitmap.h"

#define CHUNK ((uint64_t)SPARSE_BITMAP_CHUNK_BITS)

/* Memory that is counted and can be made to run out. */
static int blocks_in_use;
static int blocks_left;

static void *test_alloc(size_t bytes)
{
	void *memory = NULL;

	if (blocks_left > 0 && bytes <= MIB(1))
		memory = kzalloc(bytes);
	if (memory) {
		blocks_left--;
		blocks_in_use++;
	}
	return memory;
}

static void test_release(void *memory)
{
	blocks_in_use--;
	kfree(memory);
}

static const struct sparse_bitmap_memory test_memory = {.alloc = test_alloc, .release = test_release};

static void new_set(struct sparse_bitmap *set)
{
	blocks_in_use = 0;
	blocks_left = 1000;
	sparse_bitmap_init(set, &test_memory);
}

static int set_range(struct sparse_bitmap *set, uint64_t first, uint64_t last)
{
	int error = sparse_bitmap_reserve(set, first, last);

	for (uint64_t bit = first; !error; bit++) {
		error = sparse_bitmap_set(set, bit);
		if (bit == last)
			break;
	}
	return error;
}

KTEST(lib_sparse_bitmap, sets_tests_and_clears)
{
	struct sparse_bitmap set;

	new_set(&set);
	EXPECT_EQ(t, sparse_bitmap_set(&set, 5), -ENOMEM);
	EXPECT(t, !sparse_bitmap_test(&set, 5));
	EXPECT_EQ(t, sparse_bitmap_clear(&set, 5), -ENOENT);
	EXPECT_OK(t, sparse_bitmap_reserve(&set, 5, 5));
	EXPECT_OK(t, sparse_bitmap_set(&set, 5));
	EXPECT_EQ(t, sparse_bitmap_set(&set, 5), -EEXIST);
	EXPECT_EQ(t, sparse_bitmap_set(&set, CHUNK), -ENOMEM);
	EXPECT_EQ(t, set.nr_bits, 1u);
	EXPECT(t, sparse_bitmap_test(&set, 5));
	EXPECT(t, !sparse_bitmap_test(&set, 6));
	EXPECT(t, !sparse_bitmap_test(&set, 5 + CHUNK));
	EXPECT_OK(t, sparse_bitmap_clear(&set, 5));
	EXPECT_EQ(t, sparse_bitmap_clear(&set, 5), -ENOENT);
	EXPECT_EQ(t, set.nr_bits, 0u);
	sparse_bitmap_destroy(&set);
	EXPECT_EQ(t, blocks_in_use, 0);
}

KTEST(lib_sparse_bitmap, runs_cross_chunks)
{
	struct sparse_bitmap set;
	uint64_t first, last;

	new_set(&set);
	REQUIRE_OK(t, set_range(&set, CHUNK - 2, 2 * CHUNK + 1));
	REQUIRE_OK(t, set_range(&set, 9 * CHUNK, 9 * CHUNK));
	EXPECT(t, sparse_bitmap_next_run(&set, 0, &first, &last));
	EXPECT_EQ(t, first, CHUNK - 2);
	EXPECT_EQ(t, last, 2 * CHUNK + 1);
	EXPECT(t, sparse_bitmap_next_run(&set, CHUNK + 7, &first, &last));
	EXPECT_EQ(t, first, CHUNK + 7);
	EXPECT_EQ(t, last, 2 * CHUNK + 1);
	EXPECT(t, sparse_bitmap_next_run(&set, last + 1, &first, &last));
	EXPECT_EQ(t, first, 9 * CHUNK);
	EXPECT_EQ(t, last, 9 * CHUNK);
	EXPECT(t, !sparse_bitmap_next_run(&set, last + 1, &first, &last));
	sparse_bitmap_destroy(&set);
}

KTEST(lib_sparse_bitmap, a_run_ends_where_the_next_chunk_is_absent)
{
	struct sparse_bitmap set;
	uint64_t first, last;

	new_set(&set);
	REQUIRE_OK(t, set_range(&set, CHUNK - 1, CHUNK - 1));
	REQUIRE_OK(t, set_range(&set, 2 * CHUNK, 2 * CHUNK));
	EXPECT(t, sparse_bitmap_next_run(&set, 0, &first, &last));
	EXPECT_EQ(t, first, CHUNK - 1);
	EXPECT_EQ(t, last, CHUNK - 1);
	sparse_bitmap_destroy(&set);
}

KTEST(lib_sparse_bitmap, the_last_number_of_all)
{
	struct sparse_bitmap set;
	uint64_t first = 0, last = 0;

	new_set(&set);
	REQUIRE_OK(t, set_range(&set, UINT64_MAX - 9, UINT64_MAX));
	EXPECT(t, sparse_bitmap_next_run(&set, 0, &first, &last));
	EXPECT_EQ(t, first, UINT64_MAX - 9);
	EXPECT_EQ(t, last, UINT64_MAX);
	EXPECT(t, sparse_bitmap_next_run(&set, UINT64_MAX, &first, &last));
	EXPECT_EQ(t, first, UINT64_MAX);
	EXPECT_OK(t, sparse_bitmap_reserve(&set, 0, 0));
	EXPECT_OK(t, sparse_bitmap_set(&set, 0));
	EXPECT_EQ(t, set.nr_bits, 11u);
	sparse_bitmap_destroy(&set);
}

KTEST(lib_sparse_bitmap, a_failed_reservation_changes_nothing)
{
	struct sparse_bitmap set;

	new_set(&set);
	REQUIRE_OK(t, set_range(&set, 3 * CHUNK, 3 * CHUNK));
	for (int left = 0; left < 8; left++) {
		int before = blocks_in_use;

		blocks_left = left;
		EXPECT_EQ(t, sparse_bitmap_reserve(&set, 0, 9 * CHUNK), -ENOMEM);
		EXPECT_EQ(t, blocks_in_use, before);
		EXPECT_EQ(t, sparse_bitmap_set(&set, 1), -ENOMEM);
		EXPECT(t, sparse_bitmap_test(&set, 3 * CHUNK));
	}
	blocks_left = 100;
	EXPECT_EQ(t, sparse_bitmap_reserve(&set, 0, UINT64_MAX), -ENOMEM); /* absurd, refused at once */
	EXPECT_OK(t, sparse_bitmap_reserve(&set, 0, 9 * CHUNK));
	EXPECT_OK(t, sparse_bitmap_set(&set, 1));
	sparse_bitmap_destroy(&set);
	EXPECT_EQ(t, blocks_in_use, 0);
}

KTEST(lib_sparse_bitmap, trimming_keeps_what_is_set)
{
	struct sparse_bitmap set;

	new_set(&set);
	REQUIRE_OK(t, sparse_bitmap_reserve(&set, 0, 9 * CHUNK));
	REQUIRE_OK(t, sparse_bitmap_set(&set, 4 * CHUNK));
	sparse_bitmap_trim(&set);
	EXPECT_EQ(t, blocks_in_use, 2); /* the array and one chunk */
	EXPECT(t, sparse_bitmap_test(&set, 4 * CHUNK));
	EXPECT_EQ(t, sparse_bitmap_set(&set, 5 * CHUNK), -ENOMEM);
	sparse_bitmap_destroy(&set);
}

/* Chunks far apart: bit i of the model is the i-th bit of one of four distant chunks. */
#define MODEL_BITS (4 * SPARSE_BITMAP_CHUNK_BITS)

static uint64_t model_position(size_t bit)
{
	static const uint64_t chunk[4] = {0, 1, 77, 1ull << 40};

	return chunk[bit / CHUNK] * CHUNK + bit % CHUNK;
}

KTEST(lib_sparse_bitmap, agrees_with_a_plain_bitmap)
{
	static uint64_t model[BITMAP_WORDS(MODEL_BITS)];
	struct sparse_bitmap set;
	struct rand rand;
	uint64_t from = 0, first, last, told = 0;

	new_set(&set);
	rand_seed(&rand, ktest_seed(t));
	bitmap_clear_range(model, 0, MODEL_BITS);
	for (size_t i = 4; i-- > 0;)
		REQUIRE_OK(t, sparse_bitmap_reserve(&set, model_position(i * CHUNK), model_position(i * CHUNK)));
	for (size_t i = 0; i < 20000; i++) {
		size_t bit = rand_below(&rand, MODEL_BITS);
		bool was = bitmap_test(model, bit);

		REQUIRE(t, sparse_bitmap_test(&set, model_position(bit)) == was);
		if (rand_u64(&rand) & 1) {
			REQUIRE(t, sparse_bitmap_set(&set, model_position(bit)) == (was ? -EEXIST : 0));
			bitmap_set(model, bit);
		} else {
			REQUIRE(t, sparse_bitmap_clear(&set, model_position(bit)) == (was ? 0 : -ENOENT));
			bitmap_clear(model, bit);
		}
	}
	EXPECT_EQ(t, set.nr_bits, bitmap_count(model, 0, MODEL_BITS));
	while (sparse_bitmap_next_run(&set, from, &first, &last)) {
		REQUIRE(t, first >= from && last >= first);
		for (uint64_t bit = first; bit <= last; bit++)
			REQUIRE(t, sparse_bitmap_test(&set, bit));
		told += last - first + 1;
		from = last + 1;
		EXPECT(t, !sparse_bitmap_test(&set, from));
	}
	EXPECT_EQ(t, told, set.nr_bits);
	sparse_bitmap_destroy(&set);
	EXPECT_EQ(t, blocks_in_use, 0);
}

KTEST(lib_sparse_bitmap, ranges_are_set_and_cleared_whole_or_not_at_all)
{
	static const uint64_t begins[] = {0, CHUNK - 3, 5 * CHUNK, UINT64_MAX - 2 * CHUNK};
	struct sparse_bitmap set;

	new_set(&set);
	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		uint64_t first = begins[i], last = first + 2 * CHUNK, found_first, found_last;

		EXPECT_EQ(t, sparse_bitmap_set_range(&set, first, last), -ENOMEM);
		EXPECT_OK(t, sparse_bitmap_reserve(&set, first, last));
		EXPECT_OK(t, sparse_bitmap_set_range(&set, first, last));
		EXPECT_EQ(t, set.nr_bits, 2 * CHUNK + 1);
		EXPECT(t, sparse_bitmap_next_run(&set, 0, &found_first, &found_last));
		EXPECT(t, found_first == first && found_last == last);
		EXPECT_EQ(t, sparse_bitmap_set_range(&set, last, last), -EEXIST);
		EXPECT_OK(t, sparse_bitmap_clear(&set, last));
		EXPECT_EQ(t, sparse_bitmap_set_range(&set, first, last), -EEXIST);
		EXPECT_EQ(t, sparse_bitmap_clear_range(&set, first, last), -ENOENT);
		EXPECT_EQ(t, set.nr_bits, 2 * CHUNK);
		EXPECT_OK(t, sparse_bitmap_clear_range(&set, first, last - 1));
		EXPECT_EQ(t, set.nr_bits, 0u);
		EXPECT(t, !sparse_bitmap_next_run(&set, 0, &found_first, &found_last));
		sparse_bitmap_trim(&set);
	}
	sparse_bitmap_destroy(&set);
	EXPECT_EQ(t, blocks_in_use, 0);
}
