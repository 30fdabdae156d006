/*
 * A set of 64-bit numbers kept as chunks of bits, for page numbers of balloon pages: dense where used, nothing
 * elsewhere.
 *
 * All memory is taken ahead by sparse_bitmap_reserve(), so that setting a bit on a path that must not
 * allocate can be made sure of. No locking of its own.
 */
#pragma once

#include "lib/compiler.h"

#define SPARSE_BITMAP_CHUNK_BITS 4096u

struct sparse_bitmap_chunk;

struct sparse_bitmap_memory {
	/* Zeroed memory or NULL; never called by anything but reserve. */
	void *(*alloc)(size_t bytes);
	void (*release)(void *memory);
};

struct sparse_bitmap {
	const struct sparse_bitmap_memory *memory;
	struct sparse_bitmap_chunk **chunks; /* sorted by chunk number */
	size_t nr_chunks, max_chunks;
	size_t last_used; /* index: neighbours tend to follow one another */
	uint64_t nr_bits; /* set bits */
};

void sparse_bitmap_init(struct sparse_bitmap *set, const struct sparse_bitmap_memory *memory);
void sparse_bitmap_destroy(struct sparse_bitmap *set);
/* Makes later sets of [@first, @last] succeed. 0 or -ENOMEM (then nothing changed). */
int sparse_bitmap_reserve(struct sparse_bitmap *set, uint64_t first, uint64_t last) MUST_CHECK;
/* 0, -EEXIST if it was set, -ENOMEM if its chunk was not reserved. */
int sparse_bitmap_set(struct sparse_bitmap *set, uint64_t bit) MUST_CHECK;
/* 0, or -ENOENT if it was not set. */
int sparse_bitmap_clear(struct sparse_bitmap *set, uint64_t bit) MUST_CHECK;
/* The same for all of [@first, @last], inclusive, or for none of them: then nothing has changed. */
int sparse_bitmap_set_range(struct sparse_bitmap *set, uint64_t first, uint64_t last) MUST_CHECK;
int sparse_bitmap_clear_range(struct sparse_bitmap *set, uint64_t first, uint64_t last) MUST_CHECK;
bool sparse_bitmap_test(const struct sparse_bitmap *set, uint64_t bit);
/*
 * The first run of set bits that begins at or after @from: [*@first, *@last], both inclusive, so that a run that
 * ends at UINT64_MAX can be told. False if there is none.
 */
bool sparse_bitmap_next_run(const struct sparse_bitmap *set, uint64_t from, uint64_t *first, uint64_t *last);
/* Gives back chunks with no bit set. */
void sparse_bitmap_trim(struct sparse_bitmap *set);
