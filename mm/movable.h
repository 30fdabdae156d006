/*
 * Pages that can move: a table of operations per owner, for compaction, for emptying a range, for migration.
 *
 * Who moves a page finds it by its tag (page_owner()), isolates it, allocates another with the same owner and order,
 * and calls migrate. Everything is per block, as it was allocated; its first page stands for it.
 */
#pragma once

#include "mm/page.h"

struct movable_ops {
	/*
	 * Takes the block away from where its owner keeps it, so that nobody frees, reclaims or moves it until it is
	 * put back or migrated. False: not now, or it is not the owner's (any more). The tag was read without a lock:
	 * looks again under the owner's own. Does not sleep, holds no lock on return.
	 */
	bool (*isolate)(struct page *page);
	/*
	 * @to takes over content and identity. 0: @from belongs to the caller now, who frees it, and @to to the owner.
	 * -EAGAIN (try later), -EBUSY (pinned): nothing has changed, @from is still isolated and @to the caller's. May
	 * sleep.
	 */
	int (*migrate)(struct page *from, struct page *to);
	/* Back to where it was before isolate. */
	void (*put_back)(struct page *page);
};

/* Once per owner, at boot; NULL for owners whose pages cannot move. @ops is not copied. */
void movable_register(enum page_owner owner, const struct movable_ops *ops);
const struct movable_ops *movable_ops_of(enum page_owner owner);
