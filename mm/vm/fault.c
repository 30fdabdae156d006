/*
 * Page faults: giving an address its page when somebody first needs it.
 *
 *   nothing there    read: the zero page; write: a new page, huge if the area wants it; a file's page or a device's
 *                    frame where the area shows one
 *   parked           a page on its way elsewhere: wait, try again; in device memory: have it brought back
 *   hinting          note who came, make it present again (numa.c)
 *   read-only        write: copy it, unless nobody else has it
 *
 * Under mm->lock nobody else fills entries, so what was empty stays so while a page is made; what was mapped may be
 * parked by reverse maps at any time, so it is looked at again, under table_lock, before it is replaced.
 */
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/memcg.h"
#include "mm/vm/consumers.h"
#include "mm/vm/file_area.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vm/zap.h"
#include "mm/vmstat.h"

#define FAULT_WAIT 1 /* for a migration, then try again */

struct fault {
	struct mm *mm;
	struct area *area;
	uint64_t address; /* of the page */
	bool write;
};

uint64_t entry_for_page(const struct area *area, const struct page *page, bool write)
{
	return page_to_pfn(page) << PAGE_SHIFT | PTE_PRESENT | PTE_NO_EXECUTE | PTE_ACCESSED |
	       (write ? PTE_WRITE | PTE_DIRTY | PTE_SOFT_DIRTY : 0) | (page_is(page, PAGE_DEVICE) ? PTE_DEVICE : 0) |
	       (page_is_huge(page) ? PTE_HUGE : 0);
}

/* Fills an empty entry; the page's first reference becomes the entry's. */
static void install(const struct fault *fault, uint64_t *entry, struct page *page, uint64_t value)
{
	struct mm *mm = fault->mm;

	page_mapped(page);
	if (unlikely(fault->area->flags & AREA_LOCKED))
		mlock_page(fault->area, fault->address, value);
	spin_lock(&mm->table_lock);
	DEBUG_ASSERT(!entry_get(entry), "0x%lx was filled meanwhile", fault->address);
	entry_set(entry, value);
	mm_count(mm, page, 1, value & PTE_HUGE);
	mm->counters[MM_HUGE] += !!(value & PTE_HUGE);
	spin_unlock(&mm->table_lock);
}

static void install_special(const struct fault *fault, uint64_t *entry, uint64_t pfn, bool write)
{
	spin_lock(&fault->mm->table_lock);
	entry_set(entry, pfn << PAGE_SHIFT | PTE_PRESENT | PTE_NO_EXECUTE | PTE_SPECIAL | PTE_ACCESSED |
				 (write ? PTE_WRITE : 0));
	spin_unlock(&fault->mm->table_lock);
}

static int insert_frame_locked(struct fault *fault, uint64_t pfn)
{
	uint64_t *entry;

	fault->area = area_find(fault->mm, fault->address);
	if (!fault->area || !(fault->area->flags & (AREA_PFNMAP | AREA_MIXEDMAP)) ||
	    !IS_ALIGNED(fault->address, PAGE_SIZE))
		return -EINVAL;
	entry = table_entry_make(fault->mm, fault->address, 0);
	if (!entry)
		return -ENOMEM;
	if (entry_get(entry))
		return -EEXIST;
	install_special(fault, entry, pfn,
			(fault->area->flags & (AREA_SHARED | AREA_WRITE)) == (AREA_SHARED | AREA_WRITE));
	return 0;
}

int mm_insert_frame(struct mm *mm, uint64_t address, uint64_t pfn)
{
	struct fault fault = {.mm = mm, .address = address};
	int error;

	mutex_lock(&mm->lock);
	error = insert_frame_locked(&fault, pfn);
	mutex_unlock(&mm->lock);
	return error;
}

/* ---- nothing there ---- */

