/*
 * Slabs: caches of objects of one size, cut from blocks of pages.
 *
 * An object is at least 16-byte aligned and not cleared. Freeing what is free is a panic, in every build; in debug
 * builds free objects are poisoned, and a mark behind each object shows writes beyond its end. Each CPU keeps some free
 * objects (slab_magazine.c): taking and freeing an object is mostly done without a lock.
 * Locking: the cache's own spin lock, order: list of caches → slab → pcp → zone. Nothing here may be called from
 * interrupts.
 */
#pragma once

#include "kernel/cpu.h"
#include "kernel/spinlock.h"
#include "lib/list.h"

#define SLAB_MAGAZINE 16u

struct slab_magazines;

struct slab_cache {
	const char *name;
	uint32_t object_bytes; /* what a user gets */
	uint32_t stride_bytes; /* from object to object */
	uint64_t inverse;      /* 2^32 / stride_bytes, rounded up: offset * inverse >> 32 is offset / stride_bytes */
	uint32_t order;	       /* of a slab's block of pages */
	uint32_t objects;      /* in a slab */
	bool reclaimable;      /* a shrinker can free its objects: set before the first slab_alloc() */
	struct spinlock lock;
	struct list_node partial; /* struct page.lru of slabs with a free object, emptiest last */
	uint32_t nr_slabs, nr_free_slabs;
	uint64_t nr_taken;     /* objects that are in no slab's list: in use, or in magazines */
	struct list_node node; /* in the list of all caches */
	uint32_t magazine;     /* objects in each of a CPU's two, up to SLAB_MAGAZINE; 0: none are made */
	struct slab_magazines *magazines[MAX_CPUS]; /* atomic; NULL until a CPU misses them */
};

/* @object_bytes up to 8192. The name is not copied. */
void slab_cache_init(struct slab_cache *cache, const char *name, size_t object_bytes);
/* All objects must have been freed. No initialised cache may go without. */
void slab_cache_destroy(struct slab_cache *cache);
/* NULL if no pages can be had with @gfp (mm/page_alloc.h). */
void *slab_alloc(struct slab_cache *cache, uint32_t gfp) MUST_CHECK;
/* NULL is fine. Finds the cache by itself; must be an object of @cache if that is not NULL. */
void slab_free(struct slab_cache *cache, void *object);
/* The cache an object belongs to, or NULL if it lies in no slab. */
struct slab_cache *slab_cache_of(const void *object);
/* All CPUs' free objects go back to their slabs; with interrupts off, this CPU's only. */
void slab_drain(struct slab_cache *cache);
/* The same, and gives empty slabs back; the pages freed. */
uint64_t slab_shrink(struct slab_cache *cache);
/* The same for all caches. */
uint64_t slab_shrink_all(void);

struct slab_info {
	const char *name;
	uint64_t objects, slabs; /* objects: in use */
	uint32_t object_bytes, objects_per_slab, pages_per_slab;
	bool reclaimable;
};
/* Up to @most of all caches, in the order in which they were made; how many. */
size_t slab_info_get(struct slab_info *infos, size_t most);
/* Pages of caches that a shrinker can free. */
uint64_t slab_reclaimable_pages(void);
/* Drains, then: counts agree, all free objects are on their slab's list once. 0 or -EINVAL with a line per fault. */
int slab_check(struct slab_cache *cache) MUST_CHECK;
