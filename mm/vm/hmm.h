/*
 * What a device that shares an address space needs (Linux's HMM): a copy of a range of the tables, and the word when it
 * is no longer true.
 */
#pragma once

#include "mm/vm/mm.h"

/* A word per page: the frame's number, and: */
#define HMM_PFN_VALID BIT(63) /* it may be read */
#define HMM_PFN_WRITE BIT(62) /* and written */
#define HMM_PFN_ERROR BIT(61) /* it cannot be: no area, no right, a frame without a page */

struct hmm_range {
	struct mm *mm;
	uint64_t start, pages;
	bool fault, write; /* make pages be there; for writing */
	uint64_t *words;   /* [pages], the caller's */
	uint64_t seen;	   /* changes of the space before the look */
};

/* 0, or -EFAULT, -ENOMEM of the first fault that could not be resolved. May sleep. */
int hmm_range_fault(struct hmm_range *range) MUST_CHECK;
/* False: entries were taken away or restricted since; the device must drop what it knows, and ask again. */
bool hmm_still_true(const struct hmm_range *range);
