/*
 * Chunks of 4096 bits behind a sorted array of pointers.
 *
 * A bit's chunk is found by bisection, after a look at the chunk used last: page numbers come in runs. Sorted
 * order is what makes runs cheap to tell. Reserving takes all memory first (the larger array, then the
 * chunks, kept on a list) and only then touches the set, so that failing changes nothing.
 *
 * Invariants: chunk numbers rise strictly; nr_bits is the sum over the chunks, theirs the bits in their
 * words.
 */
#include "lib/sparse_bitmap.h"

#include "lib/bitmap.h"
#include "lib/errno.h"
#include "lib/string.h"

struct sparse_bitmap_chunk {
	uint64_t number; /* holds the bits from number * SPARSE_BITMAP_CHUNK_BITS on */
	uint32_t nr_bits;
	struct sparse_bitmap_chunk *next; /* while being reserved */
	uint64_t words[BITMAP_WORDS(SPARSE_BITMAP_CHUNK_BITS)];
};

static inline uint64_t chunk_of(uint64_t bit)
{
	return bit / SPARSE_BITMAP_CHUNK_BITS;
}

static inline size_t bit_in_chunk(uint64_t bit)
{
	return bit % SPARSE_BITMAP_CHUNK_BITS;
}

void sparse_bitmap_init(struct sparse_bitmap *set, const struct sparse_bitmap_memory *memory)
{
	*set = (struct sparse_bitmap){.memory = memory};
}

void sparse_bitmap_destroy(struct sparse_bitmap *set)
{
	for (size_t i = 0; i < set->nr_chunks; i++)
		set->memory->release(set->chunks[i]);
	if (set->chunks)
		set->memory->release(set->chunks);
	sparse_bitmap_init(set, set->memory);
}

