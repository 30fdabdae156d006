/*
 * What reclaim does with pages that address spaces map.
 */
#pragma once

#include "mm/page.h"

/* It will not be used soon. */
void page_deactivate(struct page *page);
/* Anonymous pages that may be dropped are, from now on. Once, at boot. */
void vm_reclaim_init(void);
