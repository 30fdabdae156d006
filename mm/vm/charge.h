/*
 * What of an address space is charged to it alone.
 */
#pragma once

#include "mm/vm/mm.h"

struct mm_charges {
	uint64_t anon, file, device; /* pages that only this space maps */
	uint64_t shared;	     /* entries for pages that others map, too */
};
void mm_charges(struct mm *mm, struct mm_charges *charges);
