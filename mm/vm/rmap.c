/*
 * Reverse maps and moving entries about. See mm/vm/rmap.h.
 *
 * The family of a page is found without a lock: whoever looks has a reference to the page, and while the page is
 * mapped a member of its family maps it, and a family with members stays. families_lock makes the step from "is mapped"
 * to a reference on the family one that no last member's leaving can come between.
 */
#include "mm/vm/rmap.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/wait.h"
#include "mm/memory.h"
#include "mm/vm/device.h"
#include "mm/vm/file_area.h"
#include "mm/vm/ksm.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"

static struct spinlock families_lock = SPINLOCK_INIT("families");
static uint64_t done_count;
static struct wait_queue done_waiters = WAIT_QUEUE_INIT(done_waiters);

/* ---- families ---- */

int family_join(struct mm *mm, struct mm *parent)
{
	struct family *family = parent ? parent->family : kmalloc(sizeof(*family));

	if (!family)
		return -ENOMEM;
	if (!parent) {
		spin_lock_init(&family->lock, "family");
		list_init(&family->members);
		family->references = 0;
	}
	mm->family = family;
	spin_lock(&family->lock);
	atomic_inc(&family->references);
	list_add_tail(&family->members, &mm->family_node);
	spin_unlock(&family->lock);
	return 0;
}

void family_get(struct family *family)
{
	atomic_inc(&family->references);
}

void family_put(struct family *family)
{
	bool last;

	spin_lock(&families_lock);
	last = atomic_sub_return(&family->references, 1) == 0;
	spin_unlock(&families_lock);
	if (last)
		kfree(family);
}

void family_leave(struct mm *mm)
{
	spin_lock(&mm->family->lock);
	list_del(&mm->family_node);
	spin_unlock(&mm->family->lock);
	family_put(mm->family);
}

/* With a reference, or NULL if it is mapped nowhere (any more). */
static struct family *family_of(const struct page *page)
{
	struct family *family = NULL;

	spin_lock(&families_lock);
	if (load_relaxed(&page->mapcount))
		family = READ_ONCE(*(struct family *const *)&page->mapping);
	if (family)
		atomic_inc(&family->references);
	spin_unlock(&families_lock);
	return family;
}

/* ---- walking ---- */

static bool stands_for(const struct page_walk *walk, uint64_t entry)
{
	uint64_t pfn = pte_pfn(entry);

	if (!entry || pte_parked(entry) != walk->parked || (pte_maps(entry) && (entry & PTE_SPECIAL)))
		return false;
	if (entry & PTE_PART)
		pfn = ALIGN_DOWN(pfn, 1ul << HUGE_ORDER);
	return pfn == page_to_pfn(walk->page);
}

static int visit(struct page_walk *walk, const struct mapped_at *at)
{
	if (!stands_for(walk, entry_get(at->entry)))
		return 0;
	walk->found++;
	return walk->entry(walk, at);
}

int page_walk_place(struct page_walk *walk, struct mm *mm, uint64_t address)
{
	uint64_t start = address, end = address + (PAGE_SIZE << walk->order);
	unsigned int level;
	uint64_t *entry;
	int result = 0;

	spin_lock(&mm->table_lock);
	entry = table_leaf(mm, address, &level);
	if (entry && level == 1)
		result = visit(walk, &(struct mapped_at){mm, address, entry, true});
	else if (entry)
		for (; address < end && !result; address += PAGE_SIZE, entry++)
			result = visit(walk, &(struct mapped_at){mm, address, entry, false});
	if (walk->changed)
		address_space_flush(&mm->space, start, end - start);
	walk->changed = false;
	spin_unlock(&mm->table_lock);
	return result;
}

int family_walk(struct page_walk *walk, struct family *family, uint64_t address)
{
	struct mm *mm;
	int result = 0;

	spin_lock(&family->lock);
	list_for_each_entry(mm, &family->members, family_node) {
		result = page_walk_place(walk, mm, address);
		if (result)
			break;
	}
	spin_unlock(&family->lock);
	return result;
}

static bool is_in_file(const struct page *page)
{
	return !page_is(page, PAGE_DEVICE) && page_owner(page) == PAGE_OWNER_PAGE_CACHE;
}

int page_walk(struct page_walk *walk)
{
	struct family *family;
	int result;

	if (walk->merged)
		return ksm_walk(walk, walk->merged);
	if (page_is(walk->page, PAGE_KSM))
		return ksm_walk(walk, walk->page->mapping);
	if (walk->file || is_in_file(walk->page))
		return file_walk(walk, walk->file ? walk->file : walk->page->mapping);
	if (walk->family)
		return family_walk(walk, walk->family, walk->page->index << PAGE_SHIFT);
	family = family_of(walk->page);
	if (!family)
		return 0;
	result = family_walk(walk, family, walk->page->index << PAGE_SHIFT);
	family_put(family);
	return result;
}

/* ---- what is done with entries ---- */

enum mm_counter mm_counter_of(const struct page *page)
{
	if (page_is(page, PAGE_DEVICE))
		return MM_DEVICE;
	return TAG_OWNER(page_tag_held(page)) == PAGE_OWNER_PAGE_CACHE ? MM_FILE : MM_ANON;
}

void mm_count(struct mm *mm, const struct page *page, int64_t entries, bool huge)
{
	DEBUG_ASSERT(spin_is_locked(&mm->table_lock), "entries of a table that is not locked");
	mm->counters[mm_counter_of(page)] += huge ? entries * PTE_ENTRIES : entries;
}

