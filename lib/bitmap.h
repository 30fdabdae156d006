/*
 * Arrays of bits, 64 to a word; bit n is word n/64, bit n%64. No locking. Callers own the words.
 */
#pragma once

#include "lib/compiler.h"

#define BITS_PER_WORD	64u
#define BITMAP_WORDS(n) DIV_ROUND_UP(n, BITS_PER_WORD)

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / BITS_PER_WORD] >> (bit % BITS_PER_WORD) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / BITS_PER_WORD] |= 1ull << (bit % BITS_PER_WORD);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / BITS_PER_WORD] &= ~(1ull << (bit % BITS_PER_WORD));
}

/* Ranges are [@from, @from + @count). */
void bitmap_set_range(uint64_t *map, size_t from, size_t count);
void bitmap_clear_range(uint64_t *map, size_t from, size_t count);
/* The first set (clear) bit in [@from, @end), or @end. */
size_t bitmap_next_set(const uint64_t *map, size_t end, size_t from);
size_t bitmap_next_clear(const uint64_t *map, size_t end, size_t from);
/* Set bits in [@from, @end). */
size_t bitmap_count(const uint64_t *map, size_t from, size_t end);
