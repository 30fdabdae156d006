/*
 * Free page hinting: telling somebody (the balloon's device) which large blocks are free, so that the host may drop
 * what is in them. How it works: mm/hinting.c and docs/hinting.md.
 *
 * A block that the backend has is off the free lists and accounted for as PAGE_OWNER_HINTED. Nothing happens until a
 * backend is registered and a tracker is chosen (/sys/kernel/mm/page_hinting/tracker, `none` at first).
 */
#pragma once

#include "mm/zone.h"

#define PAGE_HINTING_MIN_ORDER PAGEBLOCK_ORDER /* by default: so that the host's huge pages stay whole */

struct page_hinting_block {
	uint64_t pfn;
	unsigned int order;
};

/* Calls come from one thread at a time and may sleep, but must not wait for memory: the blocks are memory. */
struct page_hinting_cb {
	const char *name;
	unsigned int max_pages; /* the most blocks in one call */
	/* Before a pass and after it; NULL: nothing to do. -errno: not now, it is tried again later. */
	int (*prepare)(struct page_hinting_cb *cb);
	void (*cleanup)(struct page_hinting_cb *cb);
	/*
	 * Tells the host, and returns when the host is done with all of them: they go back to the free lists.
	 * -errno: it was not told, they go back and are hinted again later. -EBUSY: it may still be at it, now or at
	 * any time; they are never used again.
	 */
	int (*hint_pages)(struct page_hinting_cb *cb, const struct page_hinting_block *blocks, unsigned int count);
};

/* @cb is the caller's. -EBUSY: there is one already; -EINVAL: max_pages is 0; -ENOMEM. May sleep. */
int page_hinting_enable(struct page_hinting_cb *cb) MUST_CHECK;
/* On return no callback runs, none will, and no block is away. A @cb that is not registered is ignored. May sleep. */
void page_hinting_disable(struct page_hinting_cb *cb);

/*
 * For the buddy system: the block was freed and is on its list, merged into one of at least zone->hinting_order.
 * zone->lock is held. (By index, not by page: the page's structure need not be touched.)
 */
void page_hinting_enqueue(struct zone *zone, uint32_t index, unsigned int order);

/*
 * For allocations that are about to fail. @seen is what page_hinting_returns() said before the first attempt. True:
 * blocks came back since, try again; waits for those that are away, a second at most. May sleep.
 */
uint32_t page_hinting_returns(void);
bool page_hinting_wait(uint32_t *seen);

/* Between the two no pass runs and no block is away, but for those lost to a device. May sleep. */
void page_hinting_hold(void);
void page_hinting_release(void);

/* /sys/kernel/mm/page_hinting/{tracker,min_order,delay_ms,stats}; the first three also as parameters of page_hinting.
 */
int page_hinting_files_init(void) MUST_CHECK;
