/*
 * An address space, shown: what lies behind the entries of its areas, and the walk from one address to page and owner.
 *
 * Areas and tables hold still under mm->lock. Entries and what is said of pages may change while they are printed: by
 * the CPU, and by reverse maps.
 */
#include "mm/vm/commands.h"
#include "mm/vm/device.h"
#include "mm/vm/proc.h"
#include "mm/vm/rmap.h"

struct name {
	uint64_t bit;
	const char *name;
};

static const struct name entry_names[] = {
	{PTE_PRESENT, "present"},
	{PTE_WRITE, "write"},
	{PTE_ACCESSED, "accessed"},
	{PTE_DIRTY, "dirty"},
	{PTE_HUGE, "huge"},
	{PTE_HINT, "hint"},
	{PTE_SPECIAL, "special"},
	{PTE_PART, "part"},
	{PTE_SOFT_DIRTY, "soft-dirty"},
	{PTE_DEVICE, "device"},
	{PTE_NO_EXECUTE, "no-execute"},
};

static const struct name page_names[] = {
	{PAGE_LOCKED, "locked"},
	{PAGE_ON_LRU, "on-lru"},
	{PAGE_ACTIVE, "active"},
	{PAGE_REFERENCED, "referenced"},
	{PAGE_DIRTY, "dirty"},
	{PAGE_ISOLATED, "isolated"},
	{PAGE_UNEVICTABLE, "unevictable"},
	{PAGE_MLOCKED, "mlocked"},
	{PAGE_DEVICE, "device"},
	{PAGE_HUGE, "huge"},
	{PAGE_CHANGED, "changed"},
	{PAGE_KSM, "ksm"},
	{PAGE_LAZY_FREE, "lazy-free"},
};

static void show_names(struct sink *out, uint64_t value, const struct name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (value & names[i].bit)
			sink_printf(out, " %s", names[i].name);
}

/* ---- areas ---- */

enum kind { ANON, FILE, MERGED, COHERENT, PRIVATE, ZERO, FRAME, MOVING, HINTING, HUGE, WRITABLE, NR_KINDS };

struct summary {
	struct table_walk walk;
	uint64_t pages[NR_KINDS];
};

static enum kind kind_of_page(const struct page *page)
{
	if (page_is(page, PAGE_DEVICE))
		return COHERENT;
	if (page_is(page, PAGE_KSM))
		return MERGED;
	return page_owner_is_anon(page) ? ANON : FILE;
}

static enum kind kind_of_entry(const struct area *area, uint64_t address, uint64_t value)
{
	struct page *page;

	if (pte_parked(value))
		return pte_parked(value) == PTE_PARKED_DEVICE ? PRIVATE : MOVING;
	page = vm_normal_any_page(area, address, value);
	if (page)
		return kind_of_page(page);
	return pte_pfn(value) == zero_page_pfn ? ZERO : FRAME;
}

static int count_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct summary *summary = container_of(walk, struct summary, walk);
	uint64_t value = entry_get(entry), pages = value & PTE_HUGE ? PTE_ENTRIES : 1;

	summary->pages[kind_of_entry(walk->area, address, value)] += pages;
	summary->pages[HINTING] += value & PTE_HINT ? pages : 0;
	summary->pages[HUGE] += value & PTE_HUGE ? pages : 0;
	summary->pages[WRITABLE] += pte_maps(value) && (value & PTE_WRITE) ? pages : 0;
	return 0;
}

static void show_area(struct sink *out, struct mm *mm, struct area *area)
{
	static const char *const names[NR_KINDS] = {"anon",   "file",	"merged",  "coherent", "private", "zero",
						    "frames", "moving", "hinting", "huge",     "writable"};
	struct summary summary = {.walk = {.mm = mm, .area = area, .page = count_entry, .huge = count_entry}};
	uint64_t total = 0;

	(void)table_walk(&summary.walk, area->start, area->end);
	area_show_line(out, area, "\n   ");
	for (size_t i = 0; i < NR_KINDS; i++) {
		total += summary.pages[i];
		if (summary.pages[i])
			sink_printf(out, " %s %lu", names[i], summary.pages[i]);
	}
	sink_printf(out, "%s of %lu pages\n", total ? "" : " nothing there", (area->end - area->start) >> PAGE_SHIFT);
}