/* Never shown as empty, and what the CPU notes meanwhile is not lost. */
static int park(struct page_walk *walk, const struct mapped_at *at)
{
	uint64_t old = entry_get(at->entry);

	while (!atomic_cas(at->entry, &old, pte_make_parked(PTE_PARKED_MIGRATION, pte_pfn(old), old)))
		;
	walk->changed = true;
	mm_count(at->mm, walk->page, -1, at->huge);
	page_unmapped(walk->page);
	/* Not the last one: the caller has one. */
	atomic_dec(&walk->page->refcount);
	return 0;
}

struct parking page_park_entries(struct page *page)
{
	struct parking parking = {.page = page, .order = page_map_order(page)};
	struct page_walk walk = {.page = page, .order = parking.order, .entry = park};

	if (page_is(page, PAGE_KSM))
		parking.merged = page->mapping;
	else if (is_in_file(page))
		parking.file = page->mapping;
	else
		parking.family = family_of(page);
	walk.family = parking.family;
	walk.merged = parking.merged;
	walk.file = parking.file;
	walk.parked = device_is_private(page) ? PTE_PARKED_DEVICE : 0;
	if (walk.family || walk.merged || walk.file)
		(void)page_walk(&walk);
	return parking;
}

static int unpark(struct page_walk *walk, const struct mapped_at *at)
{
	struct page *to = walk->context;
	uint64_t old = entry_get(at->entry), offset = pte_pfn(old) - page_to_pfn(walk->page);
	uint64_t keep = old & (PTE_WRITE | PTE_HUGE | PTE_SOFT_DIRTY | PTE_ACCESSED | PTE_DIRTY);
	uint64_t pfn = page_to_pfn(to) + offset, hint = old & PTE_PARKED_HINT;

	if (page_is_huge(to))
		keep |= old & PTE_PART;
	else
		to += offset;
	page_get(to);
	page_mapped(to);
	mm_count(at->mm, to, 1, at->huge);
	if (device_is_private(to)) /* which may write to it, and nobody will know */
		entry_set(at->entry, pte_make_parked(PTE_PARKED_DEVICE, pfn, keep | hint | PTE_DIRTY));
	else
		entry_set(at->entry, pfn << PAGE_SHIFT | keep | (hint ? PTE_HINT : PTE_PRESENT) | PTE_NO_EXECUTE |
					     (page_is(to, PAGE_DEVICE) ? PTE_DEVICE : 0));
	return 0;
}

static int unpark_as_zeros(struct page_walk *walk UNUSED, const struct mapped_at *at)
{
	uint64_t old = entry_get(at->entry), *table = at->huge ? table_take_spare(at->mm) : NULL;
	uint64_t zeros = zero_page_pfn << PAGE_SHIFT | PTE_SPECIAL | PTE_NO_EXECUTE | (old & PTE_SOFT_DIRTY) |
			 (old & PTE_PARKED_HINT ? PTE_HINT : PTE_PRESENT);

	for (unsigned int i = 0; table && i < PTE_ENTRIES; i++)
		table[i] = zeros;
	at->mm->counters[MM_HUGE] -= at->huge;
	entry_set(at->entry, table ? virt_to_phys(table) | PTE_PRESENT | PTE_WRITE : zeros);
	return 0;
}

static void end_parking(const struct parking *parking, int (*entry)(struct page_walk *, const struct mapped_at *),
			struct page *to)
{
	struct page_walk walk = {.page = parking->page,
				 .order = parking->order,
				 .family = parking->family,
				 .merged = parking->merged,
				 .file = parking->file,
				 .entry = entry,
				 .context = to,
				 .parked = PTE_PARKED_MIGRATION};

	if (parking->family || parking->merged || parking->file)
		(void)page_walk(&walk);
	if (parking->family)
		family_put(parking->family);
	atomic_inc(&done_count);
	wake_up_all(&done_waiters);
}

void page_unpark_entries(const struct parking *parking, struct page *to)
{
	end_parking(parking, unpark, to);
}

void page_unpark_as_zeros(const struct parking *parking)
{
	end_parking(parking, unpark_as_zeros, NULL);
}

static int split_entry(struct page_walk *walk UNUSED, const struct mapped_at *at)
{
	if (at->huge)
		table_split(at->mm, at->address, at->entry);
	return 0;
}

void page_split_entries(struct page *page)
{
	struct page_walk walk = {.page = page, .order = page_map_order(page), .entry = split_entry};

	(void)page_walk(&walk);
}

uint64_t migrations_done(void)
{
	return load_acquire(&done_count);
}

void migration_wait(uint64_t seen)
{
	wait_event(&done_waiters, migrations_done() != seen);
}

static int clear_accessed(struct page_walk *walk, const struct mapped_at *at)
{
	uint32_t *used = walk->context;

	if (!(entry_get(at->entry) & PTE_ACCESSED))
		return 0;
	/* Without a flush: a CPU that has it in mind goes on not saying so; that is only less exact. */
	entry_clear_bits(at->entry, PTE_ACCESSED);
	++*used;
	return 0;
}

uint32_t page_referenced(struct page *page)
{
	uint32_t used = 0;
	struct page_walk walk = {
		.page = page, .order = page_map_order(page), .entry = clear_accessed, .context = &used};

	(void)page_walk(&walk);
	return used;
}
