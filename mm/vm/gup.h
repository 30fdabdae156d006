/*
 * Pages by address (Linux's follow_page and get_user_pages), with a reference or a pin for the caller.
 *
 * A page of a huge one is given as the block's first page: pages that are mapped as one are counted as one.
 */
#pragma once

#include "mm/vm/page.h"

enum foll {
	FOLL_WRITE = 0x01,	 /* it will be written to: break copies on write first */
	FOLL_NOFAULT = 0x02,	 /* only what is there */
	FOLL_MLOCK = 0x1000,	 /* for mlock: implies FOLL_LRU */
	FOLL_LONGTERM = 0x10000, /* held for long: not in device memory */
	FOLL_PIN = 0x40000,	 /* for a device: PAGE_PIN_BIAS references, see unpin_user_page() */
	FOLL_LRU = 0x100000,	 /* no device memory */
};

/*
 * The page mapped at @address, with a reference; NULL: none that these flags may have (a hole, the zero page, a frame
 * without a page, with FOLL_LRU or FOLL_MLOCK device memory, with FOLL_WRITE a read-only entry).
 */
struct page *follow_page(struct mm *mm, uint64_t address, uint32_t flags);
/*
 * Faults in and holds the pages of @count addresses from @start on. How many before the first that cannot be had; none:
 * -EFAULT (also: the area gives no right to it, to write with FOLL_WRITE), -ENOMEM, or with FOLL_LRU -EINVAL for device
 * memory. With FOLL_LONGTERM device pages are first moved to RAM.
 */
int64_t get_user_pages(struct mm *mm, uint64_t start, size_t count, uint32_t flags, struct page **pages);
/* What was got with FOLL_PIN; without it: page_put(). */
void unpin_user_page(struct page *page);
