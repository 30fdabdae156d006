/*
 * Sorting in place: O(n log n) at worst, no memory, not stable.
 */
#pragma once

#include "lib/compiler.h"

/* @compare gives <0, 0, >0. @size is an element's in bytes, at most 256. */
void sort(void *base, size_t count, size_t size, int (*compare)(const void *a, const void *b));
