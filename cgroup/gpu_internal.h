/*
 * The gpu controller's structures, for gpu.c, gpu_files.c and their tests.
 */
#pragma once

#include "cgroup/gpu.h"
#include "cgroup/page_counter.h"
#include "kernel/mutex.h"

struct gpucg_bucket {
	char name[GPUCG_BUCKET_NAME_MAX_LEN];
	uint32_t number; /* 0.. in the order of registration: the index into every pool table */
	uint64_t capacity_bytes;
	struct gpucg_bucket *next;
};

struct gpucg_pool {
	struct page_counter counter; /* own and descendants' charges; parent: the parent group's pool */
	uint64_t own_pages;	     /* charged to this very group */
	uint64_t refused;	     /* charges that failed at this group's limit */
	uint64_t refused_below;	     /* the same, here or in a descendant */
	struct gpucg_bucket *bucket;
	struct gpucg *gpucg;
	struct gpucg_pool *below; /* while a chain of pools is being made */
};

/* Pools by bucket number; replaced by a larger one when a bucket does not fit. Old tables are kept for readers. */
struct gpucg_pool_table {
	struct gpucg_pool_table *older;
	uint32_t size;
	struct gpucg_pool *pools[];
};

struct gpucg {
	struct cgroup_css css; /* first */
	struct gpucg_pool_table *table;
};

/* Serialises making pools, setting limits, transfers and showing figures; never taken by a charge to an existing pool.
 */
extern struct mutex gpucg_mutex;

/* All buckets, oldest first; published with release, never removed. */
struct gpucg_bucket *gpucg_first_bucket(void);
struct gpucg_bucket *gpucg_find_bucket(const char *name);
/* No lock needed; NULL if there is none. */
struct gpucg_pool *gpucg_pool(struct gpucg *gpucg, const struct gpucg_bucket *bucket);
/* With gpucg_mutex held: the pool, made now together with the ancestors' if need be; NULL: no memory, none made. */
struct gpucg_pool *gpucg_pool_make(struct gpucg *gpucg, struct gpucg_bucket *bucket);

int gpucg_add_files(struct cgroup_css *css, const char *path) MUST_CHECK;
