/*
 * KSM: pages with equal content become one, read-only; a write gets a copy again.
 *
 * Only pages of areas that asked for it (MADV_MERGEABLE), only small anonymous ones that one entry maps, never device
 * memory. A merged page (PAGE_KSM) may be anywhere, so it has a list of places, each a family and an address.
 */
#pragma once

#include "mm/vm/rmap.h"

/* One pass over all address spaces; pages that were merged into another. Passes are one at a time. May sleep. */
uint64_t ksm_scan(void);
/* Merged pages of the range get copies of their own again, where the area is writable. 0 or -ENOMEM. */
int ksm_unmerge(struct mm *mm, uint64_t start, uint64_t bytes);
struct ksm_stats {
	uint64_t pages_shared, merged;
};
struct ksm_stats ksm_stats(void);

/* ---- for page.c, rmap.c, migrate.c ---- */

int ksm_walk(struct page_walk *walk, struct ksm_node *node);
void ksm_page_gone(struct page *page);
void ksm_page_moved(struct page *from, struct page *to);
