/*
 * Three passes: pages on lists are set to "no entries seen"; each entry of each space counts its page; then each page
 * on a list must have been seen as often as its map count says. The count is kept in the page's structure, in private,
 * which none of the owners uses while the page is on a list.
 *
 * A page on no list that some space maps is found in the second pass; an anonymous one that is on no list and that
 * nobody maps, by the owner's sum.
 */
#include "mm/vm/check.h"

#include "kernel/printk.h"
#include "mm/daemon.h"
#include "mm/memcg.h"
#include "mm/memory.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

#define MOST_LINES 16u

struct check {
	struct table_walk walk;
	uint32_t faults;
	uint64_t anon; /* pages on lists */
};

static void complain(struct check *check, const struct page *page, const char *what)
{
	if (check->faults++ < MOST_LINES)
		pr_err("vm_check: pfn 0x%lx, flags 0x%x, %u references, %u entries, %lu seen: %s", page_to_pfn(page),
		       page->flags, page->refcount, page->mapcount, page->private, what);
}

static int count_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct check *check = container_of(walk, struct check, walk);
	uint64_t value = entry_get(entry);
	struct page *page;

	if (pte_parked(value) == PTE_PARKED_MIGRATION) {
		if (check->faults++ < MOST_LINES)
			pr_err("vm_check: space %u: 0x%lx is parked for a migration", walk->mm->id, address);
		return 0;
	}
	page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : pfn_to_page(pte_pfn(value));
	if (!page)
		return 0;
	page->private ++;
	if (page_is(page, PAGE_DEVICE) && page_is(page, PAGE_ON_LRU))
		complain(check, page, "device memory is on a list");
	if (!page_is(page, PAGE_DEVICE) && page_owner(page) == PAGE_OWNER_ANON && !page_is(page, PAGE_ON_LRU))
		complain(check, page, "is mapped and on no list");
	return 0;
}

static void count_space(struct check *check, struct mm *mm)
{
	struct area *area;

	check->walk = (struct table_walk){.mm = mm, .page = count_entry, .huge = count_entry};
	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		check->walk.area = area;
		(void)table_walk(&check->walk, area->start, area->end);
	}
	mutex_unlock(&mm->lock);
	check->faults += mm_check(mm) != 0;
}

static void count_spaces(struct check *check)
{
	struct mm *mm = NULL, *next;

	while ((next = mm_next(mm))) {
		if (mm)
			mm_put(mm);
		mm = next;
		count_space(check, mm);
	}
	if (mm)
		mm_put(mm);
}

static void begin_page(struct check *check UNUSED, struct page *page)
{
	page->private = 0;
}

static void end_page(struct check *check, struct page *page)
{
	bool file = page_owner(page) == PAGE_OWNER_PAGE_CACHE;

	check->anon += file ? 0 : 1u << page_order(page);
	if (page->private != page->mapcount)
		complain(check, page, "its map count is not what the tables say");
	if (page->refcount != page->mapcount + file)
		complain(check, page, "references that nobody explains");
	if (!file && !page->mapcount)
		complain(check, page, "nobody maps it");
	if (page_is(page, PAGE_LOCKED | PAGE_ISOLATED))
		complain(check, page, "somebody works on it");
	if (page_is_huge(page) != (page_order(page) == HUGE_ORDER))
		complain(check, page, "huge in one book only");
}

static void for_each_listed(struct check *check, void (*look)(struct check *check, struct page *page))
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct lru *lru = &memory.nodes[node].lru;
		struct page *page;

		spin_lock(&lru->lock);
		for (unsigned int at = 0; at < NR_ZONE_TYPES * NR_LRU_LISTS; at++)
			list_for_each_entry(page, &lru->lists[at / NR_LRU_LISTS][at % NR_LRU_LISTS], lru)
				look(check, page);
		spin_unlock(&lru->lock);
	}
}

static void check_all(struct check *check)
{
	struct memory_info info;

	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		check->faults += lru_check(&memory.nodes[node].lru) != 0;
	for_each_listed(check, begin_page);
	count_spaces(check);
	for_each_listed(check, end_page);
	check->faults += memcg_check() != 0;
	memory_info_get(&info);
	if (info.by_owner[PAGE_OWNER_ANON] != check->anon) {
		pr_err("vm_check: %lu anonymous pages, but %lu on lists", info.by_owner[PAGE_OWNER_ANON], check->anon);
		check->faults++;
	}
}

int vm_check(void)
{
	struct check check = {0};

	daemons_hold();
	check_all(&check);
	daemons_release();
	return check.faults ? -EINVAL : 0;
}
