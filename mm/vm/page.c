/*
 * Which page is behind this entry, and for whom? And what holds pages: references.
 *
 * An entry with PTE_SPECIAL maps a frame that nobody counts: the zero page, or what the owner of a PFNMAP or MIXEDMAP
 * area put there. Any other maps a page with a structure: memory of a zone, or of a device. What is neither is a bug or
 * damage; it is reported once, and then treated as special, so that its frame is never counted, copied or freed.
 *
 * Device memory that the CPU reaches (coherent) is like any page for mapping and copying; but it must not be on an LRU
 * list, be moved between nodes, merged or made huge. Who does such things asks vm_normal_lru_page().
 */
#include "mm/vm/page.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/lru.h"
#include "mm/memcg.h"
#include "mm/memory.h"
#include "mm/vm/device.h"
#include "mm/vm/ksm.h"
#include "mm/vm/rmap.h"

uint64_t zero_page_pfn;
const uint8_t *zero_page_bytes;

void (*vm_normal_witness)(const struct area *area, uint64_t address, bool lru, const struct page *page);
static uint64_t bad_entries;

/* ---- behind an entry ---- */

static void report_bad_entry(const struct area *area, uint64_t address, uint64_t entry)
{
	if (atomic_fetch_add(&bad_entries, 1) == 0)
		pr_err("vm: bad entry 0x%lx at 0x%lx (area [0x%lx, 0x%lx) %s, flags 0x%x): taken for special", entry,
		       address, area->start, area->end, area->ops ? area->ops->name : "anon", area->flags);
}

uint64_t vm_bad_entries(void)
{
	return load_relaxed(&bad_entries);
}

static struct page *page_behind(const struct area *area, uint64_t address, uint64_t entry)
{
	uint64_t pfn = pte_pfn(entry);

	if (unlikely(entry & PTE_SPECIAL)) {
		if (pfn != zero_page_pfn && !(area->flags & (AREA_PFNMAP | AREA_MIXEDMAP)))
			report_bad_entry(area, address, entry);
		return NULL;
	}
	if (unlikely(entry & PTE_DEVICE ? !device_of_pfn(pfn) : !zone_of_pfn(pfn))) {
		report_bad_entry(area, address, entry);
		return NULL;
	}
	return pfn_to_page(entry & PTE_PART ? ALIGN_DOWN(pfn, 1ul << HUGE_ORDER) : pfn);
}

static NOINLINE void tell(const struct area *area, uint64_t address, bool lru, const struct page *page)
{
	void (*witness)(const struct area *, uint64_t, bool, const struct page *) = load_acquire(&vm_normal_witness);

	if (witness)
		witness(area, address, lru, page);
}

struct page *vm_normal_any_page(const struct area *area, uint64_t address, uint64_t entry)
{
	struct page *page = page_behind(area, address, entry);

	if (unlikely(load_relaxed(&vm_normal_witness)))
		tell(area, address, false, page);
	return page;
}

struct page *vm_normal_lru_page(const struct area *area, uint64_t address, uint64_t entry)
{
	struct page *page = page_behind(area, address, entry);

	if (page && page_is(page, PAGE_DEVICE))
		page = NULL;
	if (unlikely(load_relaxed(&vm_normal_witness)))
		tell(area, address, true, page);
	return page;
}

void *entry_bytes(const struct area *area, uint64_t address, uint64_t entry)
{
	uint64_t pfn = pte_pfn(entry);
	const struct device_memory *device = device_of_pfn(pfn);

	if (device)
		return device->bytes ? device->bytes + ((pfn - device->first_pfn) << PAGE_SHIFT) : NULL;
	return zone_of_pfn(pfn) ? (char *)phys_to_virt(pfn << PAGE_SHIFT) : NULL;
}

void *page_bytes(const struct page *page)
{
	if (unlikely(page_is(page, PAGE_DEVICE)))
		return entry_bytes(NULL, 0, page_to_pfn(page) << PAGE_SHIFT);
	return page_address(page);
}

bool page_is_huge(const struct page *page)
{
	return page_is(page, PAGE_HUGE);
}

unsigned int page_map_order(const struct page *page)
{
	return page_is_huge(page) ? HUGE_ORDER : 0;
}

bool page_owner_is_anon(const struct page *page)
{
	return page_is(page, PAGE_DEVICE) ? page->mapping != NULL : page_owner(page) == PAGE_OWNER_ANON;
}

void page_copy_content(struct page *to, struct page *from)
{
	if (device_is_private(to) || device_is_private(from))
		device_copy(to, from);
	else
		memcpy(page_bytes(to), page_bytes(from), PAGE_SIZE << page_map_order(from));
}

/* ---- references ---- */

bool page_last_put(struct page *page)
{
	struct memcg_batch batch = {0};

	if (page_is(page, PAGE_KSM))
		ksm_page_gone(page);
	if (!page_is(page, PAGE_DEVICE))
		return false;
	memcg_uncharge(&batch, page, 1);
	memcg_batch_end(&batch);
	device_page_free(page);
	return true;
}

struct page *page_new_anon(struct mm *mm, struct area *area, uint64_t address, unsigned int order)
{
	/* A huge page is worth waiting for where it was asked for (MADV_HUGEPAGE); elsewhere it is nice to have. */
	uint32_t how = order ? (area->flags & AREA_HUGE ? GFP_USER : GFP_MOVABLE) | GFP_NORETRY | GFP_NOWARN : GFP_USER;
	uint32_t gfp = how | GFP_OWNER(PAGE_OWNER_ANON);
	struct page *page = area->ops && area->ops->alloc && !order ? area->ops->alloc(area) : NULL;

	if (!page)
		page = alloc_pages_node(area->policy_node, gfp, order);
	if (!page)
		return NULL;
	if (order)
		page_mark(page, PAGE_HUGE);
	if (unlikely(area->flags & AREA_SHARED))
		page_mark(page, PAGE_SHARED);
	page->mapping = mm->family;
	page->index = ALIGN_DOWN(address, PAGE_SIZE << order) >> PAGE_SHIFT;
	if (memcg_charge(mm->memcg, page, true)) {
		page_put(page);
		return NULL;
	}
	if (!page_is(page, PAGE_DEVICE))
		lru_add(page);
	return page;
}
