/*
 * Who asks which page is behind an entry (the table in docs/address-spaces.md), apart from faults: operations on ranges
 * of an address space. All but the first group take mm->lock themselves and may sleep.
 */
#pragma once

#include "mm/vm/mm.h"

struct device_memory;

/* ---- for faults and each other, under mm->lock ---- */

/* What an entry of @area for @page looks like. */
uint64_t entry_for_page(const struct area *area, const struct page *page, bool write);
/* Should a fault in @area try for a huge page? (transparent_hugepage/enabled, madvise) */
bool thp_wanted(const struct area *area);
/* The page behind a new entry of a locked area is marked so; it may not have a table_lock. */
void mlock_page(const struct area *area, uint64_t address, uint64_t entry);
/* An entry with PTE_HINT is made present again; the page may move to the caller's node. */
int numa_hint_fault(struct mm *mm, struct area *area, uint64_t address, uint64_t *entry);
/* An entry for a page in private device memory: the page comes back to RAM. */
int device_bring_back(struct mm *mm, struct area *area, uint64_t address);

/* ---- moving pages ---- */

/*
 * Content, identity and entries of @from go to @to, which is new (refcount 1, the caller's). The caller holds
 * PAGE_LOCKED of @from and one reference to it, and keeps both. 0; -EAGAIN: others hold references, nothing changed.
 * Counted in pgmigrate_*.
 */
int migrate_page(struct page *from, struct page *to) MUST_CHECK;
/* To a new page on @node (NODE_ANY: anywhere), from RAM or a device; the same conditions. The old page is put. */
int migrate_page_to_node(struct page *from, int node) MUST_CHECK;
/* As that, for a page just found by its address: @page's reference is consumed. -EBUSY: somebody else moves it. */
int migrate_found_page(struct page *page, int node) MUST_CHECK;

/* Anonymous pages can be moved by who finds them by their tags, from now on. Once, at boot. */
void vm_migrate_init(void);

/* Pages that moved to @device, from RAM or another device, or back from devices to RAM; -errno. Only whole small
 * anonymous pages move. */
int64_t device_migrate_to(struct mm *mm, uint64_t start, uint64_t bytes, struct device_memory *device);
int64_t device_migrate_back(struct mm *mm, uint64_t start, uint64_t bytes);

/* ---- NUMA ---- */

/* Entries of LRU pages in the range become hinting: the next access tells who uses them. How many. */
uint64_t numa_mark_range(struct mm *mm, uint64_t start, uint64_t bytes);
/* So much of its areas, from where the last call ended; from the beginning after the end. One thread at a time. */
void numa_mark_next(struct mm *mm, uint64_t bytes);
/* Pages of the range should be on @node (NODE_ANY: no wish); with @move, those that are elsewhere are moved. */
int mm_mbind(struct mm *mm, uint64_t start, uint64_t bytes, int node, bool move);
/* All pages on @from move to @to: how many could not. */
int64_t mm_migrate_pages(struct mm *mm, int from, int to);
/* Each of @count addresses: its page moves to nodes[i] (NULL: only tell); status[i]: its node then, or -errno. */
int mm_move_pages(struct mm *mm, size_t count, const uint64_t *addresses, const int *nodes, int *status);

/* ---- locking, advice ---- */

/* 0, -EINVAL, -ENOMEM: holes, or no memory to bring all pages in. */
int mm_mlock(struct mm *mm, uint64_t start, uint64_t bytes);
/* Only what is there, and what comes later (MLOCK_ONFAULT). */
int mm_mlock_on_fault(struct mm *mm, uint64_t start, uint64_t bytes);
int mm_munlock(struct mm *mm, uint64_t start, uint64_t bytes);

/* Linux's numbers. */
enum madvise {
	MADV_DONTNEED = 4,
	MADV_FREE = 8,
	MADV_MERGEABLE = 12,
	MADV_UNMERGEABLE = 13,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
	MADV_COLD = 20,
	MADV_PAGEOUT = 21,
	MADV_COLLAPSE = 25,
};
/* 0, -EINVAL (range, advice), -ENOMEM (holes; the rest was advised). */
int mm_madvise(struct mm *mm, uint64_t start, uint64_t bytes, enum madvise advice);
