/*
 * Between the files of address spaces.
 */
#pragma once

#include "mm/vm/mm.h"

/* An empty one in @parent's family (NULL: of its own). */
struct mm *mm_new_in(struct mm *parent) MUST_CHECK;
/* It has a number and is in the list of all from now on. */
void mm_publish(struct mm *mm);
/* The counter that entries for @page are in. */
enum mm_counter mm_counter_of(const struct page *page);

/* The gate page: in every space at GATE_START, mapped when somebody looks, in gate_area. */
extern struct area gate_area;
void gate_init(struct page *page);
int gate_fault(struct mm *mm);
void gate_unmap(struct mm *mm);
