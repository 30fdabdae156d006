/*
 * CMA areas: memory that movable pages may use until somebody needs a contiguous piece of it.
 *
 * An area is declared at boot (cma=64M on the command line), while its pageblocks are still free; they become
 * MIGRATE_CMA for good. Movable requests use them when they hold more than half of the zone's free pages, or when their
 * own lists are empty; nobody else does.
 */
#pragma once

#include "kernel/mutex.h"
#include "mm/page_alloc.h"

struct zone;

struct cma {
	const char *name;
	struct zone *zone;
	uint64_t first_pfn, pages;
	struct mutex lock; /* one allocation at a time */
	uint64_t *used;	   /* [pages] bits */
};

/* What the command line asks for. Once kmalloc() works; says so if it cannot be had. */
void cma_init(void);
/*
 * Makes an area of @bytes, rounded up to largest blocks, near @node. -ENOMEM: no such piece is free. @cma must be
 * zeroed, @name is not copied.
 */
int cma_declare(struct cma *cma, const char *name, uint64_t bytes, int node) MUST_CHECK;
/* For tests: the area, nothing of which is allocated, becomes ordinary memory again. */
void cma_undeclare(struct cma *cma);
/* The area of the command line; NULL: there is none. */
struct cma *cma_default(void);

/*
 * @count contiguous pages, aligned to 2^@align_order pages, of @gfp's owner; or NULL. May sleep. cma_release() gives
 * back all of an allocation or a part; false: that is not in the area.
 */
struct page *cma_alloc(struct cma *cma, uint64_t count, unsigned int align_order, uint32_t gfp) MUST_CHECK;
bool cma_release(struct cma *cma, struct page *page, uint64_t count);
