/*
 * The bits of one pageblock: aligned runs of ones, found a word of 64 pages at a time.
 *
 * Up to 32 pages a run lies within a word and is found by folding the word onto itself: after the fold for order k a
 * bit at a multiple of 2^k says that the 2^k bits from there are all ones. Larger runs are whole words.
 */
#include "mm/pageblock.h"

#include "lib/string.h"

bool pageblock_words_are(const struct pageblock *pageblock, unsigned int first, unsigned int order, uint64_t value)
{
	const uint64_t *word = &pageblock->map[first / 64];

	for (unsigned int at = 0; at < 1u << (order - PAGEBLOCK_WORD_ORDER); at++)
		if (word[at] != value)
			return false;
	return true;
}

/* The bits of [first, end) that lie in word @at. */
static uint64_t range_mask(unsigned int at, unsigned int first, unsigned int end)
{
	uint64_t mask = ~0ull;

	if (first > at * 64)
		mask &= ~0ull << first % 64;
	if (end < (at + 1) * 64)
		mask &= ~(~0ull << end % 64);
	return mask;
}

void pageblock_set_taken(struct pageblock *pageblock, unsigned int first, unsigned int pages)
{
	for (unsigned int at = first / 64; at * 64 < first + pages; at++)
		pageblock->map[at] &= ~range_mask(at, first, first + pages);
}

void pageblock_fill(struct pageblock *pageblock, bool free)
{
	for (unsigned int at = 0; at < PAGEBLOCK_WORDS; at++)
		pageblock->map[at] = free ? ~0ull : 0;
}

/* Bits at all multiples of 2^order: 0x5555... for 1, 0x1111... for 2. */
static uint64_t aligned_bits(unsigned int order)
{
	return order >= PAGEBLOCK_WORD_ORDER ? 1 : ~0ull / ((1ull << (1u << order)) - 1);
}

/* A bit at the start of each free block of exactly 2^order pages, for orders within a word. */
static uint64_t blocks_in_word(uint64_t word, unsigned int order)
{
	uint64_t pairs;

	for (unsigned int fold = 0; fold < order; fold++)
		word &= word >> (1u << fold);
	if (order)
		word &= aligned_bits(order);
	/* What has a free buddy belongs to a larger block. */
	pairs = word & word >> (1u << order) & aligned_bits(order + 1);
	return word & ~(pairs | pairs << (1u << order));
}

static unsigned int find_in_words(const struct pageblock *pageblock, unsigned int order, unsigned int from)
{
	for (unsigned int at = from / 64; at < PAGEBLOCK_WORDS; at++) {
		uint64_t starts = blocks_in_word(pageblock->map[at], order);

		if (at == from / 64)
			starts &= ~0ull << from % 64;
		if (starts)
			return at * 64 + (unsigned int)__builtin_ctzll(starts);
	}
	return PAGEBLOCK_PAGES;
}

unsigned int pageblock_find(const struct pageblock *pageblock, unsigned int order, unsigned int from)
{
	if (order < PAGEBLOCK_WORD_ORDER)
		return find_in_words(pageblock, order, from);
	for (unsigned int at = ALIGN_UP(from, 1u << order); at < PAGEBLOCK_PAGES; at += 1u << order)
		if (pageblock_run_is_free(pageblock, at, order) &&
		    !pageblock_run_is_free(pageblock, at ^ 1u << order, order))
			return at;
	return PAGEBLOCK_PAGES;
}

static unsigned int count_bits(uint64_t word)
{
	unsigned int bits = 0;

	for (; word; word &= word - 1)
		bits++;
	return bits;
}

/* Folds a word step by step, counting at each what does not become part of a larger block; true if all of it is free.
 */
static bool count_in_word(uint64_t word, uint16_t counts[PAGEBLOCK_ORDER])
{
	for (unsigned int order = 0; order < PAGEBLOCK_WORD_ORDER && word; order++) {
		uint64_t pairs = word & word >> (1u << order) & aligned_bits(order + 1);

		counts[order] += count_bits(word & ~(pairs | pairs << (1u << order)));
		word = pairs;
	}
	return word;
}

void pageblock_count(const struct pageblock *pageblock, uint16_t counts[PAGEBLOCK_ORDER])
{
	unsigned int full = 0;

	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++)
		counts[order] = 0;
	for (unsigned int at = 0; at < PAGEBLOCK_WORDS; at++)
		full |= (unsigned int)count_in_word(pageblock->map[at], counts) << at;
	for (unsigned int order = PAGEBLOCK_WORD_ORDER; order < PAGEBLOCK_ORDER; order++) {
		unsigned int step = 1u << (order - PAGEBLOCK_WORD_ORDER), pairs = 0;

		for (unsigned int at = 0; at < PAGEBLOCK_WORDS; at += 2 * step) {
			bool first = full >> at & 1, second = full >> (at + step) & 1;

			counts[order] += first != second;
			pairs |= (unsigned int)(first && second) << at;
		}
		full = pairs;
	}
}
