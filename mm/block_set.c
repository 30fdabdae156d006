/*
 * The colder parts of block sets: shape, iteration, verification. See mm/block_set.h for the idea.
 */
#include "mm/block_set.h"

#include "kernel/panic.h"

void block_set_shape_init(struct block_set_shape *shape, uint32_t count)
{
	uint32_t words = MAX(DIV_ROUND_UP(count, 64), 1u);

	*shape = (struct block_set_shape){0};
	for (;;) {
		ASSERT(shape->levels < BLOCK_SET_LEVELS);
		shape->offset[shape->levels++] = shape->words;
		shape->words += words;
		if (words == 1)
			return;
		words = DIV_ROUND_UP(words, 64);
	}
}

/* The first member at or after @from among the words of @level, or BLOCK_SET_NONE. */
static uint32_t next_on_level(const struct block_set_shape *shape, const uint64_t *words, uint32_t level, uint32_t from)
{
	uint32_t end = level + 1 < shape->levels ? shape->offset[level + 1] : shape->words;
	uint32_t at = shape->offset[level] + from / 64;
	uint64_t rest;

	if (at >= end)
		return BLOCK_SET_NONE;
	rest = words[at] & ~0ull << from % 64;
	if (rest)
		return ALIGN_DOWN(from, 64u) + (uint32_t)__builtin_ctzll(rest);
	if (level + 1 == shape->levels)
		return BLOCK_SET_NONE;
	from = next_on_level(shape, words, level + 1, from / 64 + 1);
	if (from == BLOCK_SET_NONE)
		return BLOCK_SET_NONE;
	return from * 64 + (uint32_t)__builtin_ctzll(words[shape->offset[level] + from]);
}

uint32_t block_set_next(const struct block_set_shape *shape, const uint64_t *words, uint32_t from)
{
	return next_on_level(shape, words, 0, from);
}

bool block_set_is_sound(const struct block_set_shape *shape, const uint64_t *words)
{
	for (uint32_t level = 0; level + 1 < shape->levels; level++)
		for (uint32_t at = 0; at < shape->offset[level + 1] - shape->offset[level]; at++)
			if (block_set_has(words + shape->offset[level + 1], at) != !!words[shape->offset[level] + at])
				return false;
	return true;
}
