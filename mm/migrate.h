/*
 * Moving allocated blocks elsewhere, a batch at a time: what compaction and the emptying of ranges have in common.
 *
 *   collect (under the zone's lock: candidates by their tags) → isolate (each by its owner's operations, no lock held)
 *   → the caller finds a target for each → migrate_batch(): content and identity move, the old blocks become free.
 *
 * A batch is small, so that neither a lock nor pages are held for long. It belongs to its caller's thread.
 */
#pragma once

#include "mm/movable.h"
#include "mm/zone.h"

#define MIGRATE_BATCH	    32u
#define MIGRATE_TRIES_SYNC  10u
#define MIGRATE_TRIES_ASYNC 1u

struct migrate_block {
	struct page *from, *to; /* @to NULL: there is no target */
	const struct movable_ops *ops;
	enum page_owner owner;
	unsigned int order;
};

struct migrate {
	struct zone *zone;	/* where the blocks are */
	struct zone *to_zone;	/* where all targets are; NULL: wherever alloc_pages() found them */
	unsigned int max_order; /* larger blocks are left alone */
	uint32_t count;
	struct migrate_block blocks[MIGRATE_BATCH];
	uint64_t scanned;		     /* blocks looked at, moved or not; these are added to */
	uint64_t isolated, migrated, failed; /* pages */
};

/*
 * The first block at or after *@index that is allocated to an owner, with its tag; *@index becomes its first page.
 * [*@index, @end) lies within one pageblock. False: there is none. Under the zone's lock.
 */
bool migrate_find_locked(const struct zone *zone, uint32_t *index, uint32_t end, uint8_t *tag);
/* Adds blocks whose owners can move them until the batch is full; where to go on. Under the zone's lock. */
uint32_t migrate_collect_locked(struct migrate *migrate, uint32_t index, uint32_t end);
/* Those that their owner does not let go leave the batch. May be called with nothing but sleeping allowed. */
void migrate_isolate(struct migrate *migrate);
/* @index, taken from the zone's lists, becomes a block that can be migrated to. */
struct page *migrate_prepare_target(struct zone *zone, uint32_t index, const struct migrate_block *block);
/*
 * Moves every block of the batch that has a target, tries again up to @tries times what is busy for the moment, puts
 * back the rest, and leaves the batch empty. May sleep. Returns the pages that were not moved.
 */
uint64_t migrate_batch(struct migrate *migrate, unsigned int tries);
