/*
 * An array of page pointers as long as memory may need, in pieces that kmalloc() gives; for workloads that hold all
 * pages they can get. Not locked.
 */
#pragma once

#include "mm/page_alloc.h"

#define PAGE_ARRAY_CHUNK  (MIB(1) / sizeof(struct page *))
#define PAGE_ARRAY_CHUNKS 256u /* 32 M pages: 128 GiB */

struct page_array {
	size_t count, capacity;
	struct page **chunks[PAGE_ARRAY_CHUNKS];
};

/* Room for @capacity pages; false: no memory, and nothing is kept. */
bool page_array_init(struct page_array *array, size_t capacity) MUST_CHECK;
void page_array_destroy(struct page_array *array);

static inline struct page **page_array_slot(struct page_array *array, size_t at)
{
	return &array->chunks[at / PAGE_ARRAY_CHUNK][at % PAGE_ARRAY_CHUNK];
}
/* False: it is full. */
static inline bool page_array_push(struct page_array *array, struct page *page)
{
	if (array->count == array->capacity)
		return false;
	*page_array_slot(array, array->count++) = page;
	return true;
}
/* Takes out the one at @at; the last takes its place. */
static inline struct page *page_array_take(struct page_array *array, size_t at)
{
	struct page **slot = page_array_slot(array, at), *page = *slot;

	*slot = *page_array_slot(array, --array->count);
	return page;
}
