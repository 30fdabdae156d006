/*
 * Contiguous ranges: any run of page frames, emptied by moving what is in it.
 */
#pragma once

#include "mm/page_alloc.h"

/*
 * Takes the pages [@first_pfn, @end_pfn), each as a block of order 0 of @gfp's owner; GFP_ZERO clears them. What is
 * there and can move goes elsewhere. -EINVAL: not memory of one zone; -EBUSY: something in it does not move (now), or
 * somebody else empties a part of it. May sleep, not for ever; not from within migrate() or reclaim.
 */
int alloc_contig_range(uint64_t first_pfn, uint64_t end_pfn, uint32_t gfp) MUST_CHECK;
void free_contig_range(uint64_t first_pfn, uint64_t pages);
