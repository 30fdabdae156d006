/*
 * Between slab.c and slab_magazine.c, which keeps free objects per CPU in front of the slabs.
 */
#pragma once

#include "mm/slab.h"

/*
 * Up to @most objects from the slabs, marked as free as they lie there; how many. None: no slab has room.
 */
uint32_t slab_take(struct slab_cache *cache, void **objects, uint32_t most);
/* The way back, of objects that are marked as free. Slabs that are empty with it, but for one, go back. */
void slab_put(struct slab_cache *cache, void *const *objects, uint32_t count);

/* The object that was put last on this CPU, or NULL: it has none. */
void *slab_magazine_take(struct slab_cache *cache);
/* As many of the objects as this CPU has room for, from the last on; how many are left. */
uint32_t slab_magazine_fill(struct slab_cache *cache, void *const *objects, uint32_t count);
/* Always succeeds; with no room here some go to the slabs. @object is marked as free. */
void slab_magazine_put(struct slab_cache *cache, void *object);
/* How many objects all CPUs hold; exact only while nobody uses them. */
uint64_t slab_magazine_objects(const struct slab_cache *cache);
/* The cache has none from now on. */
void slab_magazine_destroy(struct slab_cache *cache);
