/*
 * Page tables as memory. See mm/vm/tables.h.
 *
 * A table is cleared before it is linked. One that is taken away is unlinked, then flushed everywhere, and then freed:
 * the CPU walks tables without a lock and keeps upper levels in mind.
 *
 * Every huge entry has a spare table in mm->spare_tables, so that it can be split where nothing can be allocated.
 */
#include "mm/vm/tables.h"

#include "kernel/panic.h"
#include "lib/atomic.h"
#include "mm/vm/page.h"

#define TOP_LEVEL 3u

uint64_t *table_new(struct mm *mm)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_PAGE_TABLE), 0);

	if (!page)
		return NULL;
	memory_clear_pages(page_address(page), PAGE_SIZE);
	atomic_add_relaxed(&mm->table_pages, 1);
	return page_address(page);
}

void table_free(struct mm *mm, uint64_t *table)
{
	atomic_add_relaxed(&mm->table_pages, -1ul);
	free_pages(virt_to_page(table), 0);
}

static uint64_t *table_at(uint64_t entry)
{
	return phys_to_virt(entry & PTE_ADDRESS);
}

uint64_t *table_leaf(struct mm *mm, uint64_t address, unsigned int *level)
{
	uint64_t *table = phys_to_virt(mm->space.root);

	for (*level = TOP_LEVEL;; --*level) {
		uint64_t *entry = &table[pte_index(address, *level)], value = load_acquire(entry);

		if (*level == 0 || (*level == 1 && (value & PTE_HUGE)))
			return entry;
		if (!(value & PTE_PRESENT))
			return *level == 1 ? entry : NULL;
		table = table_at(value);
	}
}

uint64_t *table_entry(struct mm *mm, uint64_t address, unsigned int level)
{
	unsigned int found;
	uint64_t *entry = table_leaf(mm, address, &found);

	if (!entry || found == level)
		return entry;
	/* A table of pages where its own entry was asked for. */
	if (level == 1) {
		uint64_t *table = phys_to_virt(mm->space.root);

		for (unsigned int at = TOP_LEVEL; at > 1; at--)
			table = table_at(load_acquire(&table[pte_index(address, at)]));
		return &table[pte_index(address, 1)];
	}
	return NULL;
}

uint64_t *table_entry_make(struct mm *mm, uint64_t address, unsigned int level)
{
	uint64_t *table = phys_to_virt(mm->space.root);

	for (unsigned int at = TOP_LEVEL; at > level; at--) {
		uint64_t *entry = &table[pte_index(address, at)], value = load_acquire(entry);

		if (at == 1 && (value & PTE_HUGE))
			return NULL;
		if (!value) {
			uint64_t *below = table_new(mm);

			if (!below)
				return NULL;
			value = virt_to_phys(below) | PTE_PRESENT | PTE_WRITE;
			store_release(entry, value);
		}
		table = table_at(value);
	}
	return &table[pte_index(address, level)];
}

/* ---- huge entries ---- */

void table_store_spare(struct mm *mm, uint64_t *table)
{
	list_add(&mm->spare_tables, &virt_to_page(table)->lru);
}

uint64_t *table_take_spare(struct mm *mm)
{
	struct page *page;

	ASSERT(!list_empty(&mm->spare_tables), "a huge entry without a spare table");
	page = list_first_entry(&mm->spare_tables, struct page, lru);
	list_del(&page->lru);
	return page_address(page);
}

void table_split(struct mm *mm, uint64_t address, uint64_t *entry)
{
	uint64_t *table = table_take_spare(mm), old = entry_get(entry);
	uint64_t part = (old & ~PTE_HUGE) | PTE_PART;

	/* The CPU may set this meanwhile; never shown as empty, so nobody fills it. */
	if (old & PTE_PRESENT)
		part |= PTE_ACCESSED | (old & PTE_WRITE ? PTE_DIRTY : 0);
	for (unsigned int i = 0; i < PTE_ENTRIES; i++)
		table[i] = part + i * PAGE_SIZE;
	if (pte_parked(old) != PTE_PARKED_MIGRATION) {
		page_get_many(pfn_to_page(pte_pfn(old)), PTE_ENTRIES - 1);
		page_map_many(pfn_to_page(pte_pfn(old)), PTE_ENTRIES - 1);
	}
	mm->counters[MM_HUGE]--;
	(void)entry_exchange(entry, virt_to_phys(table) | PTE_PRESENT | PTE_WRITE);
	address_space_flush(&mm->space, ALIGN_DOWN(address, HUGE_BYTES), HUGE_BYTES);
}

