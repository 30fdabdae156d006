/*
 * Four-level x86_64 page tables as a data structure: no registers, no locks, both worlds.
 */
#pragma once

#include "arch/x86_64/paging.h"

struct page_table {
	uint64_t root;	    /* physical address of the top table */
	char *memory;	    /* where physical address 0 is seen */
	bool has_gib_pages; /* the CPU knows pages of 1 GiB */
	/* One page, not cleared; 0: there is none. */
	uint64_t (*alloc)(void *context);
	void *context;
};

/* Takes a page for the root and clears it. 0 or -ENOMEM. */
int page_table_init(struct page_table *table) MUST_CHECK;
/* As paging_map() and so on; the caller serialises changes and flushes. */
int page_table_map(struct page_table *table, uint64_t virt, uint64_t phys, uint64_t bytes,
		   unsigned int rights) MUST_CHECK;
/* The table below the top table's entry for @virt is there afterwards: 0 or -ENOMEM. */
int page_table_reserve_top(struct page_table *table, uint64_t virt) MUST_CHECK;
void page_table_unmap(struct page_table *table, uint64_t virt, uint64_t bytes);
bool page_table_lookup(const struct page_table *table, uint64_t virt, uint64_t *phys, unsigned int *rights);

struct page_table_leaf {
	uint64_t virt, phys, bytes;
	unsigned int rights;
};
/* Calls @visit for every page, in ascending order. */
void page_table_visit(const struct page_table *table, void (*visit)(const struct page_table_leaf *leaf, void *context),
		      void *context);
