/*
 * Between RAM and device memory, with real copies.
 *
 * To a device: pages of a range are collected (any page: ordinary and the zero page's holes alike), then filtered by
 * kind: small, anonymous, not locked in memory, not on that device yet; from another one they come directly. Back: the
 * collected ones that are on any. Private device memory comes back by itself when somebody touches it.
 */
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/tables.h"

#define COLLECT_MAX 64u

struct collect {
	struct table_walk walk;
	struct device_memory *target; /* pages that are not there; NULL: those that are on a device */
	size_t count;
	struct page *pages[COLLECT_MAX];
};

static struct page *any_page(const struct area *area, uint64_t address, uint64_t value)
{
	if (pte_maps(value))
		return vm_normal_any_page(area, address, value);
	return pte_parked(value) == PTE_PARKED_DEVICE ? pfn_to_page(pte_pfn(value)) : NULL;
}

static bool can_move(const struct page *page, uint64_t value, const struct device_memory *target)
{
	const struct device_memory *device = page_is(page, PAGE_DEVICE) ? device_of_pfn(page_to_pfn(page)) : NULL;

	return !(value & PTE_PART) && !page_is(page, PAGE_HUGE | PAGE_KSM | PAGE_MLOCKED) && page_owner_is_anon(page) &&
	       (target ? device != target : device != NULL);
}

static int collect_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct collect *collect = container_of(walk, struct collect, walk);
	uint64_t value = entry_get(entry);
	struct page *page = any_page(walk->area, address, value);

	if (!page || !can_move(page, value, collect->target))
		return 0;
	page_get(page);
	collect->pages[collect->count++] = page;
	return collect->count == COLLECT_MAX;
}

/* Huge pages stay where they are. */
static int pass_over(struct table_walk *walk UNUSED, uint64_t address UNUSED, uint64_t *entry UNUSED)
{
	return 0;
}

static void collect_range(struct mm *mm, uint64_t start, uint64_t end, struct collect *collect)
{
	collect->count = 0;
	mutex_lock(&mm->lock);
	for_each_area(area, mm, start, end) {
		collect->walk = (struct table_walk){.mm = mm, .area = area, .page = collect_entry, .huge = pass_over};
		if (table_walk(&collect->walk, MAX(start, area->start), MIN(end, area->end)))
			break;
	}
	mutex_unlock(&mm->lock);
}

static int move_to_device(struct page *page, struct device_memory *device)
{
	struct page *to = device_page_alloc(device);
	int error = -ENOMEM;

	if (to && page_trylock(page)) {
		error = migrate_page(page, to);
		page_unlock(page);
	}
	if (to)
		page_put(to);
	page_put(page);
	return error;
}

static int64_t move_range(struct mm *mm, uint64_t start, uint64_t bytes, struct device_memory *device)
{
	struct collect collect = {.target = device};
	int64_t moved = 0;

	/* In pieces that collect whole; so what cannot be moved is not met again. */
	for (uint64_t at = start; at < start + bytes; at += COLLECT_MAX * PAGE_SIZE) {
		collect_range(mm, at, MIN(start + bytes, at + COLLECT_MAX * PAGE_SIZE), &collect);
		for (size_t i = 0; i < collect.count; i++) {
			struct page *page = collect.pages[i];

			moved += (device ? move_to_device(page, device) : migrate_found_page(page, NODE_ANY)) == 0;
		}
	}
	return moved;
}

int64_t device_migrate_to(struct mm *mm, uint64_t start, uint64_t bytes, struct device_memory *device)
{
	return device ? move_range(mm, start, bytes, device) : -ENODEV;
}

int64_t device_migrate_back(struct mm *mm, uint64_t start, uint64_t bytes)
{
	return move_range(mm, start, bytes, NULL);
}

int device_bring_back(struct mm *mm, struct area *area UNUSED, uint64_t address)
{
	struct page *page = NULL;
	unsigned int level;
	uint64_t *entry, value;
	int error;

	spin_lock(&mm->table_lock);
	entry = table_leaf(mm, address, &level);
	value = entry ? entry_get(entry) : 0;
	if (pte_parked(value) == PTE_PARKED_DEVICE) {
		page = pfn_to_page(pte_pfn(value));
		page_get(page);
	}
	spin_unlock(&mm->table_lock);
	if (!page)
		return 0;
	error = migrate_found_page(page, NODE_ANY);
	/* Somebody else is moving it: the access is tried again. */
	return error == -EBUSY || error == -EAGAIN ? 0 : error;
}
