/*
 * The page tables of an address space: four levels of 512 entries, the lower half of the top one ours.
 *
 * Tables are added under mm->lock and table_lock, and taken away under both; so either is enough to look at them.
 */
#pragma once

#include "mm/vm/mm.h"

/* Page structures of tables, for the store of spare ones. NULL: no memory. */
uint64_t *table_new(struct mm *mm);
void table_free(struct mm *mm, uint64_t *table);

/* The entry of @level (0: 4 KiB, 1: 2 MiB) for @address; NULL: there is no table for it, or a larger page. */
uint64_t *table_entry(struct mm *mm, uint64_t address, unsigned int level);
/* The same, with tables added where there are none; NULL also: no memory. Under mm->lock, not table_lock. */
uint64_t *table_entry_make(struct mm *mm, uint64_t address, unsigned int level);
/* The entry that stands for @address, of whatever level; *@level says. NULL: no table. */
uint64_t *table_leaf(struct mm *mm, uint64_t address, unsigned int *level);

/* Takes the huge entry at @entry apart into 512; the page stays one. Under table_lock. Flushes. */
void table_split(struct mm *mm, uint64_t address, uint64_t *entry);
/* Every huge entry that [start, end) cuts. */
void table_split_at(struct mm *mm, uint64_t address);
/* A spare table for a huge entry to be made: 0 or -ENOMEM. And one taken back, when it is gone. Under table_lock: */
void table_store_spare(struct mm *mm, uint64_t *table);
uint64_t *table_take_spare(struct mm *mm);

/* Gives back all tables that serve nothing but [start, end), which holds no entries any more. Under mm->lock. */
void table_free_range(struct mm *mm, uint64_t start, uint64_t end);

/*
 * Visits the entries that are not empty, in ascending order. Both under table_lock, which is released between tables.
 * Non-zero ends the walk and is its result.
 */
struct table_walk {
	struct mm *mm;
	struct area *area;
	/* The entry covers the page at @address; PTE_HUGE entries that lie within the range as a whole come to
	 * @huge. NULL: they are split first. */
	int (*page)(struct table_walk *walk, uint64_t address, uint64_t *entry);
	int (*huge)(struct table_walk *walk, uint64_t address, uint64_t *entry);
	/* After each table, table_lock released. May be NULL. */
	void (*between)(struct table_walk *walk);
	bool holes; /* empty entries, too, where there is a table */
	void *context;
};
/* Under mm->lock. */
int table_walk(struct table_walk *walk, uint64_t start, uint64_t end);

/* ---- single entries, under table_lock ---- */

static inline uint64_t entry_get(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}
static inline void entry_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}
static inline uint64_t entry_exchange(uint64_t *entry, uint64_t value)
{
	return __atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST);
}
static inline void entry_clear_bits(uint64_t *entry, uint64_t bits)
{
	(void)__atomic_fetch_and(entry, ~bits, __ATOMIC_SEQ_CST);
}
