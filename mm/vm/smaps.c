/*
 * smaps, pagemap, numa_maps, clear_refs: what is behind the entries of an address space, area by area.
 *
 * The first two and clear_refs count every page that has a structure, device memory too; numa_maps is about pages that
 * can be moved between nodes, and asks for LRU pages.
 */
#include "kernel/memory.h"
#include "lib/parse.h"
#include "mm/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/page.h"
#include "mm/vm/proc.h"
#include "mm/vm/tables.h"

static uint64_t pages_of(uint64_t value)
{
	return value & PTE_HUGE ? PTE_ENTRIES : 1;
}

/* ---- smaps ---- */

struct smaps {
	struct table_walk walk;
	uint64_t resident, shared, shared_dirty, private, private_dirty, referenced, anon, ksm, lazy_free, huge, parked;
	uint64_t proportional, proportional_dirty; /* in 1/4096 pages */
};

static int smaps_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct smaps *smaps = container_of(walk, struct smaps, walk);
	uint64_t value = entry_get(entry), pages = pages_of(value);
	struct page *page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : NULL;
	uint32_t mapped = page ? load_relaxed(&page->mapcount) : 0;
	bool dirty = (value & PTE_DIRTY) || (page && page_is(page, PAGE_DIRTY));

	smaps->parked += pte_parked(value) ? pages : 0;
	if (!page)
		return 0;
	if (value & PTE_PART)
		mapped = DIV_ROUND_UP(mapped, PTE_ENTRIES);
	smaps->resident += pages;
	smaps->proportional += pages * 4096 / MAX(mapped, 1u);
	smaps->proportional_dirty += dirty ? pages * 4096 / MAX(mapped, 1u) : 0;
	*(mapped > 1 ? dirty ? &smaps->shared_dirty : &smaps->shared
	  : dirty    ? &smaps->private_dirty
		     : &smaps->private) += pages;
	smaps->referenced += value & PTE_ACCESSED ? pages : 0;
	smaps->anon += page_owner_is_anon(page) ? pages : 0;
	smaps->ksm += page_is(page, PAGE_KSM) ? pages : 0;
	smaps->lazy_free += page_is(page, PAGE_LAZY_FREE) ? pages : 0;
	smaps->huge += value & PTE_HUGE ? pages : 0;
	return 0;
}

static void show_kib(struct sink *out, const char *name, uint64_t pages)
{
	sink_printf(out, "%-16s%8lu kB\n", name, pages * 4);
}

static void show_flags(struct sink *out, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {{AREA_READ, "rd"},	     {AREA_WRITE, "wr"},     {AREA_SHARED, "sh"}, {AREA_LOCKED, "lo"},
		     {AREA_PFNMAP, "pf"},    {AREA_MIXEDMAP, "mm"},  {AREA_HUGE, "hg"},	  {AREA_NOHUGE, "nh"},
		     {AREA_MERGEABLE, "mg"}, {AREA_SOFT_DIRTY, "sd"}};

	sink_printf(out, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			sink_printf(out, "%s ", names[i].name);
	sink_printf(out, "\n");
}

static void show_smaps(struct sink *out, const struct smaps *smaps, const struct area *area)
{
	const uint64_t pages = (area->end - area->start) >> PAGE_SHIFT;

	area_show_line(out, area, "\n");
	show_kib(out, "Size:", pages);
	show_kib(out, "KernelPageSize:", 1);
	show_kib(out, "MMUPageSize:", 1);
	show_kib(out, "Rss:", smaps->resident);
	sink_printf(out, "%-16s%8lu kB\n", "Pss:", smaps->proportional / 1024);
	sink_printf(out, "%-16s%8lu kB\n", "Pss_Dirty:", smaps->proportional_dirty / 1024);
	show_kib(out, "Shared_Clean:", smaps->shared);
	show_kib(out, "Shared_Dirty:", smaps->shared_dirty);
	show_kib(out, "Private_Clean:", smaps->private);
	show_kib(out, "Private_Dirty:", smaps->private_dirty);
	show_kib(out, "Referenced:", smaps->referenced);
	show_kib(out, "Anonymous:", smaps->anon);
	show_kib(out, "KSM:", smaps->ksm);
	show_kib(out, "LazyFree:", smaps->lazy_free);
	show_kib(out, "AnonHugePages:", smaps->huge);
	show_kib(out, "ShmemPmdMapped:", 0);
	show_kib(out, "FilePmdMapped:", 0);
	show_kib(out, "Shared_Hugetlb:", 0);
	show_kib(out, "Private_Hugetlb:", 0);
	show_kib(out, "Swap:", smaps->parked);
	show_kib(out, "SwapPss:", smaps->parked);
	show_kib(out, "Locked:", area->flags & AREA_LOCKED ? smaps->resident : 0);
	sink_printf(out, "%-16s%8d\n", "THPeligible:", !area->ops && pages >= PTE_ENTRIES && thp_wanted(area));
	show_flags(out, area->flags);
}

int smaps_show(struct sink *out, void *context)
{
	struct mm *mm = context;
	struct area *area;

	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		struct smaps smaps = {.walk = {.mm = mm, .area = area, .page = smaps_entry, .huge = smaps_entry}};

		(void)table_walk(&smaps.walk, area->start, area->end);
		show_smaps(out, &smaps, area);
	}
	mutex_unlock(&mm->lock);
	return 0;
}