void table_split_at(struct mm *mm, uint64_t address)
{
	uint64_t *entry;
	unsigned int level;

	if (IS_ALIGNED(address, HUGE_BYTES))
		return;
	spin_lock(&mm->table_lock);
	entry = table_leaf(mm, address, &level);
	if (entry && level == 1 && (entry_get(entry) & PTE_HUGE))
		table_split(mm, address, entry);
	spin_unlock(&mm->table_lock);
}

/* ---- walking ---- */

static int walk_table(struct table_walk *walk, uint64_t start, uint64_t end)
{
	uint64_t *entry = table_entry(walk->mm, start, 0);
	int result = 0;

	for (; entry && !result && start < end; start += PAGE_SIZE, entry++)
		if (walk->holes || entry_get(entry))
			result = walk->page(walk, start, entry);
	return result;
}

static int walk_locked(struct table_walk *walk, uint64_t start, uint64_t end)
{
	unsigned int level;
	uint64_t *entry = table_leaf(walk->mm, start, &level);

	if (!entry || (level == 1 && !entry_get(entry)))
		return 0;
	if (level == 1) {
		if (walk->huge && end - start == HUGE_BYTES)
			return walk->huge(walk, start, entry);
		table_split(walk->mm, start, entry);
	}
	return walk_table(walk, start, end);
}

/* Behind the largest table that is missing at @address. */
static uint64_t skip_missing(struct mm *mm, uint64_t address, uint64_t end)
{
	unsigned int level;
	uint64_t *entry = table_leaf(mm, address, &level);
	uint64_t bytes = pte_bytes(entry ? 1 : level);
	uint64_t next = ALIGN_DOWN(address, bytes) + bytes;

	return MIN(next, end);
}

int table_walk(struct table_walk *walk, uint64_t start, uint64_t end)
{
	int result = 0;

	for (uint64_t next; start < end && !result; start = next) {
		next = skip_missing(walk->mm, start, end);
		spin_lock(&walk->mm->table_lock);
		result = walk_locked(walk, start, next);
		spin_unlock(&walk->mm->table_lock);
		if (walk->between)
			walk->between(walk);
	}
	return result;
}

/* ---- freeing ---- */

/* The tables below @table that lie within the range as a whole are unlinked and chained by their pages' lru. */
static void unlink_below(uint64_t *table, unsigned int level, uint64_t start, uint64_t end, struct list_node *unlinked)
{
	uint64_t bytes = pte_bytes(level), at = ALIGN_DOWN(start, bytes), *entry = &table[pte_index(at, level)];

	/* Most are empty: the range reaches to the next areas. */
	for (; at < end; at += bytes, entry++) {
		uint64_t *below;

		if (!*entry)
			continue;
		below = table_at(*entry);
		if (level > 1)
			unlink_below(below, level - 1, MAX(start, at), MIN(end, at + bytes), unlinked);
		if (at >= start && at + bytes <= end) {
			entry_set(entry, 0);
			list_add_tail(unlinked, &virt_to_page(below)->lru);
		}
	}
}

void table_free_range(struct mm *mm, uint64_t start, uint64_t end)
{
	struct list_node unlinked = LIST_INIT(unlinked);
	struct page *page, *after;

	spin_lock(&mm->table_lock);
	unlink_below(phys_to_virt(mm->space.root), TOP_LEVEL, start, end, &unlinked);
	spin_unlock(&mm->table_lock);
	if (list_empty(&unlinked))
		return;
	address_space_flush(&mm->space, start, end - start);
	list_for_each_entry_safe(page, after, &unlinked, lru) {
		list_del(&page->lru);
		table_free(mm, page_address(page));
	}
}
