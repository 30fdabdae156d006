/*
 * Bit ranges, a word at a time: the first and the last word are masked, those between are taken whole.
 */
#include "lib/bitmap.h"

/* The bits of word @index that lie in [from, end); the word must overlap the range. */
static inline uint64_t word_mask(size_t index, size_t from, size_t end)
{
	size_t base = index * BITS_PER_WORD;
	uint64_t mask = ~0ull;

	if (from > base)
		mask &= ~0ull << (from - base);
	if (end - base < BITS_PER_WORD)
		mask &= ~(~0ull << (end - base));
	return mask;
}

void bitmap_set_range(uint64_t *map, size_t from, size_t count)
{
	size_t end = from + count;

	for (size_t at = from / BITS_PER_WORD; at * BITS_PER_WORD < end; at++)
		map[at] |= word_mask(at, from, end);
}

void bitmap_clear_range(uint64_t *map, size_t from, size_t count)
{
	size_t end = from + count;

	for (size_t at = from / BITS_PER_WORD; at * BITS_PER_WORD < end; at++)
		map[at] &= ~word_mask(at, from, end);
}

/* The first bit in [from, end) that is set after xor with @flip, or end. */
static size_t next_bit(const uint64_t *map, size_t end, size_t from, uint64_t flip)
{
	if (from >= end)
		return end;
	for (size_t at = from / BITS_PER_WORD; at * BITS_PER_WORD < end; at++) {
		uint64_t word = (map[at] ^ flip) & word_mask(at, from, end);

		if (word)
			return at * BITS_PER_WORD + (size_t)__builtin_ctzll(word);
	}
	return end;
}

size_t bitmap_next_set(const uint64_t *map, size_t end, size_t from)
{
	return next_bit(map, end, from, 0);
}

size_t bitmap_next_clear(const uint64_t *map, size_t end, size_t from)
{
	return next_bit(map, end, from, ~0ull);
}

/* Adds neighbouring bits, then pairs, then nibbles; without a library call, which the guest would not have.
 */
static inline unsigned int count_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555ull;
	word = (word & 0x3333333333333333ull) + (word >> 2 & 0x3333333333333333ull);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned int)(word * 0x0101010101010101ull >> 56);
}

size_t bitmap_count(const uint64_t *map, size_t from, size_t end)
{
	size_t count = 0;

	if (from >= end)
		return 0;
	for (size_t at = from / BITS_PER_WORD; at * BITS_PER_WORD < end; at++)
		count += count_bits(map[at] & word_mask(at, from, end));
	return count;
}
