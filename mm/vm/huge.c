/*
 * Huge pages made and taken apart: collapse of a table of small pages into one block (khugepaged), splitting of a block
 * into small pages, and who wants them at all.
 *
 * Collapse copies: the entries of the table are taken out, under table_lock, if every page is an LRU page that nobody
 * else maps or holds. From then on the pages are the collapser's; faults wait for mm->lock. If the table maps the parts
 * of one block in order, the block only needs its huge entry back.
 *
 * A split is a migration to oneself: entries are parked, the block leaves its LRU list, so that nobody finds it there,
 * and becomes 512 pages, and the entries map those.
 */
#include "mm/vm/huge.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "mm/lru.h"
#include "mm/memcg.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vm/zap.h"
#include "mm/vmstat.h"

enum { THP_ALWAYS, THP_MADVISE, THP_NEVER };
static const char *const thp_names[] = {"always", "madvise", "never", NULL};
static struct vfile_choice thp_enabled = {.names = thp_names, .chosen = THP_MADVISE};

bool thp_wanted(const struct area *area)
{
	uint32_t enabled = load_relaxed(&thp_enabled.chosen);

	if (enabled == THP_NEVER || (area->flags & AREA_NOHUGE))
		return false;
	return enabled == THP_ALWAYS || (area->flags & AREA_HUGE);
}

int huge_files_init(void)
{
	return vfile_add_choice("/sys/kernel/mm/transparent_hugepage/enabled", &thp_enabled);
}

bool thp_is_enabled(void)
{
	return load_relaxed(&thp_enabled.chosen) != THP_NEVER;
}

/* ---- collapse ---- */

enum { WAS_HUGE, MADE }; /* or -errno */

static struct page *lru_page(const struct area *area, uint64_t address, uint64_t value)
{
	return pte_maps(value) ? vm_normal_lru_page(area, address, value) : NULL;
}

static bool is_zero(uint64_t value)
{
	return (value & PTE_SPECIAL) && pte_pfn(value) == zero_page_pfn;
}

/* Under table_lock: may its content move into a block? */
static bool collapsible(const struct area *area, uint64_t address, uint64_t value)
{
	struct page *page = lru_page(area, address, value);

	if (!page)
		return !value || is_zero(value);
	return !page_is(page, PAGE_KSM | PAGE_HUGE | PAGE_MLOCKED | PAGE_LOCKED) && page_owner_is_anon(page) &&
	       load_relaxed(&page->mapcount) == 1 && load_relaxed(&page->refcount) == 1;
}

struct collapse {
	struct mm *mm;
	struct area *area;
	uint64_t start;
	uint64_t *table;
	struct page *block;
	uint64_t old[PTE_ENTRIES];
};

/* Under table_lock: all of them, and not only zero pages. */
static bool all_collapsible(const struct collapse *collapse)
{
	bool any = false;

	for (unsigned int i = 0; i < PTE_ENTRIES; i++) {
		if (!collapsible(collapse->area, collapse->start + i * PAGE_SIZE, entry_get(&collapse->table[i])))
			return false;
		any |= entry_get(&collapse->table[i]) && !is_zero(entry_get(&collapse->table[i]));
	}
	return any;
}

static bool scan_entries(const struct collapse *collapse)
{
	bool worthwhile;

	spin_lock(&collapse->mm->table_lock);
	worthwhile = all_collapsible(collapse);
	spin_unlock(&collapse->mm->table_lock);
	return worthwhile;
}

static bool take_entries(struct collapse *collapse)
{
	if (!all_collapsible(collapse))
		return false;
	for (unsigned int i = 0; i < PTE_ENTRIES; i++)
		collapse->old[i] = entry_exchange(&collapse->table[i], 0);
	return true;
}