/* ---- pagemap ---- */

#define PAGEMAP_SOFT_DIRTY BIT(55)
#define PAGEMAP_EXCLUSIVE  BIT(56)
#define PAGEMAP_FILE	   BIT(61)
#define PAGEMAP_PARKED	   BIT(62)
#define PAGEMAP_PRESENT	   BIT(63)

struct pagemap {
	struct table_walk walk;
	/* A table's worth, shown when table_lock is released. */
	size_t count;
	uint64_t addresses[PTE_ENTRIES], words[PTE_ENTRIES];
};

static uint64_t pagemap_word(const struct area *area, uint64_t address, uint64_t value)
{
	struct page *page = pte_maps(value) ? vm_normal_any_page(area, address, value) : NULL;
	uint64_t word = pte_maps(value) ? PAGEMAP_PRESENT | pte_pfn(value) : PAGEMAP_PARKED;

	if ((value & PTE_SOFT_DIRTY) || (area->flags & AREA_SOFT_DIRTY))
		word |= PAGEMAP_SOFT_DIRTY;
	if (page && load_relaxed(&page->mapcount) == 1)
		word |= PAGEMAP_EXCLUSIVE;
	if (page && !page_owner_is_anon(page))
		word |= PAGEMAP_FILE;
	return word;
}

static int pagemap_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct pagemap *pagemap = container_of(walk, struct pagemap, walk);
	uint64_t word = pagemap_word(walk->area, address, entry_get(entry)), pages = pages_of(entry_get(entry));

	for (uint64_t i = 0; i < pages; i++) {
		pagemap->addresses[pagemap->count] = address + i * PAGE_SIZE;
		pagemap->words[pagemap->count++] = word & PAGEMAP_PRESENT ? word + i : word;
	}
	return 0;
}

static void pagemap_print(struct table_walk *walk)
{
	struct pagemap *pagemap = container_of(walk, struct pagemap, walk);

	for (size_t i = 0; i < pagemap->count; i++)
		sink_printf(walk->context, "%lx %016lx\n", pagemap->addresses[i], pagemap->words[i]);
	pagemap->count = 0;
}

int pagemap_show(struct sink *out, void *context)
{
	struct mm *mm = context;
	struct pagemap *pagemap = kmalloc(sizeof(*pagemap));
	struct area *area;

	if (!pagemap)
		return -ENOMEM;
	pagemap->count = 0;
	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		pagemap->walk = (struct table_walk){.mm = mm,
						    .area = area,
						    .page = pagemap_entry,
						    .huge = pagemap_entry,
						    .between = pagemap_print,
						    .context = out};
		(void)table_walk(&pagemap->walk, area->start, area->end);
	}
	mutex_unlock(&mm->lock);
	kfree(pagemap);
	return 0;
}

/* ---- numa_maps ---- */

struct numa_maps {
	struct table_walk walk;
	uint64_t pages, anon, dirty, active, mapped_most, by_node[MACHINE_MAX_NODES];
};

