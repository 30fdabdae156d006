/*
 * Huge pages: blocks of 2 MiB that are one page to everybody.
 */
#pragma once

#include "mm/vm/mm.h"

/*
 * The 2 MiB at @start become one block. 0: they are; -EINVAL: the area cannot have it; -ENOENT: nothing is there;
 * -EAGAIN: a page of it is shared, held, on a device, merged or locked; -ENOMEM.
 */
int huge_collapse(struct mm *mm, uint64_t start);
/*
 * khugepaged's step: the next place from *@at on that should be huge; *@at is behind it then. 1: it became so; 0: it
 * was, or cannot now; -ENOENT: there is none.
 */
int huge_collapse_next(struct mm *mm, uint64_t *at);
/* transparent_hugepage/enabled is not "never". */
bool thp_is_enabled(void);
/* The block becomes 512 pages. The caller holds PAGE_LOCKED (gone if it worked) and a reference. 0 or -EAGAIN. */
int huge_split(struct page *page) MUST_CHECK;
/* All blocks of the range (FOLL_LRU): how many were split. */
uint64_t huge_split_range(struct mm *mm, uint64_t start, uint64_t bytes);
/* /sys/kernel/mm/transparent_hugepage/. */
int huge_files_init(void) MUST_CHECK;
