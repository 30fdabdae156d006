/*
 * What reclaim does with pages that address spaces map.
 */
#pragma once

#include "mm/page.h"

/* It will not be used soon. */
void page_deactivate(struct page *page);
/*
 * An anonymous page whose content may be dropped (MADV_FREE), and that nobody wrote to since: its entries are emptied.
 * The caller holds PAGE_LOCKED and a reference, and the last one if it worked. False: it is in use after all.
 */
bool page_drop_clean(struct page *page) __attribute__((warn_unused_result));