static int numa_maps_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct numa_maps *maps = container_of(walk, struct numa_maps, walk);
	uint64_t value = entry_get(entry), pages = pages_of(value);
	struct page *page = pte_maps(value) ? vm_normal_lru_page(walk->area, address, value) : NULL;

	if (!page)
		return 0;
	maps->pages += pages;
	maps->anon += page_owner_is_anon(page) ? pages : 0;
	maps->dirty += (value & PTE_DIRTY) || page_is(page, PAGE_DIRTY) ? pages : 0;
	maps->active += page_is(page, PAGE_ACTIVE | PAGE_UNEVICTABLE | PAGE_MLOCKED) ? pages : 0;
	maps->mapped_most = MAX(maps->mapped_most, (uint64_t)load_relaxed(&page->mapcount));
	maps->by_node[page_node(page)] += pages;
	return 0;
}

/* Each figure only where it says more than the others do, as in Linux. */
static void show_numa_pages(struct sink *out, const struct numa_maps *maps)
{
	if (maps->anon)
		sink_printf(out, " anon=%lu", maps->anon);
	if (maps->dirty)
		sink_printf(out, " dirty=%lu", maps->dirty);
	if (maps->pages != maps->anon && maps->pages != maps->dirty)
		sink_printf(out, " mapped=%lu", maps->pages);
	if (maps->mapped_most > 1)
		sink_printf(out, " mapmax=%lu", maps->mapped_most);
	if (maps->active < maps->pages)
		sink_printf(out, " active=%lu", maps->active);
	for (size_t node = 0; node < MACHINE_MAX_NODES; node++)
		if (maps->by_node[node])
			sink_printf(out, " N%zu=%lu", node, maps->by_node[node]);
	sink_printf(out, " kernelpagesize_kB=4");
}

static void show_numa_maps(struct sink *out, const struct numa_maps *maps, const struct area *area)
{
	char name[32];

	sink_printf(out, "%08lx ", area->start);
	if (area->policy_node == NODE_ANY)
		sink_printf(out, "default");
	else
		sink_printf(out, "bind:%d", area->policy_node);
	if (area->ops)
		sink_printf(out, " file=%s", area_name(area, name));
	if (maps->pages)
		show_numa_pages(out, maps);
	sink_printf(out, "\n");
}

int numa_maps_show(struct sink *out, void *context)
{
	struct mm *mm = context;
	struct area *area;

	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		struct numa_maps maps = {
			.walk = {.mm = mm, .area = area, .page = numa_maps_entry, .huge = numa_maps_entry}};

		(void)table_walk(&maps.walk, area->start, area->end);
		show_numa_maps(out, &maps, area);
	}
	mutex_unlock(&mm->lock);
	return 0;
}

/* ---- clear_refs ---- */

enum { CLEAR_ALL = 1, CLEAR_ANON, CLEAR_FILES, CLEAR_SOFT_DIRTY };

static int clear_used(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t value = entry_get(entry);
	struct page *page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : NULL;

	if (!page)
		return 0;
	entry_clear_bits(entry, PTE_ACCESSED);
	page_unmark(page, PAGE_REFERENCED);
	return 0;
}

/* The next write faults, and says so. A device that has the page pinned writes without; so pinned ones stay dirty. */
static int clear_soft_dirty(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t value = entry_get(entry);
	struct page *page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : NULL;

	if (page && page_owner_is_anon(page) && page_may_be_pinned(page))
		return 0;
	entry_clear_bits(entry, pte_maps(value) ? PTE_SOFT_DIRTY | PTE_WRITE : PTE_SOFT_DIRTY);
	return 0;
}

static bool concerns(const struct area *area, uint64_t what)
{
	return what == CLEAR_ALL || what == CLEAR_SOFT_DIRTY || area_is_anon(area) == (what == CLEAR_ANON);
}

int clear_refs_store(void *context, char *text, size_t length UNUSED)
{
	struct mm *mm = context;
	struct area *area;
	uint64_t what;

	if (parse_u64(text, &what) || what < CLEAR_ALL || what > CLEAR_SOFT_DIRTY)
		return -EINVAL;
	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		struct table_walk walk = {.mm = mm, .area = area};

		walk.page = walk.huge = what == CLEAR_SOFT_DIRTY ? clear_soft_dirty : clear_used;
		if (what == CLEAR_SOFT_DIRTY)
			area->flags &= ~(uint32_t)AREA_SOFT_DIRTY;
		if (concerns(area, what))
			(void)table_walk(&walk, area->start, area->end);
	}
	address_space_flush(&mm->space, 0, USER_END);
	mutex_unlock(&mm->lock);
	return 0;
}
