/*
 * Whom memory is charged to: what mm/ knows of the memory controller (cgroup/memory.c), which registers itself here.
 *
 * Anonymous pages are charged to the group of the address space that first needs them, pages of files to the group of
 * the thread that first reads them. The page remembers it (page->memcg) until it is freed: a page that moves hands it
 * over, a block of 2 MiB is 512 pages and so are its parts after a split. NULL is the root group, which nothing is
 * charged to; so without other groups all this is a test of a pointer that is NULL.
 *
 * Locking: page->memcg is written while nobody else finds the page (new; its last reference gone and off its list), or
 * under the lock of the LRU lists that the page may be on, and by nobody but who holds the page lock with all entries
 * parked (migration), or the table_lock of the one space that maps it (a task moves to another group). A page holds its
 * group, so under that lock the group of a page on a list stays.
 */
#pragma once

#include "lib/atomic.h"
#include "mm/page.h"

struct mem_cgroup;

/* What is counted per group, in it and all above. The first three are what a page can be charged as, in pages. */
enum memcg_count {
	MEMCG_ANON, /* not kept: what is charged, less MEMCG_FILE */
	MEMCG_ANON_THP,
	MEMCG_FILE,
	MEMCG_PGFAULT,
	MEMCG_PGSTEAL, /* pages that a limit of the group got back */
	MEMCG_HIGH,    /* charges above what should be, */
	MEMCG_MAX,     /* that met a limit, */
	MEMCG_OOM,     /* and that failed, or a limit below what can be had back */
	NR_MEMCG_COUNTS,
	NR_MEMCG_KINDS = MEMCG_PGFAULT,
};

struct memcg_amounts {
	uint64_t pages[NR_MEMCG_KINDS];
};

/* No group is NULL, unless said. */
struct memcg_ops {
	/* The running thread's, with a reference; NULL: the root. */
	struct mem_cgroup *(*get_current)(void);
	void (*get)(struct mem_cgroup *memcg);
	void (*put)(struct mem_cgroup *memcg);
	/* To the group and all above, or -ENOMEM. @reclaim: may sleep, and get back what the group can do without. */
	int (*charge)(struct mem_cgroup *memcg, enum memcg_count kind, uint64_t pages, bool reclaim);
	/* Any context that may free memory. */
	void (*uncharge)(struct mem_cgroup *memcg, enum memcg_count kind, uint64_t pages);
	void (*count)(struct mem_cgroup *memcg, enum memcg_count count, int64_t change);
	/*
	 * Pages change groups (NULL is fine) in two steps: all are charged to @to as well, or -ENOMEM and nothing has
	 * changed; then so many have moved, the rest stayed. Groups above both see nothing of it.
	 */
	int (*move_begin)(struct mem_cgroup *from, struct mem_cgroup *to, const struct memcg_amounts *all);
	void (*move_end)(struct mem_cgroup *from, struct mem_cgroup *to, const struct memcg_amounts *all,
			 const struct memcg_amounts *moved);
	/* @memcg (or NULL) is @above or below it. */
	bool (*is_below)(const struct mem_cgroup *memcg, const struct mem_cgroup *above);
	/* What pages say is what groups say; nothing is charged meanwhile. 0 or -EINVAL with a line per fault. */
	int (*check)(void);
};

/* Once. Until then everything belongs to the root. */
void memcg_register(const struct memcg_ops *ops);
extern const struct memcg_ops *memcg_ops;

/* The running thread's group with a reference, or NULL. */
struct mem_cgroup *memcg_get_current(void) MUST_CHECK;
static inline void memcg_put(struct mem_cgroup *memcg)
{
	if (unlikely(memcg))
		memcg_ops->put(memcg);
}
static inline void memcg_count(struct mem_cgroup *memcg, enum memcg_count count, int64_t change)
{
	if (unlikely(memcg))
		memcg_ops->count(memcg, count, change);
}

/* A page's charge, by what it is now. */
enum memcg_count memcg_kind_of(const struct page *page);

int memcg_charge_page(struct mem_cgroup *memcg, struct page *page, bool reclaim) MUST_CHECK;
/* A new page, on no list yet. 0 or -ENOMEM. */
static inline int memcg_charge(struct mem_cgroup *memcg, struct page *page, bool reclaim)
{
	return unlikely(memcg) ? memcg_charge_page(memcg, page, reclaim) : 0;
}
/* To the running thread's group. */
int memcg_charge_current(struct page *page, bool reclaim) MUST_CHECK;

/* Pages that are about to be freed; neighbours of one group are taken together. */
struct memcg_batch {
	struct mem_cgroup *memcg;
	enum memcg_count kind;
	uint64_t pages;
};
void memcg_batch_add(struct memcg_batch *batch, struct page *page, uint64_t pages);
static inline void memcg_uncharge(struct memcg_batch *batch, struct page *page, uint64_t pages)
{
	if (unlikely(page->memcg))
		memcg_batch_add(batch, page, pages);
}
static inline void memcg_batch_end(const struct memcg_batch *batch)
{
	if (unlikely(batch->pages))
		memcg_ops->uncharge(batch->memcg, batch->kind, batch->pages);
}

/* @to, new and on no list, takes the place of @from. */
void memcg_hand_over_page(struct page *from, struct page *to);
static inline void memcg_hand_over(struct page *from, struct page *to)
{
	if (unlikely(from->memcg))
		memcg_hand_over_page(from, to);
}

/* Every page that is charged to some group, by its memory (and its devices'); nobody frees any meanwhile. */
void memcg_for_each_page(void (*look)(struct page *page, uint64_t pages));
static inline int memcg_check(void)
{
	const struct memcg_ops *ops = load_acquire(&memcg_ops);

	return ops ? ops->check() : 0;
}
