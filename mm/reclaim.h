/*
 * Reclaim: getting pages back from those who can do without them: the page cache, shrinkers, whoever else has pages on
 * the LRU lists.
 *
 * One call of reclaim_node() is one pass at one priority; kswapd and direct reclaim are loops around it that differ in
 * when they stop. Takes the LRU lists' locks, never zone->lock for long. May sleep; must not be called by who holds a
 * lock that a shrinker or a file takes.
 */
#pragma once

#include "mm/memory.h"

#define RECLAIM_PRIORITY_FIRST 12u /* a pass looks at 2^-priority of each list */

struct reclaim {
	struct node *node;
	enum zone_type highest;	     /* pages of higher zones do not help */
	enum zone_type lowest;	     /* nor those of lower ones */
	struct mem_cgroup *memcg;    /* only what is charged to it or below; NULL: everybody's */
	unsigned int order;	     /* of the request behind it */
	unsigned int priority;	     /* RECLAIM_PRIORITY_FIRST down to 0 */
	uint64_t wanted;	     /* pages after which a pass may end */
	bool by_kswapd;		     /* which counters: pgscan_kswapd or pgscan_direct, ... */
	bool gently;		     /* only what is clean and cheap: no write-back, no swap, no shrinker that sleeps */
	uint64_t scanned, reclaimed; /* pages, added to */
};

/* One pass; the pages it freed, those of slabs too. */
uint64_t reclaim_node(struct reclaim *reclaim);
/* /proc/sys/vm/reclaim_zero_pages: are anonymous pages looked at, which go if they are all zeros? */
bool reclaim_zero_pages(void);
/* One isolated page: freed by its owner, or put back. @gently as above. */
bool reclaim_isolated(struct page *page, bool gently);
/*
 * For a request that found too little: passes over the node's neighbours in its zone list until twice what it wants (at
 * least 32 pages) is free, which is what compaction needs to move things to, or priority 0 has been through; the pages
 * freed. Nested calls (memory needed while freeing memory) return 0 at once.
 */
uint64_t reclaim_direct(struct node *node, uint32_t gfp, unsigned int order, enum zone_type highest);
/* Passes over all nodes for pages charged to @memcg or below, until @wanted are free or priority 0 has been through. */
uint64_t reclaim_memcg(struct mem_cgroup *memcg, uint64_t wanted);
