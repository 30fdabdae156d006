/*
 * What of an address space is charged to it alone, and how that moves to another group.
 */
#pragma once

#include "mm/memcg.h"
#include "mm/vm/mm.h"

struct mm_charges {
	uint64_t anon, file, device; /* pages that only this space maps */
	uint64_t shared;	     /* entries for pages that others map, too */
};
void mm_charges(struct mm *mm, struct mm_charges *charges);

/*
 * New pages are charged to @to (NULL: the root) from now on; with @pages, so are the anonymous ones (on a device, too)
 * that only this space maps and that were charged to its group. 0, or -ENOMEM, a limit on @to's side, and nothing has
 * changed. May sleep.
 */
int mm_set_memcg(struct mm *mm, struct mem_cgroup *to, bool pages) MUST_CHECK;
