/*
 * Compaction: making large free blocks by moving pages out of the way.
 *
 * What is moved where is a scan's business. `linear` is the well-known one: a migrate scanner goes up from the zone's
 * bottom, a free scanner comes down from its top; where they meet, the zone is done. `fullest` empties the emptiest
 * pageblocks into the fullest ones, whole or not at all. After a failure a zone is left alone for more and more
 * requests (deferral).
 */
#pragma once

#include "mm/memory.h"

enum compact_result {
	COMPACT_NOT_SUITABLE, /* too little free memory to move anything to; or called while freeing memory */
	COMPACT_DEFERRED,     /* it failed lately: left alone for now */
	COMPACT_NOTHING,      /* the scanners met and there is no block */
	COMPACT_CONTENDED,    /* gave up for a lock or because asked to stop */
	COMPACT_SUCCESS,      /* there is a block, for now; perhaps there was one before */
};

/* Who wants the block himself, before anybody else takes it: filled in if there was one to be had. */
struct compact_capture {
	enum migratetype mt; /* wanted */
	struct zone *zone;   /* NULL: none */
	uint32_t index;	     /* off the lists, as by buddy_take_locked() */
};

/*
 * Compacts the zones of @node up to @highest until one has a block of @order, or all have been gone through. Not @sync:
 * only what can be moved without waiting, from movable pageblocks, and not after recent failures. @capture may be NULL.
 * May sleep. Nested calls do nothing (COMPACT_NOT_SUITABLE).
 */
enum compact_result compaction_direct(struct node *node, unsigned int order, enum zone_type highest, bool sync,
				      struct compact_capture *capture) MUST_CHECK;
/*
 * Empties up to @wanted pageblocks of @zone, the cheapest first, whatever the chosen scan; how many there are whole now
 * that were not before. *@moved: the pages that it took. May sleep.
 */
uint32_t compaction_make_pageblocks(struct zone *zone, uint32_t wanted, uint64_t *moved);
/* Everything that can move goes where the chosen scan wants it, hints and deferral ignored. May sleep. */
void compaction_whole_zone(struct zone *zone);

/* Starts a thread per node; then files. Once threads can be made. */
int compaction_init(void) MUST_CHECK;
/* From anywhere that may take a wait queue's lock, zone->lock held or not: the node's kcompactd should make a block. */
void kcompactd_wake(struct node *node, unsigned int order, enum zone_type highest);

/* Thousandths: 0, failing for lack of memory, to 1000, failing for fragmentation; -1000: would not fail. */
int fragmentation_index(const struct zone *zone, unsigned int order);
/* Thousandths of the free memory that is of no use to a request of @order. */
int unusable_free_index(const struct zone *zone, unsigned int order);
