/*
 * Trackers: how hinting finds the free blocks that the host has not been told of. A tracker is one file and a line in
 * mm/hinting_files.c.
 *
 * Functions get one zone's books; zone->lock is held. `freed` comes from the free path: it must be cheap. What a
 * tracker says may be out of date, the mechanism looks whether the block is free; but it must never forget one that is.
 */
#pragma once

#include "mm/zone.h"

struct hinting;
struct hinting_tracker;

struct tracked_zone {
	struct hinting *hinting;
	const struct hinting_tracker *tracker;
	struct zone *zone;
	unsigned int min_order;
	uint32_t cursor;     /* index at which the next scan begins: passes go round */
	uint64_t *books;     /* the tracker's, bytes() long, cleared; NULL if that is 0 */
	uint64_t marked;     /* bitmap: bits that are set */
	uint64_t marks_ever; /* calls of freed() */
};

struct hinting_tracker {
	const char *name;
	size_t (*bytes)(const struct zone *zone, unsigned int min_order);
	/* All that is free now may not have been told. */
	void (*start)(struct tracked_zone *tracked);
	void (*stop)(struct tracked_zone *tracked);
	/* These pages are free and may not have been told. */
	void (*freed)(struct tracked_zone *tracked, uint32_t index, unsigned int order);
	/* A page of the first block at or after @from that may be free and not told, or ZONE_INDEX_NONE. */
	uint32_t (*next)(struct tracked_zone *tracked, uint32_t from);
	/* This free block will be told now. */
	void (*isolated)(struct tracked_zone *tracked, uint32_t index, unsigned int order);
	/* What next() found at @index is not free, or too small. */
	void (*missed)(struct tracked_zone *tracked, uint32_t index);
	/* 0 or -EINVAL with a line per fault. */
	int (*check)(struct tracked_zone *tracked);
};

extern const struct hinting_tracker hinting_tracker_bitmap, hinting_tracker_freelist;
