/*
 * Watermarks: how much of a zone is kept for those who cannot wait.
 */
#pragma once

#include "mm/zone.h"

/* Sysctls; watermark_set_all() applies changes. */
struct watermark_settings {
	uint64_t min_free_kbytes; /* from the size of memory, unless set */
	uint64_t scale_factor;	  /* of 10000: distance between the marks; 10 = 0.1 % */
	uint64_t boost_factor;	  /* of 10000 of the high mark */
	uint64_t lowmem_reserve_ratio[NR_ZONE_TYPES];
};
extern struct watermark_settings watermark_settings;

/* 4 * sqrt(lowmem KiB), within 128 KiB and 64 MiB: the well-known rule. */
uint64_t watermark_default_min_free_kbytes(uint64_t lowmem_kbytes);
/* Computes all zones' marks and reserves from the settings (min_free_kbytes 0: from the default rule). */
void watermark_set_all(void);
/*
 * Raises the boost by @pages, up to boost_factor of the high mark and at least one pageblock; zones of less than four
 * pageblocks are never boosted. zone->lock is held.
 */
void watermark_boost_locked(struct zone *zone, uint64_t pages);
/* The most that a boost may be. */
uint64_t watermark_boost_limit(const struct zone *zone);
/* One of the three, with the boost. */
uint64_t watermark_pages(const struct zone *zone, enum watermark mark);
/*
 * True if the zone would still be at or above @mark pages, and above what it keeps for lower requests (@highest: the
 * highest zone type that would have done), with a block of @order taken; and if it has such a block. Pages that only
 * movable or only atomic requests may use (CMA areas, the reserve) count for the second or third function only;
 * isolated ones for none.
 */
bool watermark_ok(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest);
bool watermark_ok_movable(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest);
bool watermark_ok_atomic(const struct zone *zone, unsigned int order, uint64_t mark, enum zone_type highest);
