/*
 * Pages by address. See mm/vm/gup.h.
 *
 * The reference is taken under table_lock, while the entry maps the page: so whoever parks the entry first and then
 * counts references either sees it or made it come too late.
 */
#include "mm/vm/gup.h"

#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/tables.h"

/* follow_page_pte: the entry is there; what does the caller want to know of it? */
static struct page *page_of_entry(const struct area *area, uint64_t address, uint64_t value, uint32_t flags)
{
	if (!(value & PTE_PRESENT) || ((flags & FOLL_WRITE) && !(value & PTE_WRITE)))
		return NULL;
	if (flags & (FOLL_MLOCK | FOLL_LRU))
		return vm_normal_lru_page(area, address, value);
	return vm_normal_any_page(area, address, value);
}

/* Hinting entries are looked through: who asks by address does not use the page from here. */
static uint64_t entry_value(struct mm *mm, uint64_t address, uint64_t **entry_at)
{
	unsigned int level;
	uint64_t *entry = *entry_at = table_leaf(mm, address, &level);
	uint64_t value = entry ? entry_get(entry) : 0;

	return value & PTE_HINT ? (value & ~PTE_HINT) | PTE_PRESENT : value;
}

static uint32_t references(uint32_t flags)
{
	return flags & FOLL_PIN ? PAGE_PIN_BIAS : 1;
}

static struct page *follow_locked(struct mm *mm, uint64_t address, uint32_t flags)
{
	/* get_gate_page: in no area of the space. */
	struct area *area = address >= GATE_START ? &gate_area : area_find(mm, address);
	struct page *page;
	uint64_t *entry;

	if (!area || address >= area->end)
		return NULL;
	spin_lock(&mm->table_lock);
	page = page_of_entry(area, address, entry_value(mm, address, &entry), flags);
	if (page)
		page_get_many(page, references(flags));
	if (page && (flags & FOLL_WRITE))
		(void)atomic_fetch_or(entry, PTE_DIRTY); /* nobody will see the caller's writes */
	spin_unlock(&mm->table_lock);
	return page;
}

struct page *follow_page(struct mm *mm, uint64_t address, uint32_t flags)
{
	struct page *page;

	mutex_lock(&mm->lock);
	page = follow_locked(mm, address, flags);
	mutex_unlock(&mm->lock);
	return page;
}

void unpin_user_page(struct page *page)
{
	page_put_many(page, PAGE_PIN_BIAS);
}

/* Why there is no page though the fault went well: a frame without one, or a device's. */
static int why_none(struct mm *mm, uint64_t address, uint32_t flags, bool *is_zero)
{
	uint64_t value, *entry;

	mutex_lock(&mm->lock);
	value = entry_value(mm, address, &entry);
	mutex_unlock(&mm->lock);
	*is_zero = (value & PTE_SPECIAL) && pte_pfn(value) == zero_page_pfn;
	if (!(value & PTE_PRESENT) || *is_zero || ((flags & FOLL_WRITE) && !(value & PTE_WRITE)))
		return 0; /* gone again, or to be written to: once more */
	return value & PTE_DEVICE ? -EINVAL : -EFAULT;
}

/* As an access would find: the area lets it; a hole is the fault's to tell. Under mm->lock, with what is looked up. */
static bool is_allowed(struct mm *mm, uint64_t address, uint32_t flags)
{
	const struct area *area = area_find(mm, address);

	return !area || (area->flags & (flags & FOLL_WRITE ? AREA_WRITE : AREA_READ | AREA_WRITE));
}

/* follow_page() with the rights that it does not ask for: many look up pages that nobody may touch. */
static struct page *follow_allowed(struct mm *mm, uint64_t address, uint32_t flags)
{
	struct page *page;

	mutex_lock(&mm->lock);
	page = is_allowed(mm, address, flags) ? follow_locked(mm, address, flags) : ERR_PTR(-EFAULT);
	mutex_unlock(&mm->lock);
	return page;
}

/* Faults until there is a page. The zero page is nobody's to hold: the address gets one of its own. */
static struct page *get_one(struct mm *mm, uint64_t address, uint32_t flags)
{
	struct page *page = follow_allowed(mm, address, flags);
	bool write = flags & FOLL_WRITE;

	while (!page && !(flags & FOLL_NOFAULT)) {
		int error = mm_fault(mm, address, write);

		if (error)
			return ERR_PTR(error);
		page = follow_allowed(mm, address, flags);
		if (!page)
			error = why_none(mm, address, flags, &write);
		if (error)
			return ERR_PTR(error);
		write |= flags & FOLL_WRITE;
	}
	return page ? page : ERR_PTR(-EFAULT);
}

/* A device's page that is to be held for long moves to RAM first, as many times as it takes. */
static struct page *get_for_long(struct mm *mm, uint64_t address, uint32_t flags)
{
	for (;;) {
		struct page *page = get_one(mm, address, flags);
		int error;

		if (IS_ERR(page) || !(flags & FOLL_LONGTERM) || !page_is(page, PAGE_DEVICE))
			return page;
		page_put_many(page, references(flags));
		page = follow_page(mm, address, 0);
		error = page ? migrate_found_page(page, NODE_ANY) : 0;
		if (error && error != -EBUSY)
			return ERR_PTR(error);
	}
}

int64_t get_user_pages(struct mm *mm, uint64_t start, size_t count, uint32_t flags, struct page **pages)
{
	for (size_t i = 0; i < count; i++) {
		struct page *page = get_for_long(mm, start + i * PAGE_SIZE, flags);

		if (IS_ERR(page))
			return i ? (int64_t)i : PTR_ERR(page);
		pages[i] = page;
	}
	return (int64_t)count;
}
