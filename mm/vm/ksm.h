/*
 * KSM: pages with equal content become one, read-only; a write gets a copy again.
 *
 * Only pages of areas that asked for it (MADV_MERGEABLE), only small anonymous ones that one entry maps, never device
 * memory. A merged page (PAGE_KSM) may be anywhere, so it has a list of places, each a family and an address.
 */
#pragma once

#include "mm/vm/rmap.h"

/* The rest of the pass over all address spaces; pages that were merged into another. May sleep, as all here. */
uint64_t ksm_scan(void);
/* ksmd's step: the next @pages candidates of the pass. */
uint64_t ksm_scan_some(uint64_t pages);
enum { KSM_STOP, KSM_RUN, KSM_UNMERGE }; /* /sys/kernel/mm/ksm/run */
/* Pages of all spaces get copies of their own, as far as memory goes. */
void ksm_unmerge_all(void);
/* Merged pages of the range get copies of their own again, where the area is writable. 0 or -ENOMEM. */
int ksm_unmerge(struct mm *mm, uint64_t start, uint64_t bytes);
struct ksm_stats {
	uint64_t pages_shared;	/* merged pages */
	uint64_t pages_sharing; /* entries that would map pages of their own */
	uint64_t full_scans;
};
struct ksm_stats ksm_stats(void);

/* ---- for page.c, rmap.c, migrate.c ---- */

int ksm_walk(struct page_walk *walk, struct ksm_node *node);
void ksm_page_gone(struct page *page);
void ksm_page_moved(struct page *from, struct page *to);
