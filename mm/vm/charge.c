/*
 * Whom memory is charged to follows the task that uses it: every page with a structure that this space alone maps,
 * device memory too (vm_normal_any_page). Pages that others map as well stay where they were charged.
 *
 * Moving goes over the tables twice under mm->lock: what can move is counted and charged to the new group in one piece;
 * then the pages change hands one by one. Meanwhile some may go or stop being alone, and others become so: no more move
 * than were charged, and what was charged for nothing is given back.
 *
 * While table_lock is held a page that only this entry (or table) maps is neither freed nor migrated, for both begin
 * with the entry; so nobody else changes its group.
 */
#include "mm/vm/charge.h"

#include "mm/lru.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

/* Of the block that @entry maps a part of: entries in this table, the only one that can have some of this space. */
static uint32_t parts_here(const uint64_t *entry, bool *first)
{
	const uint64_t *table = (const uint64_t *)ALIGN_DOWN((uintptr_t)entry, PAGE_SIZE);
	uint64_t block = ALIGN_DOWN(pte_pfn(entry_get(entry)), 1ul << HUGE_ORDER);
	uint32_t parts = 0;

	*first = true;
	for (const uint64_t *at = table; at < table + PTE_ENTRIES; at++) {
		uint64_t value = entry_get(at);

		if (!pte_maps(value) || !(value & PTE_PART) || ALIGN_DOWN(pte_pfn(value), 1ul << HUGE_ORDER) != block)
			continue;
		*first &= at >= entry;
		parts++;
	}
	return parts;
}

/* The page behind an entry, or NULL; whether nobody else maps it, and whether it is met here first. */
static struct page *charged_page(const struct table_walk *walk, uint64_t address, const uint64_t *entry, bool *alone,
				 bool *first)
{
	uint64_t value = entry_get(entry);
	struct page *page = NULL;

	if (pte_maps(value))
		page = vm_normal_any_page(walk->area, address, value);
	else if (pte_parked(value) == PTE_PARKED_DEVICE)
		page = pfn_to_page(pte_pfn(value));
	*first = true;
	if (page)
		*alone = load_relaxed(&page->mapcount) == (value & PTE_PART ? parts_here(entry, first) : 1);
	return page;
}

static void walk_space(struct mm *mm, int (*entry)(struct table_walk *walk, uint64_t address, uint64_t *entry),
		       void *context)
{
	struct area *area;

	list_for_each_entry(area, &mm->areas, node) {
		struct table_walk walk = {.mm = mm, .area = area, .page = entry, .huge = entry, .context = context};

		(void)table_walk(&walk, area->start, area->end);
	}
}

/* ---- looking ---- */

static int charge_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct mm_charges *charges = walk->context;
	uint64_t pages = entry_get(entry) & PTE_HUGE ? PTE_ENTRIES : 1;
	bool alone, first;
	struct page *page = charged_page(walk, address, entry, &alone, &first);

	if (!page)
		return 0;
	if (!alone)
		charges->shared += pages;
	else if (page_is(page, PAGE_DEVICE))
		charges->device += pages;
	else
		*(page_owner_is_anon(page) ? &charges->anon : &charges->file) += pages;
	return 0;
}

void mm_charges(struct mm *mm, struct mm_charges *charges)
{
	*charges = (struct mm_charges){0};
	mutex_lock(&mm->lock);
	walk_space(mm, charge_entry, charges);
	mutex_unlock(&mm->lock);
}

/* ---- moving ---- */

struct move {
	struct mem_cgroup *from, *to;
	struct memcg_amounts all, moved;
	bool counting;
};

static int move_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct move *move = walk->context;
	bool alone, first;
	struct page *page = charged_page(walk, address, entry, &alone, &first);
	uint64_t pages = page ? 1ul << page_map_order(page) : 0;
	enum memcg_count kind;

	if (!page || !alone || !first || !page_owner_is_anon(page) || page->memcg != move->from)
		return 0;
	kind = memcg_kind_of(page);
	if (move->counting) {
		move->all.pages[kind] += pages;
	} else if (move->moved.pages[kind] + pages <= move->all.pages[kind]) {
		move->moved.pages[kind] += pages;
		lru_set_memcg(page, move->to);
	}
	return 0;
}

static int move_pages(struct mm *mm, struct mem_cgroup *to)
{
	struct move move = {.from = mm->memcg, .to = to, .counting = true};
	int error;

	walk_space(mm, move_entry, &move);
	error = memcg_ops->move_begin(move.from, to, &move.all);
	if (error)
		return error;
	move.counting = false;
	walk_space(mm, move_entry, &move);
	memcg_ops->move_end(move.from, to, &move.all, &move.moved);
	return 0;
}

int mm_set_memcg(struct mm *mm, struct mem_cgroup *to, bool pages)
{
	struct mem_cgroup *from;
	int error = 0;

	mutex_lock(&mm->lock);
	from = mm->memcg;
	if (pages && from != to)
		error = move_pages(mm, to);
	if (!error) {
		mm->memcg = to;
		if (to)
			memcg_ops->get(to);
	}
	mutex_unlock(&mm->lock);
	if (!error)
		memcg_put(from);
	return error;
}