static int fill_anon(const struct fault *fault, uint64_t *entry)
{
	struct page *page;

	if (!fault->write && !fault->area->ops) {
		install_special(fault, entry, zero_page_pfn, false);
		return 0;
	}
	page = page_new_anon(fault->mm, fault->area, fault->address, 0);
	if (!page)
		return -ENOMEM;
	memory_clear_pages(page_bytes(page), PAGE_SIZE);
	install(fault, entry, page, entry_for_page(fault->area, page, fault->area->flags & AREA_WRITE));
	return 0;
}

/* A private write to an object's page goes to a copy at once. */
static int fill_copy(const struct fault *fault, uint64_t *entry, struct page *original)
{
	struct page *page = page_new_anon(fault->mm, fault->area, fault->address, 0);

	if (page) {
		memcpy(page_bytes(page), page_bytes(original), PAGE_SIZE);
		install(fault, entry, page, entry_for_page(fault->area, page, true));
	}
	return page ? 0 : -ENOMEM;
}

static int fill_from_object(const struct fault *fault, uint64_t *entry)
{
	struct area *area = fault->area;
	uint64_t index = area->index + ((fault->address - area->start) >> PAGE_SHIFT), pfn;
	bool shared = area->flags & AREA_SHARED, copy = fault->write && !shared, file = area_shows_file(area);
	struct page *page;
	int error = 0;

	if (area->ops->frame && area->ops->frame(area, index, &pfn)) {
		install_special(fault, entry, pfn, shared && (area->flags & AREA_WRITE));
		return 0; /* a private write faults again, and then copies */
	}
	page = area->ops->page ? area->ops->page(area, index) : ERR_PTR(-EFAULT);
	if (IS_ERR(page))
		return (int)PTR_ERR(page);
	if (file && fault->write && shared)
		cache_page_will_change(page);
	if (copy)
		error = fill_copy(fault, entry, page);
	else
		install(fault, entry, page, entry_for_page(area, page, fault->write));
	if (file)
		page_unlock(page);
	if (copy)
		page_put(page);
	return error;
}

/* ---- huge pages ---- */

static bool huge_fits(const struct fault *fault)
{
	uint64_t start = ALIGN_DOWN(fault->address, HUGE_BYTES);

	return fault->write && !fault->area->ops && start >= fault->area->start &&
	       start + HUGE_BYTES <= fault->area->end && thp_wanted(fault->area);
}

/* 0, or -EAGAIN: it must do with a small one. */
static int fill_huge(const struct fault *fault, uint64_t *entry)
{
	struct page *page = page_new_anon(fault->mm, fault->area, fault->address, HUGE_ORDER);
	uint64_t *spare = page ? table_new(fault->mm) : NULL;

	if (!spare) {
		if (page)
			page_put(page);
		vm_event(thp_fault_fallback);
		return -EAGAIN;
	}
	memory_clear_pages(page_bytes(page), HUGE_BYTES);
	spin_lock(&fault->mm->table_lock);
	table_store_spare(fault->mm, spare);
	spin_unlock(&fault->mm->table_lock);
	install(fault, entry, page, entry_for_page(fault->area, page, true));
	vm_event(thp_fault_alloc);
	return 0;
}

/* ---- read-only, written to ---- */

/* Nobody else maps it, nobody else holds it. Of a block that is mapped in parts, all parts must be this table's. */
static bool is_exclusive(const struct page *page, const uint64_t *entry, uint64_t value)
{
	uint32_t mapped = load_relaxed(&page->mapcount), here = 1;

	if (page_is(page, PAGE_KSM) || load_relaxed(&page->refcount) != mapped)
		return false;
	if (value & PTE_PART) {
		const uint64_t *table = (const uint64_t *)ALIGN_DOWN((uintptr_t)entry, PAGE_SIZE);

		here = 0;
		for (unsigned int i = 0; i < PTE_ENTRIES; i++)
			here += (entry_get(&table[i]) & PTE_PART) && pte_maps(entry_get(&table[i])) &&
				ALIGN_DOWN(pte_pfn(entry_get(&table[i])), 1ul << HUGE_ORDER) == page_to_pfn(page);
	}
	return mapped == here;
}

