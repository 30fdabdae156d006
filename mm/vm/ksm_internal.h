/*
 * KSM's two halves: what is merged (ksm.c), and which pages are looked at (ksm_scan.c).
 */
#pragma once

#include "mm/vm/ksm.h"

/* A page that is looked at now, with references to it and its space. */
struct ksm_candidate {
	struct mm *mm;
	struct page *page;
	uint64_t address, hash;
};

/* Told to, and private: what is shared with forks is not to become somebody else's as well. */
static inline bool ksm_may_merge(const struct area *area)
{
	return (area->flags & (AREA_MERGEABLE | AREA_SHARED)) == AREA_MERGEABLE;
}

/* ---- all under this mutex ---- */

void ksm_lock(void);
void ksm_unlock(void);
uint64_t ksm_hash(const struct page *page);
/* Its entry maps an equal merged page instead, if there is one. */
bool ksm_merge_with_merged(const struct ksm_candidate *candidate);
/* @other's page becomes a merged one, and @candidate's entry maps it, if they are equal. */
bool ksm_merge_with_other(const struct ksm_candidate *candidate, const struct ksm_candidate *other);
/* Merged pages that nobody has any more are forgotten. */
void ksm_reap(void);
/* How often an entry was made to map another's page. */
uint64_t ksm_merged(void);
uint64_t ksm_full_scans(void);
