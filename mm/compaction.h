/*
 * Compaction: making large free blocks by moving pages out of the way.
 *
 * A migrate scanner goes up from the zone's bottom and isolates movable pages, a free scanner comes down from its top
 * and takes free ones to move them to; where they meet, the zone is done. After a failure a zone is left alone for more
 * and more requests (deferral).
 */
#pragma once

#include "mm/memory.h"

enum compact_result {
	COMPACT_NOT_SUITABLE, /* too little free memory to move anything to, or a block is there already */
	COMPACT_DEFERRED,     /* it failed lately: left alone for now */
	COMPACT_NOTHING,      /* the scanners met and there is no block */
	COMPACT_CONTENDED,    /* gave up for a lock or because asked to stop */
	COMPACT_SUCCESS,      /* there is a block, for now */
};

/*
 * Compacts the zones of @node up to @highest until one has a block of @order, or all have been gone through. Not @sync:
 * only what can be moved without waiting, from movable pageblocks. May sleep. Nested calls do nothing
 * (COMPACT_NOT_SUITABLE).
 */
enum compact_result compaction_direct(struct node *node, unsigned int order, enum zone_type highest, bool sync);

/* Starts a thread per node; then files. Once threads can be made. */
int compaction_init(void) MUST_CHECK;
/* From anywhere that may take a wait queue's lock, zone->lock held or not: the node's kcompactd should make a block. */
void kcompactd_wake(struct node *node, unsigned int order, enum zone_type highest);

/* Thousandths: 0, failing for lack of memory, to 1000, failing for fragmentation; -1000: would not fail. */
int fragmentation_index(const struct zone *zone, unsigned int order);
/* Thousandths of the free memory that is of no use to a request of @order. */
int unusable_free_index(const struct zone *zone, unsigned int order);
