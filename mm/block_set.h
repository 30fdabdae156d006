/*
 * A set of pageblock numbers that finds its lowest member in a few instructions, for the free lists.
 *
 * A pyramid of bits: a word of level l + 1 has a bit for every word of level l that is not 0; the top level is one
 * word. All sets of a zone have one shape and own nothing but their words. The lowest number comes first by design:
 * allocations gather at low addresses, and whole blocks at the top stay whole.
 * No locking of their own.
 */
#pragma once

#include "lib/compiler.h"

#define BLOCK_SET_LEVELS 4 /* 64^4 pageblocks, 32 TiB */
#define BLOCK_SET_NONE	 UINT32_MAX

struct block_set_shape {
	uint32_t levels;
	uint32_t offset[BLOCK_SET_LEVELS]; /* of a level's first word */
	uint32_t words;			   /* of a set, altogether */
};

/* For numbers below @count. */
void block_set_shape_init(struct block_set_shape *shape, uint32_t count);
/* The first member at or after @from, or BLOCK_SET_NONE. */
uint32_t block_set_next(const struct block_set_shape *shape, const uint64_t *words, uint32_t from);
/* Every upper bit says truly whether its word is empty. */
bool block_set_is_sound(const struct block_set_shape *shape, const uint64_t *words);

static inline void block_set_add(const struct block_set_shape *shape, uint64_t *words, uint32_t number)
{
	for (uint32_t level = 0; level < shape->levels; level++) {
		uint64_t *word = &words[shape->offset[level] + number / 64];
		uint64_t old = *word;

		*word = old | 1ull << number % 64;
		if (old)
			return;
		number /= 64;
	}
}

static inline void block_set_remove(const struct block_set_shape *shape, uint64_t *words, uint32_t number)
{
	for (uint32_t level = 0; level < shape->levels; level++) {
		uint64_t *word = &words[shape->offset[level] + number / 64];

		*word &= ~(1ull << number % 64);
		if (*word)
			return;
		number /= 64;
	}
}

/* Of the members in the lowest level's word @at only @bits stay. */
static inline void block_set_keep(const struct block_set_shape *shape, uint64_t *words, uint32_t at, uint64_t bits)
{
	words[at] = bits;
	for (uint32_t level = 1; !bits && level < shape->levels; level++) {
		uint64_t *word = &words[shape->offset[level] + at / 64];

		bits = *word &= ~(1ull << at % 64);
		at /= 64;
	}
}

static inline bool block_set_has(const uint64_t *words, uint32_t number)
{
	return words[number / 64] >> number % 64 & 1;
}

static inline bool block_set_empty(const struct block_set_shape *shape, const uint64_t *words)
{
	return !words[shape->words - 1];
}

/* The lowest member, or BLOCK_SET_NONE. */
static inline uint32_t block_set_first(const struct block_set_shape *shape, const uint64_t *words)
{
	uint32_t number = 0;

	if (block_set_empty(shape, words))
		return BLOCK_SET_NONE;
	for (uint32_t level = shape->levels; level--;)
		number = number * 64 + (uint32_t)__builtin_ctzll(words[shape->offset[level] + number]);
	return number;
}