/* True: it may be written as it is. Under table_lock. */
static bool may_reuse(const struct fault *fault, const struct page *page, const uint64_t *entry, uint64_t value)
{
	if (fault->area->flags & AREA_SHARED)
		return page || pte_pfn(value) != zero_page_pfn; /* a shared frame, but never everybody's zeros */
	return page && page_owner_is_anon(page) && is_exclusive(page, entry, value);
}

static void make_writable(const struct fault *fault, uint64_t *entry)
{
	(void)atomic_fetch_or(entry, PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_SOFT_DIRTY);
}

static int replace_by_copy(const struct fault *fault, uint64_t *entry, uint64_t value, struct page *original)
{
	struct page *page = page_new_anon(fault->mm, fault->area, fault->address, 0);
	void *from = entry_bytes(fault->area, fault->address, value);
	struct mm *mm = fault->mm;
	uint64_t now;

	if (!page || !from) {
		if (page)
			page_put(page);
		return from ? -ENOMEM : -EFAULT;
	}
	memcpy(page_bytes(page), from, PAGE_SIZE);
	page_mapped(page);
	if (unlikely(fault->area->flags & AREA_LOCKED))
		mlock_page(fault->area, fault->address, entry_for_page(fault->area, page, true));
	spin_lock(&mm->table_lock);
	now = entry_get(entry);
	if ((now ^ value) & ~PTE_ACCESSED) {
		/* Parked meanwhile: the access is tried again. */
		spin_unlock(&mm->table_lock);
		page_unmapped(page);
		page_put(page);
		return 0;
	}
	(void)entry_exchange(entry, entry_for_page(fault->area, page, true));
	address_space_flush(&mm->space, fault->address, PAGE_SIZE);
	mm_count(mm, page, 1, false);
	zap_old_entry(mm, fault->area, fault->address, value);
	spin_unlock(&mm->table_lock);
	return 0;
}

/* Under the page lock, so that who writes back and takes the right away does not come between. */
static int write_to_file(const struct fault *fault, uint64_t *entry)
{
	struct mm *mm = fault->mm;
	struct page *page;
	uint64_t value;

	spin_lock(&mm->table_lock);
	value = entry_get(entry);
	page = value & PTE_PRESENT ? vm_normal_any_page(fault->area, fault->address, value) : NULL;
	if (page)
		page_get(page);
	spin_unlock(&mm->table_lock);
	if (!page)
		return 0;
	page_lock(page);
	spin_lock(&mm->table_lock);
	value = entry_get(entry);
	if ((value & PTE_PRESENT) && pte_pfn(value) == page_to_pfn(page)) {
		cache_page_will_change(page);
		make_writable(fault, entry);
	}
	spin_unlock(&mm->table_lock);
	page_unlock(page);
	page_put(page);
	return 0;
}

static int write_to_readonly(const struct fault *fault, uint64_t *entry)
{
	struct mm *mm = fault->mm;
	struct page *page;
	uint64_t value;
	int error;

	spin_lock(&mm->table_lock);
	value = entry_get(entry);
	page = pte_maps(value) ? vm_normal_any_page(fault->area, fault->address, value) : NULL;
	if (!(value & PTE_PRESENT) || may_reuse(fault, page, entry, value)) {
		if (value & PTE_PRESENT)
			make_writable(fault, entry);
		spin_unlock(&mm->table_lock);
		return 0;
	}
	if (value & PTE_HUGE) {
		table_split(mm, fault->address, entry);
		spin_unlock(&mm->table_lock);
		vm_event(thp_split_pmd);
		return 0; /* faults again, on a small one */
	}
	if (page)
		page_get(page); /* its content stays while it is copied */
	spin_unlock(&mm->table_lock);
	error = replace_by_copy(fault, entry, value, page);
	if (page)
		page_put(page);
	return error;
}

