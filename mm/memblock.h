/*
 * Memory before the allocator: what there is, what is taken, by node. Two sorted interval lists of fixed size, no
 * allocation of its own; both worlds. The allocator takes over what is left.
 */
#pragma once

#include "lib/compiler.h"

#define MEMBLOCK_MAX_REGIONS 256

struct memblock_region {
	uint64_t start, end; /* physical bytes, [start, end) */
	int node;
};

struct memblock {
	size_t nr_memory, nr_reserved;
	struct memblock_region memory[MEMBLOCK_MAX_REGIONS];
	struct memblock_region reserved[MEMBLOCK_MAX_REGIONS];
};

/* The machine's one. */
extern struct memblock memblock;

void memblock_init(struct memblock *mb);
/* Overlaps are merged. 0 or -ENOSPC (too many pieces; nothing changed). */
int memblock_add(struct memblock *mb, uint64_t start, uint64_t end, int node) MUST_CHECK;
int memblock_reserve(struct memblock *mb, uint64_t start, uint64_t end) MUST_CHECK;
/* Assigns a node to the memory within the range, splitting regions as needed. */
int memblock_set_node(struct memblock *mb, uint64_t start, uint64_t end, int node) MUST_CHECK;
/* Takes @bytes (from the top of @node's memory first, then anywhere), below @limit; 0 if there is none. Not cleared. */
uint64_t memblock_alloc(struct memblock *mb, uint64_t bytes, uint64_t align, int node, uint64_t limit) MUST_CHECK;
/* The next free range at or after *@at: memory that is not reserved. False at the end. */
bool memblock_next_free(const struct memblock *mb, uint64_t *at, struct memblock_region *range);
