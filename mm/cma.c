/*
 * CMA areas. A bit a page says what was allocated from the area; who else has pages there, the allocator knows, and
 * alloc_contig_range() moves them away. A place where something would not move just now is skipped.
 */
#include "mm/cma.h"

#include "kernel/cmdline.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/bitmap.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "mm/buddy.h"
#include "mm/contig.h"
#include "mm/memory.h"
#include "mm/vmstat.h"

#define GRANULE (1u << MAX_ORDER)

static struct cma default_area;

/* ---- areas --------------------------------------------------------------------------------------------------------
 */

static void set_type_locked(struct zone *zone, uint32_t first, uint32_t pages, enum migratetype mt)
{
	for (uint32_t at = first; at < first + pages; at += PAGEBLOCK_PAGES)
		buddy_set_migratetype_locked(zone, at / PAGEBLOCK_PAGES, mt);
}

static bool is_free_locked(const struct zone *zone, uint32_t first, uint32_t pages)
{
	for (uint32_t at = first; at < first + pages; at += PAGEBLOCK_PAGES) {
		const struct pageblock *pageblock = &zone->pageblocks[at / PAGEBLOCK_PAGES];

		if (!pageblock->whole_order || pageblock->migratetype >= MIGRATE_PCPTYPES)
			return false;
	}
	return true;
}

/* The highest free place in the zone, where allocations come last. */
static bool declare_in(struct cma *cma, struct zone *zone, uint32_t pages)
{
	bool found = false;
	uint32_t first = (uint32_t)ALIGN_DOWN(zone->spanned_pages, GRANULE);

	spin_lock(&zone->lock);
	while (first >= pages && !found) {
		found = is_free_locked(zone, first - pages, pages);
		first -= GRANULE;
	}
	if (found) {
		first += GRANULE - pages;
		set_type_locked(zone, first, pages, MIGRATE_CMA);
		WRITE_ONCE(zone->cma_pages, zone->cma_pages + pages);
		cma->zone = zone;
		cma->first_pfn = zone->start_pfn + first;
	}
	spin_unlock(&zone->lock);
	return found;
}

int cma_declare(struct cma *cma, const char *name, uint64_t bytes, int node)
{
	uint64_t pages = ALIGN_UP(DIV_ROUND_UP(bytes, PAGE_SIZE), (uint64_t)GRANULE);
	struct zone **at = memory.nodes[node].zonelist;

	cma->used = kzalloc(BITMAP_WORDS(pages) * sizeof(uint64_t));
	if (!cma->used)
		return -ENOMEM;
	while (*at && (pages > (*at)->managed_pages || !declare_in(cma, *at, (uint32_t)pages)))
		at++;
	if (!*at) {
		kfree(cma->used);
		return -ENOMEM;
	}
	cma->name = name;
	cma->pages = pages;
	mutex_init(&cma->lock, "cma");
	return 0;
}

void cma_undeclare(struct cma *cma)
{
	struct zone *zone = cma->zone;

	ASSERT(!bitmap_count(cma->used, 0, cma->pages), "cma %s is in use", cma->name);
	spin_lock(&zone->lock);
	set_type_locked(zone, (uint32_t)(cma->first_pfn - zone->start_pfn), (uint32_t)cma->pages, MIGRATE_MOVABLE);
	WRITE_ONCE(zone->cma_pages, zone->cma_pages - cma->pages);
	spin_unlock(&zone->lock);
	kfree(cma->used);
}

struct cma *cma_default(void)
{
	return default_area.pages ? &default_area : NULL;
}

void cma_init(void)
{
	const char *text = cmdline_value("cma");
	uint64_t bytes;

	if (!text)
		return;
	if (parse_size(text, &bytes) || !bytes || bytes > GIB(1024))
		pr_err("cma: \"%s\" is no size: no area", text);
	else if (cma_declare(&default_area, "reserved", bytes, 0) != 0)
		pr_err("cma: no %lu MiB in one piece: no area", bytes >> 20);
	else
		pr_info("cma: %lu MiB at 0x%lx", default_area.pages >> 8, default_area.first_pfn << PAGE_SHIFT);
}

/* ---- allocations --------------------------------------------------------------------------------------------------
 */

/* The first place at or after @from, of an aligned frame number, that is not used; cma->pages: none. */
static uint64_t find_place(const struct cma *cma, uint64_t from, uint64_t count, uint64_t align)
{
	for (;;) {
		uint64_t used;

		from = ALIGN_UP(cma->first_pfn + from, align) - cma->first_pfn;
		if (count > cma->pages || from > cma->pages - count)
			return cma->pages;
		used = bitmap_next_set(cma->used, from + count, from);
		if (used == from + count)
			return from;
		from = used + 1;
	}
}

struct page *cma_alloc(struct cma *cma, uint64_t count, unsigned int align_order, uint32_t gfp)
{
	uint64_t place, align = 1ul << align_order;
	int error = -EBUSY;

	if (!count || align_order > MAX_ORDER)
		return NULL;
	mutex_lock(&cma->lock);
	for (place = find_place(cma, 0, count, align); place < cma->pages;
	     place = find_place(cma, place + align, count, align)) {
		error = alloc_contig_range(cma->first_pfn + place, cma->first_pfn + place + count, gfp);
		if (!error)
			break;
	}
	if (!error)
		bitmap_set_range(cma->used, place, count);
	mutex_unlock(&cma->lock);
	vm_event_add(error ? VM_EVENT_cma_alloc_fail : VM_EVENT_cma_alloc_success, 1);
	return error ? NULL : pfn_to_page(cma->first_pfn + place);
}

bool cma_release(struct cma *cma, struct page *page, uint64_t count)
{
	uint64_t pfn = page_to_pfn(page);

	if (pfn < cma->first_pfn || count > cma->pages || pfn - cma->first_pfn > cma->pages - count)
		return false;
	free_contig_range(pfn, count);
	mutex_lock(&cma->lock);
	bitmap_clear_range(cma->used, pfn - cma->first_pfn, count);
	mutex_unlock(&cma->lock);
	return true;
}