/* ---- all of them ---- */

static int settle(const struct fault *fault, uint64_t *entry)
{
	uint64_t value = entry_get(entry);

	if (pte_parked(value) == PTE_PARKED_MIGRATION)
		return FAULT_WAIT;
	if (pte_parked(value) == PTE_PARKED_DEVICE)
		return device_bring_back(fault->mm, fault->area, fault->address);
	if (value & PTE_HINT)
		return numa_hint_fault(fault->mm, fault->area, fault->address, entry);
	if (fault->write && !(value & PTE_WRITE) && area_shows_file(fault->area) && (fault->area->flags & AREA_SHARED))
		return write_to_file(fault, entry);
	if (fault->write && !(value & PTE_WRITE))
		return write_to_readonly(fault, entry);
	return 0; /* another thread was here first */
}

static int fault_locked(struct fault *fault)
{
	uint64_t *entry = table_entry_make(fault->mm, fault->address, 1), value;

	if (!entry)
		return -ENOMEM;
	value = entry_get(entry);
	if (!value && huge_fits(fault) && fill_huge(fault, entry) == 0)
		return 0;
	if (value & PTE_HUGE)
		return settle(fault, entry);
	entry = table_entry_make(fault->mm, fault->address, 0);
	if (!entry)
		return -ENOMEM;
	if (entry_get(entry))
		return settle(fault, entry);
	return area_is_anon(fault->area) ? fill_anon(fault, entry) : fill_from_object(fault, entry);
}

static int find_and_fault(struct fault *fault)
{
	uint32_t rights = fault->write ? AREA_WRITE : AREA_READ | AREA_WRITE;

	fault->area = area_find(fault->mm, fault->address);
	if (!fault->area)
		return fault->address == GATE_START && !fault->write ? gate_fault(fault->mm) : -EFAULT;
	if (!(fault->area->flags & rights))
		return -EFAULT;
	fault->mm->faults++;
	memcg_count(fault->mm->memcg, MEMCG_PGFAULT, 1);
	return fault_locked(fault);
}

int mm_fault(struct mm *mm, uint64_t address, bool write)
{
	struct fault fault = {.mm = mm, .address = ALIGN_DOWN(address, PAGE_SIZE), .write = write};

	vm_event(pgfault);
	for (;;) {
		uint64_t seen = migrations_done();
		int error;

		mutex_lock(&mm->lock);
		error = find_and_fault(&fault);
		mutex_unlock(&mm->lock);
		if (error != FAULT_WAIT)
			return error;
		migration_wait(seen);
	}
}

static bool is_there(struct mm *mm, uint64_t address, bool write)
{
	unsigned int level;
	uint64_t *entry, value;

	mutex_lock(&mm->lock);
	entry = table_leaf(mm, address, &level);
	value = entry ? entry_get(entry) : 0;
	mutex_unlock(&mm->lock);
	return (value & PTE_PRESENT) && (!write || (value & PTE_WRITE));
}

static int populate_page(struct mm *mm, uint64_t address)
{
	struct area *area;
	uint32_t flags;

	mutex_lock(&mm->lock);
	area = area_find(mm, address);
	flags = area ? area->flags : 0;
	mutex_unlock(&mm->lock);
	if (!area)
		return -ENOMEM;
	if (!(flags & (AREA_READ | AREA_WRITE)))
		return 0;
	while (!is_there(mm, address, flags & AREA_WRITE)) {
		int error = mm_fault(mm, address, flags & AREA_WRITE);

		if (error)
			return error;
	}
	return 0;
}

int mm_populate(struct mm *mm, uint64_t start, uint64_t bytes)
{
	int error = 0;

	for (uint64_t at = start; at < start + bytes && !error; at += PAGE_SIZE)
		error = populate_page(mm, at);
	return error;
}
