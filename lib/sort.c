/*
 * Heap sort: the array is made a heap (every parent at least as large as its children), then the largest is
 * swapped behind the shrinking heap, again and again. O(n log n) whatever the input, and no memory.
 */
#include "lib/sort.h"

#include "lib/string.h"

#define MAX_ELEMENT_BYTES 256

struct heap {
	char *base;
	size_t size; /* of an element */
	int (*compare)(const void *a, const void *b);
};

static void swap(char *a, char *b, size_t size)
{
	char keep[MAX_ELEMENT_BYTES];

	memcpy(keep, a, size);
	memcpy(a, b, size);
	memcpy(b, keep, size);
}

/* Lets the element at @parent sink among the first @count until no child is larger. */
static void sift_down(const struct heap *heap, size_t parent, size_t count)
{
	for (size_t child; (child = 2 * parent + 1) < count; parent = child) {
		char *at = heap->base + parent * heap->size;
		char *largest = heap->base + child * heap->size;

		if (child + 1 < count && heap->compare(largest, largest + heap->size) < 0) {
			largest += heap->size;
			child++;
		}
		if (heap->compare(at, largest) >= 0)
			return;
		swap(at, largest, heap->size);
	}
}

void sort(void *base, size_t count, size_t size, int (*compare)(const void *a, const void *b))
{
	struct heap heap = {.base = base, .size = size, .compare = compare};

	for (size_t parent = count / 2; parent-- > 0;)
		sift_down(&heap, parent, count);
	for (size_t last = count; last-- > 1;) {
		swap(heap.base, heap.base + last * size, size);
		sift_down(&heap, 0, last);
	}
}
