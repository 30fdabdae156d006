/*
 * Page structures: one per page frame, found by arithmetic, prepared a pageblock at a time when it is first split.
 */
#pragma once

#include <arch/page.h>

#include "lib/list.h"

#define PAGEBLOCK_ORDER 9u /* 2 MiB */
#define PAGEBLOCK_PAGES (1u << PAGEBLOCK_ORDER)
#define MAX_ORDER	10u /* the largest block, inclusive: 4 MiB */
#define NR_ORDERS	(MAX_ORDER + 1)

enum migratetype {
	MIGRATE_UNMOVABLE,
	MIGRATE_MOVABLE,
	MIGRATE_RECLAIMABLE,
	MIGRATE_PCPTYPES, /* the number of types that have per-CPU lists */
	MIGRATE_HIGHATOMIC = MIGRATE_PCPTYPES,
	MIGRATE_CMA,
	MIGRATE_ISOLATE,
	MIGRATE_TYPES,
};

/* Every page that is not free has one: what accounts for it. */
enum page_owner {
	PAGE_OWNER_NONE,     /* free, or part of a larger block's tail */
	PAGE_OWNER_RESERVED, /* firmware, the kernel image, memory that mm never got */
	PAGE_OWNER_KERNEL,   /* alloc_pages() without a better tag */
	PAGE_OWNER_SLAB,
	PAGE_OWNER_PAGE_TABLE,
	PAGE_OWNER_STACK,
	PAGE_OWNER_DRIVER,  /* rings and buffers */
	PAGE_OWNER_BALLOON, /* taken for the host */
	PAGE_OWNER_PAGE_CACHE,
	PAGE_OWNER_ANON,
	PAGE_OWNER_DMABUF,
	PAGE_OWNER_WORKLOAD,
	PAGE_OWNER_TEST,
	PAGE_OWNER_HINTED, /* free, but the host is told of it just now */
	NR_PAGE_OWNERS,
};

/* Of page cache, anonymous and device pages; how they are changed: mm/page_ref.h. */
enum page_flags {
	PAGE_LOCKED = 1,     /* its content or identity is being changed; see page_lock() */
	PAGE_ON_LRU = 2,     /* on one of its node's lists; changes under the lists' lock only */
	PAGE_ACTIVE = 4,     /* on the active one */
	PAGE_REFERENCED = 8, /* used since the lists' hand last came by */
	PAGE_DIRTY = 16,
	PAGE_ISOLATED = 32, /* taken off by somebody who moves or frees it */
	PAGE_UNEVICTABLE = 64,
	PAGE_MLOCKED = 128,    /* in an area that is locked in memory */
	PAGE_DEVICE = 256,     /* device memory: never on an LRU list (mm/vm/device.h) */
	PAGE_HUGE = 512,       /* a block of 2 MiB that address spaces map */
	PAGE_KSM = 1024,       /* one for many that were equal (mm/vm/ksm.h) */
	PAGE_LAZY_FREE = 2048, /* its content may be dropped while nobody writes (MADV_FREE) */
	PAGE_CHANGED = 8192,   /* a file's: not what can be computed any more */
	PAGE_WAITERS = 4096,   /* somebody waits for PAGE_LOCKED */
	PAGE_SHARED = 16384,   /* anonymous, of a shared area: forks write to this one */
};

struct mem_cgroup;

/*
 * What an owner keeps about its page. Only the first page of an allocated block is filled (see page_alloc.h), and only
 * that one has a structure worth reading while its pageblock was never split. Owner and order are not in here:
 * page_owner() and page_order() read them from a byte a page, so that freeing a cold page need not touch its structure.
 */
struct page {
	uint32_t flags; /* for the owner; enum page_flags where it has pages on LRU lists */
	uint32_t refcount;
	uint32_t mapcount;
	struct list_node lru;	  /* for the owner: LRU, balloon's list, a batch */
	void *mapping;		  /* for the owner */
	uint64_t index;		  /* for the owner */
	uint64_t private;	  /* for the owner */
	struct mem_cgroup *memcg; /* what it is charged to (mm/memcg.h); NULL: the root */
} ALIGNED(64);

_Static_assert(sizeof(struct page) == 64, "a page structure is one cache line");

/* The structure as its next owner gets it. Who saw the last owner's tag may still look at flags and refcount. */
static ALWAYS_INLINE void page_fill(struct page *page)
{
	WRITE_ONCE(page->flags, 0);
	WRITE_ONCE(page->refcount, 1);
	page->mapcount = 0;
	page->mapping = NULL;
	page->index = 0;
	page->private = 0;
	page->memcg = NULL;
}
