/*
 * The page cache: pages of files whose content can be computed, so that a page that was dropped can be read again, and
 * checked.
 *
 * Files (mm/cache_file.h) and the nodes of their trees are reclaimable objects, pages are movable and on the LRU lists.
 *
 * Locking: file->lock protects the tree; the page lock (mm/page_ref.h) what a page holds and whose it is. Order:
 * page lock, the table's lock, file->lock, then the LRU lists', slab, pcp and zone. References: the tree holds one for
 * each page.
 */
#pragma once

#include "mm/cache_file.h"
#include "mm/lru.h"

/* The tables and operations; once, after mm_init(). */
void page_cache_init(void);

/*
 * Page @index, with its content, and a reference: page_put(). Allocated and filled if it was not there. @gfp: GFP_USER,
 * GFP_NOWAIT | GFP_MOVABLE, ... NULL: no memory.
 */
struct page *cache_get_page(struct cache_file *file, uint64_t index, uint32_t gfp) MUST_CHECK;
/* Only if it is there. */
struct page *cache_find_page(struct cache_file *file, uint64_t index) MUST_CHECK;
/* The same as get, and dirty: it must be written back before it can be dropped. */
struct page *cache_write_page(struct cache_file *file, uint64_t index, uint32_t gfp) MUST_CHECK;
/*
 * Somebody is going to write to @page through an address space: it is dirty, and since nothing computes what he writes,
 * it stays in memory until it is truncated, as on a file system in memory without swap. The caller holds its lock.
 */
void cache_page_will_change(struct page *page);
/* All dirty pages become clean, and nobody can write to them without a fault; how many there were. May sleep. */
uint64_t cache_file_write_back(struct cache_file *file);
/* Every word is what it should be in that file at that index, unless somebody has changed it. The caller has a
 * reference and the file open. */
bool cache_page_is_right(const struct page *page);
/* All pages leave the cache and all address spaces; those that somebody uses are freed with their last reference. May
 * sleep. */
void cache_file_truncate(struct cache_file *file);
/* Writes back what is dirty and drops what nobody uses; the pages freed. May sleep. */
uint64_t page_cache_drop(void);
/* Frees the files that nobody has open and that have no pages; files and pages of memory freed. May sleep. */
uint64_t page_cache_drop_files(void);
/* What is in the trees is on the lists or isolated, and every count agrees. 0 or -EINVAL with a line per fault. */
int page_cache_check(void) MUST_CHECK;

struct page_cache_info {
	uint64_t files, pages, dirty_pages;
};
void page_cache_info_get(struct page_cache_info *info);
