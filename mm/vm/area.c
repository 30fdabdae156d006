/*
 * Areas: what the addresses of a space are for. A sorted list; the one found last is looked at first.
 *
 * Cutting and joining: changes to a part of an area first cut it out (area_isolate()), then change whole areas, then
 * join neighbours that have become alike. So no operation needs to know about parts.
 */
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "lib/atomic.h"
#include "mm/vm/tables.h"
#include "mm/vm/zap.h"

struct area *area_at_or_after(struct mm *mm, uint64_t address)
{
	struct area *area = mm->last;

	/* Forwards from the last one, if it is not too far on. */
	if (!area || (area->start > address && area->node.prev != &mm->areas))
		area = list_empty(&mm->areas) ? NULL : list_first_entry(&mm->areas, struct area, node);
	while (area && area->end <= address)
		area = area_next(mm, area);
	if (area)
		mm->last = area;
	return area;
}

struct area *area_next(struct mm *mm, struct area *area)
{
	return area->node.next == &mm->areas ? NULL : list_entry(area->node.next, struct area, node);
}

static struct area *area_before(struct mm *mm, struct area *area)
{
	return area->node.prev == &mm->areas ? NULL : list_entry(area->node.prev, struct area, node);
}

struct area *area_find(struct mm *mm, uint64_t address)
{
	struct area *area = area_at_or_after(mm, address);

	DEBUG_ASSERT(mutex_is_mine(&mm->lock), "areas are looked at without their space's lock");
	return area && area->start <= address ? area : NULL;
}

static void area_remove(struct mm *mm, struct area *area)
{
	if (mm->last == area)
		mm->last = NULL;
	list_del(&area->node);
	if (area->ops && area->ops->close)
		area->ops->close(area);
	kfree(area);
}

/* ---- cutting and joining ---- */

struct area *area_clone(const struct area *area, struct mm *mm)
{
	struct area *clone = kmalloc(sizeof(*clone));

	/* Not its places in lists: others change those of a file's. */
	if (clone)
		*clone = (struct area){
			.start = area->start,
			.end = area->end,
			.flags = area->flags,
			.policy_node = area->policy_node,
			.index = area->index,
			.ops = area->ops,
			.object = area->object,
			.mm = mm,
		};
	return clone;
}

static int area_cut(struct mm *mm, struct area *area, uint64_t address)
{
	struct area *upper = area_clone(area, mm);

	if (!upper)
		return -ENOMEM;
	upper->start = address;
	upper->index += (address - area->start) >> PAGE_SHIFT;
	list_add(&area->node, &upper->node);
	if (upper->ops && upper->ops->open)
		upper->ops->open(upper);
	store_relaxed(&area->end, address); /* now: to overlap is better than a gap (mm/vm/file_area.h) */
	table_split_at(mm, address);
	return 0;
}

static int cut_at(struct mm *mm, uint64_t address)
{
	struct area *area = area_find(mm, address);

	return area && area->start < address ? area_cut(mm, area, address) : 0;
}

int area_isolate(struct mm *mm, uint64_t start, uint64_t end)
{
	int error = cut_at(mm, start);

	return error ? error : cut_at(mm, end);
}

static bool alike(const struct area *a, const struct area *b)
{
	return a->end == b->start && a->flags == b->flags && a->policy_node == b->policy_node && a->ops == b->ops &&
	       a->object == b->object && (!a->ops || a->index + ((a->end - a->start) >> PAGE_SHIFT) == b->index);
}

void area_merge(struct mm *mm, uint64_t start, uint64_t end)
{
	struct area *area = area_at_or_after(mm, start), *before = area ? area_before(mm, area) : NULL;

	area = before ? before : area;
	while (area && area->start <= end) {
		struct area *next = area_next(mm, area);

		if (next && alike(area, next)) {
			store_relaxed(&area->end, next->end);
			area_remove(mm, next);
		} else {
			area = next;
		}
	}
}

/* ---- mapping ---- */

static bool is_range(uint64_t start, uint64_t bytes)
{
	return bytes && IS_ALIGNED(start | bytes, PAGE_SIZE) && start >= MM_LOWEST && start < GATE_START &&
	       bytes <= GATE_START - start;
}

/* The lowest gap from MM_BASE on; huge ones begin where a huge page can. */
static uint64_t find_gap(struct mm *mm, uint64_t bytes)
{
	uint64_t align = bytes >= HUGE_BYTES ? HUGE_BYTES : PAGE_SIZE, at = MM_BASE;

	for (struct area *area = area_at_or_after(mm, at); area; area = area_next(mm, area)) {
		if (area->start >= at + bytes)
			break;
		at = ALIGN_UP(area->end, align);
	}
	return at;
}

static int64_t map_locked(struct mm *mm, const struct mapping_request *request)
{
	uint64_t start = request->start ? request->start : find_gap(mm, request->bytes);
	struct area *after, *area;

	if (!is_range(start, request->bytes))
		return -ENOMEM;
	after = area_at_or_after(mm, start);
	if (after && after->start < start + request->bytes)
		return -EEXIST;
	area = kmalloc(sizeof(*area));
	if (!area)
		return -ENOMEM;
	*area = (struct area){
		.start = start,
		.end = start + request->bytes,
		.flags = request->flags | AREA_SOFT_DIRTY,
		.policy_node = NODE_ANY,
		.index = request->index,
		.ops = request->ops,
		.object = request->object,
		.mm = mm,
	};
	list_add_tail(after ? &after->node : &mm->areas, &area->node);
	if (area->ops && area->ops->open)
		area->ops->open(area);
	mm->mapped_pages += request->bytes >> PAGE_SHIFT;
	area_merge(mm, start, start + request->bytes);
	return (int64_t)start;
}

int64_t mm_map(struct mm *mm, const struct mapping_request *request)
{
	int64_t result;

	if (!is_range(request->start ? request->start : MM_BASE, request->bytes))
		return -EINVAL;
	mutex_lock(&mm->lock);
	result = map_locked(mm, request);
	mutex_unlock(&mm->lock);
	return result;
}

/* ---- unmapping ---- */

static void unmap_area(struct mm *mm, struct area *area)
{
	zap_range(mm, area, area->start, area->end);
	mm->mapped_pages -= (area->end - area->start) >> PAGE_SHIFT;
	if (area->flags & AREA_LOCKED)
		mm->locked_pages -= (area->end - area->start) >> PAGE_SHIFT;
	area_remove(mm, area);
}

/* Tables serve whole ranges of 2 MiB and more: up to the neighbours, nothing is there any more. */
static void free_tables_around(struct mm *mm, uint64_t end)
{
	struct area *after = area_at_or_after(mm, end), *before;
	uint64_t start;

	if (after)
		before = area_before(mm, after);
	else
		before = list_empty(&mm->areas) ? NULL : list_last_entry(&mm->areas, struct area, node);
	start = before ? ALIGN_UP(before->end, HUGE_BYTES) : 0;
	end = ALIGN_DOWN(after ? after->start : GATE_START, HUGE_BYTES);
	if (start < end)
		table_free_range(mm, start, end);
}

static int unmap_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct area *area;
	int error = area_isolate(mm, start, end);

	if (error)
		return error;
	while ((area = area_at_or_after(mm, start)) && area->start < end)
		unmap_area(mm, area);
	free_tables_around(mm, end);
	return 0;
}

int mm_unmap(struct mm *mm, uint64_t start, uint64_t bytes)
{
	int error;

	if (!is_range(start, bytes))
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = unmap_locked(mm, start, start + bytes);
	mutex_unlock(&mm->lock);
	return error;
}
