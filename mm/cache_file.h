/*
 * Files of the page cache: numbers with a tree of pages. A file exists in memory while it is open or has pages, and is
 * made anew when it is opened again.
 *
 * Locking: mm/page_cache.h.
 */
#pragma once

#include "kernel/spinlock.h"
#include "lib/list.h"

struct cache_node;

struct cache_file {
	uint64_t id;
	struct list_node hash, idle; /* in the table; among those that nobody has open */
	uint32_t opened;	     /* under the table's lock */
	struct spinlock lock;
	struct cache_node *root;
	unsigned int height; /* of the tree: 0 is empty, 1 holds 64 pages, 2 64^2, ... */
	uint64_t nr_pages;
	struct spinlock areas_lock;
	struct list_node areas; /* of address spaces that show it: mm/vm/file_area.h */
};

/* A file by its number; NULL: no memory. May sleep. */
struct cache_file *cache_file_open(uint64_t id) MUST_CHECK;
void cache_file_close(struct cache_file *file);
/* Once more, by who has it open. */
void cache_file_open_again(struct cache_file *file);

/* For mm/page_cache.c: once, after mm_init(). */
void cache_files_init(void);
/* How many are in memory. */
uint64_t cache_files(void);
/* Frees those that nobody has open and that have no pages; files and pages of memory freed. May sleep. */
uint64_t cache_files_drop_idle(void);
/* The sum of what @check says of each, under the table's lock, and 1 if there are more or fewer than are counted. */
uint64_t cache_files_check(uint64_t (*check)(struct cache_file *file)) MUST_CHECK;
