/*
 * Between paging.c and the other users of its pages in this folder.
 */
#pragma once

#include "arch/x86_64/platform.h"

/* One page, not cleared, or 0. */
uint64_t paging_page_alloc(enum paging_purpose purpose) MUST_CHECK;
void paging_page_release(uint64_t phys);