void mm_show(struct sink *out, struct mm *mm)
{
	struct area *area;

	mutex_lock(&mm->lock);
	sink_printf(out, "space %u: %u users, %lu pages in areas, %lu faults, %lu tables\n", mm->id,
		    load_relaxed(&mm->users), mm->mapped_pages, mm->faults, load_relaxed(&mm->table_pages));
	list_for_each_entry(area, &mm->areas, node)
		show_area(out, mm, area);
	mutex_unlock(&mm->lock);
}

/* ---- one address ---- */

static size_t members_of(struct family *family)
{
	struct list_node *at;
	size_t count = 0;

	spin_lock(&family->lock);
	for (at = family->members.next; at != &family->members; at = at->next)
		count++;
	spin_unlock(&family->lock);
	return count;
}

static void show_owner(struct sink *out, struct mm *mm, const struct area *area, const struct page *page)
{
	char name[32];

	sink_printf(out, "owner    ");
	if (page_is(page, PAGE_KSM))
		sink_printf(out, "KSM: one page for all that were equal\n");
	else if (!page_owner_is_anon(page))
		sink_printf(out, "%s, page %lu%s\n", area_name(area, name), page->index,
			    page->mapping ? "" : ", truncated");
	else if (page->mapping == mm->family)
		sink_printf(out, "the family of this space, %zu of them, at 0x%lx in each\n", members_of(mm->family),
			    page->index << PAGE_SHIFT);
	else
		sink_printf(out, "another family\n");
}

static void show_page(struct sink *out, struct mm *mm, const struct area *area, const struct page *page)
{
	uint64_t pfn = page_to_pfn(page);
	uint32_t references = load_relaxed(&page->refcount);
	const struct device_memory *device = page_is(page, PAGE_DEVICE) ? device_of_pfn(pfn) : NULL;

	sink_printf(out, "page     frame 0x%lx of %s, %u references, %u entries%s, flags:", pfn,
		    device ? device->name : "RAM", references % PAGE_PIN_BIAS, load_relaxed(&page->mapcount),
		    page_may_be_pinned(page) ? ", pinned" : "");
	show_names(out, load_relaxed(&page->flags), page_names, ARRAY_SIZE(page_names));
	sink_printf(out, "\n");
	show_owner(out, mm, area, page);
}

static void show_leaf(struct sink *out, struct mm *mm, const struct area *area, uint64_t address, uint64_t value)
{
	struct page *page;

	if (!value) {
		sink_printf(out, "nothing  there: the next access faults\n");
	} else if (pte_parked(value) == PTE_PARKED_MIGRATION) {
		sink_printf(out, "parked   frame 0x%lx is being moved: who comes waits\n", pte_pfn(value));
	} else if (pte_parked(value)) {
		sink_printf(out, "parked   in memory that the CPU cannot reach: a fault brings it back\n");
		show_page(out, mm, area, pfn_to_page(pte_pfn(value)));
	} else {
		page = vm_normal_any_page(area, address, value);
		if (page)
			show_page(out, mm, area, page);
		else
			sink_printf(out, "special  %s: nobody counts it\n",
				    pte_pfn(value) == zero_page_pfn ? "the zero page" : "a frame without a page");
	}
}

static void show_tables(struct sink *out, struct mm *mm, const struct area *area, uint64_t address)
{
	static const char *const names[] = {"pte", "pmd", "pud", "pgd"};
	const uint64_t *table = phys_to_virt(mm->space.root);

	for (unsigned int level = 3;; level--) {
		unsigned int index = pte_index(address, level);
		uint64_t value = entry_get(&table[index]);

		sink_printf(out, "%s %3u  0x%016lx:", names[level], index, value);
		show_names(out, pte_parked(value) ? value & (PTE_WRITE | PTE_HUGE | PTE_PART) : value, entry_names,
			   ARRAY_SIZE(entry_names));
		sink_printf(out, "\n");
		if (!level || !value || (value & PTE_HUGE)) {
			show_leaf(out, mm, area, address, value);
			return;
		}
		table = phys_to_virt(value & PTE_ADDRESS);
	}
}

int mm_show_walk(struct sink *out, struct mm *mm, uint64_t address)
{
	struct area *area;

	mutex_lock(&mm->lock);
	area = area_find(mm, address);
	if (area) {
		sink_printf(out, "area     ");
		area_show_line(out, area, "\n");
		show_tables(out, mm, area, address);
	}
	mutex_unlock(&mm->lock);
	return area ? 0 : -EFAULT;
}