/* The index of the first chunk with at least this number; nr_chunks if there is none. */
static size_t lower_bound(const struct sparse_bitmap *set, uint64_t number)
{
	size_t low = 0, high = set->nr_chunks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->chunks[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct sparse_bitmap_chunk *chunk_at(const struct sparse_bitmap *set, size_t index, uint64_t number)
{
	if (index < set->nr_chunks && set->chunks[index]->number == number)
		return set->chunks[index];
	return NULL;
}

/* The chunk, remembered for the next time, or NULL. */
static struct sparse_bitmap_chunk *find(struct sparse_bitmap *set, uint64_t number)
{
	struct sparse_bitmap_chunk *chunk = chunk_at(set, set->last_used, number);

	if (likely(chunk))
		return chunk;
	set->last_used = lower_bound(set, number);
	return chunk_at(set, set->last_used, number);
}

static bool grow_array(struct sparse_bitmap *set, size_t wanted)
{
	struct sparse_bitmap_chunk **larger;
	size_t room = MAX(wanted, set->max_chunks * 2);

	if (wanted <= set->max_chunks)
		return true;
	if (room > SIZE_MAX / sizeof(struct sparse_bitmap_chunk))
		return false;
	larger = set->memory->alloc(room * sizeof(*larger));
	if (!larger)
		return false;
	if (set->chunks) {
		memcpy(larger, set->chunks, set->nr_chunks * sizeof(*larger));
		set->memory->release(set->chunks);
	}
	set->chunks = larger;
	set->max_chunks = room;
	return true;
}

static void release_list(struct sparse_bitmap *set, struct sparse_bitmap_chunk *list)
{
	while (list) {
		struct sparse_bitmap_chunk *next = list->next;

		set->memory->release(list);
		list = next;
	}
}

/* Makes the chunks of [@first, @last] that are not there, as a list with the highest number first. */
static int make_missing(struct sparse_bitmap *set, uint64_t first, uint64_t last, struct sparse_bitmap_chunk **list)
{
	size_t index = lower_bound(set, first);

	*list = NULL;
	for (uint64_t number = first; number <= last; number++) {
		struct sparse_bitmap_chunk *chunk;

		if (chunk_at(set, index, number)) {
			index++;
			continue;
		}
		chunk = set->memory->alloc(sizeof(*chunk));
		if (!chunk) {
			release_list(set, *list);
			return -ENOMEM;
		}
		chunk->number = number;
		chunk->next = *list;
		*list = chunk;
	}
	return 0;
}

/* Merges @count new chunks, highest first, into the array from its end. */
static void merge(struct sparse_bitmap *set, struct sparse_bitmap_chunk *list, size_t count)
{
	size_t old = set->nr_chunks, to = old + count;

	set->nr_chunks = to;
	while (list) {
		if (old > 0 && set->chunks[old - 1]->number > list->number) {
			set->chunks[--to] = set->chunks[--old];
		} else {
			set->chunks[--to] = list;
			list = list->next;
		}
	}
}

int sparse_bitmap_reserve(struct sparse_bitmap *set, uint64_t first, uint64_t last)
{
	uint64_t first_chunk = chunk_of(first), last_chunk = chunk_of(last);
	struct sparse_bitmap_chunk *list;
	size_t have, missing;
	int error;

	if (first > last)
		return 0;
	have = lower_bound(set, last_chunk + 1) - lower_bound(set, first_chunk);
	missing = last_chunk - first_chunk + 1 - have;
	if (missing == 0)
		return 0;
	if (!grow_array(set, set->nr_chunks + missing))
		return -ENOMEM;
	error = make_missing(set, first_chunk, last_chunk, &list);
	if (error)
		return error;
	merge(set, list, missing);
	return 0;
}

int sparse_bitmap_set(struct sparse_bitmap *set, uint64_t bit)
{
	struct sparse_bitmap_chunk *chunk = find(set, chunk_of(bit));

	if (!chunk)
		return -ENOMEM;
	if (bitmap_test(chunk->words, bit_in_chunk(bit)))
		return -EEXIST;
	bitmap_set(chunk->words, bit_in_chunk(bit));
	chunk->nr_bits++;
	set->nr_bits++;
	return 0;
}

int sparse_bitmap_clear(struct sparse_bitmap *set, uint64_t bit)
{
	struct sparse_bitmap_chunk *chunk = find(set, chunk_of(bit));

	if (!chunk || !bitmap_test(chunk->words, bit_in_chunk(bit)))
		return -ENOENT;
	bitmap_clear(chunk->words, bit_in_chunk(bit));
	chunk->nr_bits--;
	set->nr_bits--;
	return 0;
}

/* The part of [*@first, @last] in the chunk of *@first, as bits [*@from, *@end) of it; moves *@first behind it. */
static struct sparse_bitmap_chunk *next_part(struct sparse_bitmap *set, uint64_t *first, uint64_t last, size_t *from,
					     size_t *end)
{
	struct sparse_bitmap_chunk *chunk = find(set, chunk_of(*first));

	*from = bit_in_chunk(*first);
	*end = chunk_of(last) == chunk_of(*first) ? bit_in_chunk(last) + 1 : SPARSE_BITMAP_CHUNK_BITS;
	*first += *end - *from;
	return chunk;
}

/* @first is 0 behind the very last chunk: a count of what is left ends the loops. */
#define for_each_part(set, first, last, chunk, from, end)                          \
	for (uint64_t _at = (first), _left = chunk_of(last) - chunk_of(first) + 1; \
	     _left && ((chunk) = next_part(set, &_at, last, &(from), &(end)), true); _left--)

int sparse_bitmap_set_range(struct sparse_bitmap *set, uint64_t first, uint64_t last)
{
	struct sparse_bitmap_chunk *chunk;
	size_t from, end;

	for_each_part(set, first, last, chunk, from, end)
	{
		if (!chunk)
			return -ENOMEM;
		if (bitmap_next_set(chunk->words, end, from) < end)
			return -EEXIST;
	}
	for_each_part(set, first, last, chunk, from, end)
	{
		bitmap_set_range(chunk->words, from, end - from);
		chunk->nr_bits += end - from;
		set->nr_bits += end - from;
	}
	return 0;
}

int sparse_bitmap_clear_range(struct sparse_bitmap *set, uint64_t first, uint64_t last)
{
	struct sparse_bitmap_chunk *chunk;
	size_t from, end;

	for_each_part(set, first, last, chunk, from, end)
	{
		if (!chunk || bitmap_next_clear(chunk->words, end, from) < end)
			return -ENOENT;
	}
	for_each_part(set, first, last, chunk, from, end)
	{
		bitmap_clear_range(chunk->words, from, end - from);
		chunk->nr_bits -= end - from;
		set->nr_bits -= end - from;
	}
	return 0;
}

bool sparse_bitmap_test(const struct sparse_bitmap *set, uint64_t bit)
{
	const struct sparse_bitmap_chunk *chunk = chunk_at(set, lower_bound(set, chunk_of(bit)), chunk_of(bit));

	return chunk && bitmap_test(chunk->words, bit_in_chunk(bit));
}

/* Finds the first set bit at or after @from: its chunk's index and the bit in it. */
static bool next_set(const struct sparse_bitmap *set, uint64_t from, size_t *index, size_t *bit)
{
	size_t at = lower_bound(set, chunk_of(from));
	size_t start = chunk_at(set, at, chunk_of(from)) ? bit_in_chunk(from) : 0;

	for (; at < set->nr_chunks; at++, start = 0) {
		if (!set->chunks[at]->nr_bits)
			continue;
		*bit = bitmap_next_set(set->chunks[at]->words, SPARSE_BITMAP_CHUNK_BITS, start);
		if (*bit < SPARSE_BITMAP_CHUNK_BITS) {
			*index = at;
			return true;
		}
	}
	return false;
}

bool sparse_bitmap_next_run(const struct sparse_bitmap *set, uint64_t from, uint64_t *first, uint64_t *last)
{
	struct sparse_bitmap_chunk *chunk;
	size_t index, bit;

	if (!next_set(set, from, &index, &bit))
		return false;
	chunk = set->chunks[index];
	*first = chunk->number * SPARSE_BITMAP_CHUNK_BITS + bit;
	for (;;) {
		size_t end = bitmap_next_clear(chunk->words, SPARSE_BITMAP_CHUNK_BITS, bit);

		/* Inclusive: the bit behind the very last one has no number. */
		*last = chunk->number * SPARSE_BITMAP_CHUNK_BITS + (end - 1);
		if (end < SPARSE_BITMAP_CHUNK_BITS)
			return true;
		chunk = chunk_at(set, ++index, chunk->number + 1);
		if (!chunk || !bitmap_test(chunk->words, 0))
			return true;
		bit = 0;
	}
}

void sparse_bitmap_trim(struct sparse_bitmap *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->nr_chunks; i++) {
		if (set->chunks[i]->nr_bits)
			set->chunks[kept++] = set->chunks[i];
		else
			set->memory->release(set->chunks[i]);
	}
	set->nr_chunks = kept;
}