static void copy_pages(const struct collapse *collapse)
{
	char *to = page_bytes(collapse->block);

	for (unsigned int i = 0; i < PTE_ENTRIES; i++, to += PAGE_SIZE) {
		uint64_t old = collapse->old[i];

		if (!old || is_zero(old)) {
			memory_clear_pages(to, PAGE_SIZE);
			continue;
		}
		DEBUG_ASSERT(!tlb_reaches(pte_pfn(old), 1, false),
			     "0x%lx is collapsed, and a CPU may still write there", collapse->start + i * PAGE_SIZE);
		memcpy(to, entry_bytes(collapse->area, 0, old), PAGE_SIZE);
	}
}

/* The table, now empty, becomes the spare of the huge entry that takes its place. Under table_lock. */
static void link_block(struct collapse *collapse, struct page *block, uint64_t *entry, bool write)
{
	entry_set(entry, entry_for_page(collapse->area, block, write));
	address_space_flush(&collapse->mm->space, collapse->start, HUGE_BYTES);
	table_store_spare(collapse->mm, collapse->table);
	collapse->mm->counters[MM_HUGE]++;
}

static void put_old_pages(struct collapse *collapse)
{
	for (unsigned int i = 0; i < PTE_ENTRIES; i++)
		zap_old_entry(collapse->mm, collapse->area, collapse->start + i * PAGE_SIZE, collapse->old[i]);
}

static int collapse_by_copy(struct collapse *collapse, uint64_t *entry)
{
	struct mm *mm = collapse->mm;
	bool taken;

	if (!scan_entries(collapse))
		return -EAGAIN;
	collapse->block = page_new_anon(mm, collapse->area, collapse->start, HUGE_ORDER);
	if (!collapse->block)
		return -ENOMEM;
	spin_lock(&mm->table_lock);
	taken = take_entries(collapse);
	if (taken)
		address_space_flush(&mm->space, collapse->start, HUGE_BYTES);
	spin_unlock(&mm->table_lock);
	if (!taken) {
		page_put(collapse->block);
		return -EAGAIN;
	}
	copy_pages(collapse);
	page_mapped(collapse->block);
	spin_lock(&mm->table_lock);
	link_block(collapse, collapse->block, entry, collapse->area->flags & AREA_WRITE);
	mm_count(mm, collapse->block, 1, true);
	put_old_pages(collapse);
	spin_unlock(&mm->table_lock);
	vm_event(thp_collapse_alloc);
	return MADE;
}

/* The block that the table maps in parts, all of them, in order, by nobody else; or NULL. Under table_lock. */
static struct page *block_in_parts(const struct collapse *collapse, uint64_t *rights)
{
	uint64_t first = entry_get(&collapse->table[0]);
	struct page *page = first & PTE_PART ? lru_page(collapse->area, collapse->start, first) : NULL;

	*rights = PTE_WRITE;
	if (!page || load_relaxed(&page->mapcount) != PTE_ENTRIES || page_is(page, PAGE_LOCKED))
		return NULL;
	for (unsigned int i = 0; i < PTE_ENTRIES; i++) {
		uint64_t value = entry_get(&collapse->table[i]);

		if (!(value & PTE_PRESENT) || !(value & PTE_PART) || pte_pfn(value) != page_to_pfn(page) + i)
			return NULL;
		*rights &= value;
	}
	return page;
}

static bool collapse_in_place(struct collapse *collapse, uint64_t *entry)
{
	struct mm *mm = collapse->mm;
	struct page *page;
	uint64_t rights;

	spin_lock(&mm->table_lock);
	page = block_in_parts(collapse, &rights);
	if (page) {
		memory_clear_pages(collapse->table, PAGE_SIZE);
		link_block(collapse, page, entry, rights & PTE_WRITE);
		atomic_fetch_sub(&page->mapcount, PTE_ENTRIES - 1);
		page_put_many(page, PTE_ENTRIES - 1);
	}
	spin_unlock(&mm->table_lock);
	return page;
}

