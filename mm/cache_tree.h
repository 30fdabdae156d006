/*
 * The tree of a file's pages: 64 slots a node, as high as the largest index needs. Everything under file->lock, except
 * cache_tree_prepare(), which allocates the nodes that an insertion may need before the lock is taken.
 */
#pragma once

#include "mm/cache_file.h"

struct page;

#define CACHE_TREE_BITS	  6u
#define CACHE_TREE_SLOTS  (1u << CACHE_TREE_BITS)
#define CACHE_TREE_HEIGHT 11u /* 64^11 > 2^64 */

struct cache_node {
	uint32_t used;
	void *slots[CACHE_TREE_SLOTS];
};

/* Nodes for one insertion: one a level to grow, one a level to go down. */
struct cache_spares {
	uint32_t count;
	struct cache_node *nodes[2 * CACHE_TREE_HEIGHT];
};

void cache_tree_init(void);
/* Enough nodes for @index as the tree is now. 0 or -ENOMEM. Without the lock. Sleeps if @gfp allows it. */
int cache_tree_prepare(struct cache_file *file, uint64_t index, uint32_t gfp, struct cache_spares *spares) MUST_CHECK;
void cache_spares_free(struct cache_spares *spares);

/* The slot must be empty. -EAGAIN: the spares do not suffice any more. */
int cache_tree_insert(struct cache_file *file, uint64_t index, struct page *page,
		      struct cache_spares *spares) MUST_CHECK;
struct page *cache_tree_find(const struct cache_file *file, uint64_t index);
/* It must be there. */
void cache_tree_remove(struct cache_file *file, uint64_t index);
void cache_tree_replace(struct cache_file *file, uint64_t index, struct page *page);
/* The first page at or after *@index, which becomes its index; NULL: none. */
struct page *cache_tree_next(const struct cache_file *file, uint64_t *index);
static inline struct page *cache_tree_first(const struct cache_file *file)
{
	uint64_t index = 0;

	return cache_tree_next(file, &index);
}
/* Gives empty slabs of nodes back; the pages. */
uint64_t cache_tree_shrink(void);
