/*
 * Memory before the allocator: two sorted lists of intervals.
 *
 * Regions of a list never overlap, and touching ones of one node are one. Everything is composed of three steps:
 * split a region at an address, fill the gaps of a range, and join neighbours. Whether the result will fit is counted
 * before anything changes.
 */
#include "mm/memblock.h"

#include "lib/errno.h"
#include "lib/string.h"

#include <arch/page.h>

struct memblock memblock;

struct region_list {
	struct memblock_region *regions;
	size_t *count;
};

static struct region_list memory_of(struct memblock *mb)
{
	return (struct region_list){mb->memory, &mb->nr_memory};
}

static struct region_list reserved_of(struct memblock *mb)
{
	return (struct region_list){mb->reserved, &mb->nr_reserved};
}

void memblock_init(struct memblock *mb)
{
	mb->nr_memory = mb->nr_reserved = 0;
}

/* The first region that ends behind @address. */
static size_t first_behind(struct region_list list, uint64_t address)
{
	size_t at = 0;

	while (at < *list.count && list.regions[at].end <= address)
		at++;
	return at;
}

static void insert(struct region_list list, size_t at, uint64_t start, uint64_t end, int node)
{
	memmove(&list.regions[at + 1], &list.regions[at], (*list.count - at) * sizeof(*list.regions));
	list.regions[at] = (struct memblock_region){.start = start, .end = end, .node = node};
	++*list.count;
}

static void join_neighbours(struct region_list list)
{
	size_t kept = 0;

	for (size_t at = 0; at < *list.count; at++) {
		struct memblock_region *last = kept ? &list.regions[kept - 1] : NULL;

		if (last && last->end == list.regions[at].start && last->node == list.regions[at].node)
			last->end = list.regions[at].end;
		else
			list.regions[kept++] = list.regions[at];
	}
	*list.count = kept;
}

/*
 * The next gap in [*from, end): where it starts and ends, and before which region. Such a gap touches its neighbours
 * or an end of the range.
 */
static bool next_gap(struct region_list list, uint64_t *from, uint64_t end, uint64_t *gap_end, size_t *before)
{
	for (*before = first_behind(list, *from); *from < end; ++*before) {
		uint64_t start = *before < *list.count ? list.regions[*before].start : UINT64_MAX;

		if (*from < start) {
			*gap_end = MIN(start, end);
			return true;
		}
		*from = list.regions[*before].end;
	}
	return false;
}

/* Grows a neighbour of the same node if the gap touches one. */
static bool extends(struct region_list list, size_t before, uint64_t start, uint64_t end, int node)
{
	struct memblock_region *left = before ? &list.regions[before - 1] : NULL;
	struct memblock_region *right = before < *list.count ? &list.regions[before] : NULL;

	return (left && left->end == start && left->node == node) ||
	       (right && right->start == end && right->node == node);
}

static void fill_gap(struct region_list list, size_t before, uint64_t start, uint64_t end, int node)
{
	struct memblock_region *left = before ? &list.regions[before - 1] : NULL;

	if (left && left->end == start && left->node == node)
		left->end = end;
	else if (extends(list, before, start, end, node))
		list.regions[before].start = start;
	else
		insert(list, before, start, end, node);
}

static int add_range(struct region_list list, uint64_t start, uint64_t end, int node)
{
	size_t needed = *list.count, before;
	uint64_t gap_end;

	for (uint64_t at = start; next_gap(list, &at, end, &gap_end, &before); at = gap_end)
		needed += !extends(list, before, at, gap_end, node);
	if (needed > MEMBLOCK_MAX_REGIONS)
		return -ENOSPC;
	for (uint64_t at = start; next_gap(list, &at, end, &gap_end, &before); at = gap_end)
		fill_gap(list, before, at, gap_end, node);
	join_neighbours(list);
	return 0;
}

int memblock_add(struct memblock *mb, uint64_t start, uint64_t end, int node)
{
	return add_range(memory_of(mb), start, end, node);
}

int memblock_reserve(struct memblock *mb, uint64_t start, uint64_t end)
{
	return add_range(reserved_of(mb), start, end, 0);
}

static bool straddles(struct region_list list, uint64_t address)
{
	size_t at = first_behind(list, address);

	return at < *list.count && list.regions[at].start < address;
}

static void split_at(struct region_list list, uint64_t address)
{
	size_t at = first_behind(list, address);
	struct memblock_region region;

	if (!straddles(list, address))
		return;
	region = list.regions[at];
	list.regions[at].end = address;
	insert(list, at + 1, address, region.end, region.node);
}

int memblock_set_node(struct memblock *mb, uint64_t start, uint64_t end, int node)
{
	struct region_list list = memory_of(mb);

	if (start >= end)
		return 0;
	if (*list.count + straddles(list, start) + straddles(list, end) > MEMBLOCK_MAX_REGIONS)
		return -ENOSPC;
	split_at(list, start);
	split_at(list, end);
	for (size_t at = first_behind(list, start); at < *list.count && list.regions[at].start < end; at++)
		list.regions[at].node = node;
	join_neighbours(list);
	return 0;
}

/* The highest free place within the region, or 0. Address 0 itself is never given: it means "none". */
static uint64_t find_in_region(struct memblock *mb, const struct memblock_region *region, uint64_t bytes,
			       uint64_t align, uint64_t limit)
{
	struct region_list reserved = reserved_of(mb);
	uint64_t end = MIN(region->end, limit);

	while (end > region->start && end - region->start >= bytes) {
		uint64_t start = ALIGN_DOWN(end - bytes, align);
		size_t at;

		if (start < region->start || !start)
			return 0;
		at = first_behind(reserved, start);
		if (at == *reserved.count || reserved.regions[at].start >= start + bytes)
			return start;
		end = reserved.regions[at].start;
	}
	return 0;
}

static uint64_t find_free(struct memblock *mb, uint64_t bytes, uint64_t align, int node, bool any_node, uint64_t limit)
{
	for (size_t at = mb->nr_memory; at--;) {
		uint64_t found = 0;

		if (any_node || mb->memory[at].node == node)
			found = find_in_region(mb, &mb->memory[at], bytes, align, limit);
		if (found)
			return found;
	}
	return 0;
}

uint64_t memblock_alloc(struct memblock *mb, uint64_t bytes, uint64_t align, int node, uint64_t limit)
{
	uint64_t found;

	bytes = ALIGN_UP(MAX(bytes, 1ul), CACHE_LINE_BYTES);
	align = MAX(align, (uint64_t)CACHE_LINE_BYTES);
	found = find_free(mb, bytes, align, node, false, limit);
	if (!found)
		found = find_free(mb, bytes, align, node, true, limit);
	if (found && memblock_reserve(mb, found, found + bytes))
		return 0;
	return found;
}

bool memblock_next_free(const struct memblock *mb, uint64_t *at, struct memblock_region *range)
{
	struct region_list memory = memory_of((struct memblock *)mb), reserved = reserved_of((struct memblock *)mb);

	for (size_t m = first_behind(memory, *at); m < mb->nr_memory; m++) {
		const struct memblock_region *region = &mb->memory[m];
		uint64_t start = MAX(*at, region->start);
		size_t r = first_behind(reserved, start);

		while (r < mb->nr_reserved && mb->reserved[r].start <= start)
			start = mb->reserved[r++].end;
		if (start >= region->end)
			continue;
		*range = (struct memblock_region){.start = start, .end = region->end, .node = region->node};
		if (r < mb->nr_reserved)
			range->end = MIN(range->end, mb->reserved[r].start);
		*at = range->end;
		return true;
	}
	return false;
}
