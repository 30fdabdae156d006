/*
 * An array in pieces.
 */
#include "workloads/page_array.h"

#include "kernel/memory.h"

bool page_array_init(struct page_array *array, size_t capacity)
{
	*array = (struct page_array){.capacity = capacity};
	if (capacity > PAGE_ARRAY_CHUNK * PAGE_ARRAY_CHUNKS)
		return false;
	for (size_t chunk = 0; chunk * PAGE_ARRAY_CHUNK < capacity; chunk++) {
		array->chunks[chunk] = kmalloc(PAGE_ARRAY_CHUNK * sizeof(struct page *));
		if (!array->chunks[chunk]) {
			page_array_destroy(array);
			return false;
		}
	}
	return true;
}

void page_array_destroy(struct page_array *array)
{
	for (size_t chunk = 0; chunk < PAGE_ARRAY_CHUNKS; chunk++)
		kfree(array->chunks[chunk]);
	*array = (struct page_array){0};
}