static int collapse_locked(struct mm *mm, uint64_t start, struct collapse *collapse)
{
	struct area *area = area_find(mm, start);
	uint64_t *entry = area ? table_entry(mm, start, 1) : NULL;

	if (!area || area->ops || area->end < start + HUGE_BYTES || (area->flags & (AREA_NOHUGE | AREA_SHARED)))
		return -EINVAL;
	if (!entry || !entry_get(entry))
		return -ENOENT;
	if (entry_get(entry) & PTE_HUGE)
		return WAS_HUGE;
	collapse->mm = mm;
	collapse->area = area;
	collapse->start = start;
	collapse->table = table_entry(mm, start, 0);
	return collapse_in_place(collapse, entry) ? MADE : collapse_by_copy(collapse, entry);
}

static int collapse_at(struct mm *mm, uint64_t start)
{
	struct collapse *collapse = kmalloc(sizeof(*collapse));
	int error;

	if (!collapse)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	error = IS_ALIGNED(start, HUGE_BYTES) ? collapse_locked(mm, start, collapse) : -EINVAL;
	mutex_unlock(&mm->lock);
	kfree(collapse);
	return error;
}

int huge_collapse(struct mm *mm, uint64_t start)
{
	return MIN(collapse_at(mm, start), 0);
}

/* The next place in an area that wants huge pages; USER_END: none. */
static uint64_t next_place(struct mm *mm, uint64_t from)
{
	uint64_t place = USER_END;

	mutex_lock(&mm->lock);
	for_each_area(area, mm, from, USER_END) {
		uint64_t start = ALIGN_UP(MAX(from, area->start), HUGE_BYTES);

		if (thp_wanted(area) && !area->ops && start + HUGE_BYTES <= area->end) {
			place = start;
			break;
		}
	}
	mutex_unlock(&mm->lock);
	return place;
}

int huge_collapse_next(struct mm *mm, uint64_t *at)
{
	uint64_t place = next_place(mm, *at);

	*at = place + HUGE_BYTES;
	return place == USER_END ? -ENOENT : collapse_at(mm, place) == MADE;
}

/* ---- splitting ---- */

static void make_512(struct page *page)
{
	const uint32_t carried = PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE | PAGE_MLOCKED | PAGE_SHARED;
	uint32_t flags = load_relaxed(&page->flags) & carried;
	struct family *family = page->mapping;
	struct mem_cgroup *memcg = page->memcg;
	uint64_t index = page->index;

	split_page(page, 0);
	memcg_count(memcg, MEMCG_ANON_THP, -(int64_t)PTE_ENTRIES);
	for (unsigned int i = 0; i < PTE_ENTRIES; i++) {
		page[i].mapping = family;
		page[i].index = index + i;
		page[i].memcg = memcg;
		store_relaxed(&page[i].flags, flags);
		lru_add(&page[i]);
	}
}

int huge_split(struct page *page)
{
	struct parking parking;
	bool was_on_list;

	page_split_entries(page);
	parking = page_park_entries(page);
	was_on_list = lru_remove(page); /* else somebody isolated it, and has a reference */
	if (load_relaxed(&page->refcount) != 1) {
		if (was_on_list)
			lru_add(page);
		page_unpark_entries(&parking, page);
		return -EAGAIN;
	}
	make_512(page);
	page_unpark_entries(&parking, page);
	/* Each began with one reference; the first page's is the caller's. */
	for (unsigned int i = 1; i < PTE_ENTRIES; i++)
		page_put(&page[i]);
	vm_event(thp_split_page);
	return 0;
}

uint64_t huge_split_range(struct mm *mm, uint64_t start, uint64_t bytes)
{
	uint64_t count = 0;

	for (uint64_t at = start; at < start + bytes; at += PAGE_SIZE) {
		struct page *page = follow_page(mm, at, FOLL_LRU);

		if (page && page_is_huge(page) && page_trylock(page)) {
			bool done = huge_split(page) == 0;

			count += done;
			if (!done)
				page_unlock(page);
		}
		if (page)
			page_put(page);
	}
	return count;
}
