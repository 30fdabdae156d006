/*
 * The tree of a file's pages.
 *
 * It grows at the root: a new root whose first slot is the old one. A node that becomes empty is freed, up to the root;
 * the tree never gets lower while it holds anything.
 */
#include "mm/cache_tree.h"

#include "kernel/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "mm/slab.h"

static struct slab_cache node_slab;

void cache_tree_init(void)
{
	slab_cache_init(&node_slab, "cache_node", sizeof(struct cache_node));
	node_slab.reclaimable = true;
}

uint64_t cache_tree_shrink(void)
{
	return slab_shrink(&node_slab);
}

static unsigned int slot_of(uint64_t index, unsigned int level)
{
	return index >> level * CACHE_TREE_BITS & (CACHE_TREE_SLOTS - 1);
}

static unsigned int height_for(uint64_t index)
{
	unsigned int height = 1;

	while (height < CACHE_TREE_HEIGHT && index >> height * CACHE_TREE_BITS)
		height++;
	return height;
}

/* ---- spares -------------------------------------------------------------------------------------------------------
 */

/* Most: the levels to grow, and a new path from there down. Without the lock the tree changes: it is looked at once. */
static uint32_t nodes_needed(const struct cache_file *file, uint64_t index)
{
	unsigned int now = READ_ONCE(file->height), wanted = height_for(index);
	unsigned int height = MAX(now, wanted);

	return now ? height - now + height - 1 : height;
}

int cache_tree_prepare(struct cache_file *file, uint64_t index, uint32_t gfp, struct cache_spares *spares)
{
	uint32_t needed = nodes_needed(file, index);

	while (spares->count < needed) {
		struct cache_node *node = slab_alloc(&node_slab, (gfp & ~GFP_MOVABLE) | GFP_NOWARN);

		if (!node)
			return -ENOMEM;
		memset(node, 0, sizeof(*node));
		spares->nodes[spares->count++] = node;
	}
	return 0;
}

void cache_spares_free(struct cache_spares *spares)
{
	while (spares->count)
		slab_free(&node_slab, spares->nodes[--spares->count]);
}

/* ---- under the lock -----------------------------------------------------------------------------------------------
 */

static void grow(struct cache_file *file, unsigned int height, struct cache_spares *spares)
{
	if (!file->root) {
		file->root = spares->nodes[--spares->count];
		WRITE_ONCE(file->height, height);
	}
	while (file->height < height) {
		struct cache_node *root = spares->nodes[--spares->count];

		root->slots[0] = file->root;
		root->used = 1;
		file->root = root;
		WRITE_ONCE(file->height, file->height + 1);
	}
}

int cache_tree_insert(struct cache_file *file, uint64_t index, struct page *page, struct cache_spares *spares)
{
	struct cache_node *node;

	if (spares->count < nodes_needed(file, index))
		return -EAGAIN;
	grow(file, height_for(index), spares);
	node = file->root;
	for (unsigned int level = file->height - 1; level; level--) {
		void **slot = &node->slots[slot_of(index, level)];

		if (!*slot) {
			*slot = spares->nodes[--spares->count];
			node->used++;
		}
		node = *slot;
	}
	ASSERT(!node->slots[slot_of(index, 0)], "index %lu is taken", index);
	node->slots[slot_of(index, 0)] = page;
	node->used++;
	file->nr_pages++;
	return 0;
}

static void **find_slot(const struct cache_file *file, uint64_t index)
{
	struct cache_node *node = file->root;

	if (!node || height_for(index) > file->height)
		return NULL;
	for (unsigned int level = file->height - 1; level && node; level--)
		node = node->slots[slot_of(index, level)];
	return node ? &node->slots[slot_of(index, 0)] : NULL;
}

struct page *cache_tree_find(const struct cache_file *file, uint64_t index)
{
	void **slot = find_slot(file, index);

	return slot ? *slot : NULL;
}

void cache_tree_replace(struct cache_file *file, uint64_t index, struct page *page)
{
	void **slot = find_slot(file, index);

	ASSERT(slot && *slot, "index %lu is empty", index);
	*slot = page;
}

void cache_tree_remove(struct cache_file *file, uint64_t index)
{
	struct cache_node *path[CACHE_TREE_HEIGHT], *node = file->root;
	unsigned int level = file->height - 1;

	ASSERT(node && height_for(index) <= file->height, "index %lu is empty", index);
	for (; level; level--) {
		path[level] = node;
		node = node->slots[slot_of(index, level)];
		ASSERT(node, "index %lu is empty", index);
	}
	path[0] = node;
	ASSERT(node->slots[slot_of(index, 0)], "index %lu is empty", index);
	for (; level < file->height; level++) {
		path[level]->slots[slot_of(index, level)] = NULL;
		if (--path[level]->used)
			break;
		slab_free(&node_slab, path[level]);
		if (path[level] == file->root) {
			file->root = NULL;
			WRITE_ONCE(file->height, 0);
			break;
		}
	}
	file->nr_pages--;
}

static struct page *next_below(const struct cache_node *node, unsigned int level, uint64_t *index)
{
	uint64_t step = 1ull << level * CACHE_TREE_BITS;

	for (unsigned int slot = slot_of(*index, level); slot < CACHE_TREE_SLOTS; slot++) {
		struct page *page = node->slots[slot];

		if (page && level)
			page = next_below(node->slots[slot], level - 1, index);
		if (page)
			return page;
		if (slot + 1 < CACHE_TREE_SLOTS) /* the first index below the next slot */
			*index = ((*index & ~(step - 1)) -
				  ((uint64_t)slot_of(*index, level) << level * CACHE_TREE_BITS)) +
				 (uint64_t)(slot + 1) * step;
	}
	return NULL;
}

struct page *cache_tree_next(const struct cache_file *file, uint64_t *index)
{
	if (!file->root || height_for(*index) > file->height)
		return NULL;
	return next_below(file->root, file->height - 1, index);
}
