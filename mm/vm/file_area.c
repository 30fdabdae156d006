/*
 * Files in address spaces. See mm/vm/file_area.h.
 */
#include "mm/vm/file_area.h"

#include "mm/vm/page.h"
#include "mm/vm/rmap.h"

/* ---- areas ---- */

/* The page comes locked: its place in the file is its own until the entry is filled. */
static struct page *lock_page(struct area *area, uint64_t index)
{
	struct cache_file *file = area->object;

	for (;;) {
		struct page *page = cache_get_page(file, index, GFP_USER);

		if (!page)
			return ERR_PTR(-ENOMEM);
		page_lock(page);
		if (load_relaxed(&page->mapping) == file)
			return page;
		page_unlock(page); /* truncated meanwhile */
		page_put(page);
	}
}

static void open_area(struct area *area)
{
	struct cache_file *file = area->object;

	cache_file_open_again(file);
	spin_lock(&file->areas_lock);
	list_add_tail(&file->areas, &area->object_node);
	spin_unlock(&file->areas_lock);
}

static void close_area(struct area *area)
{
	struct cache_file *file = area->object;

	spin_lock(&file->areas_lock);
	list_del(&area->object_node);
	spin_unlock(&file->areas_lock);
	cache_file_close(file);
}

const struct area_ops file_area_ops = {.name = "file", .page = lock_page, .open = open_area, .close = close_area};

int64_t mm_map_file(struct mm *mm, uint64_t id, const struct mapping_request *request)
{
	struct mapping_request mine = *request;
	struct cache_file *file = cache_file_open(id);
	int64_t at;

	if (!file)
		return -ENOMEM;
	mine.ops = &file_area_ops;
	mine.object = file;
	at = mm_map(mm, &mine);
	cache_file_close(file); /* the area has it open */
	return at;
}

/* ---- from pages to entries ---- */

int file_walk(struct page_walk *walk, struct cache_file *file)
{
	struct area *area;
	int result = 0;

	spin_lock(&file->areas_lock);
	list_for_each_entry(area, &file->areas, object_node) {
		uint64_t offset = walk->page->index - area->index;

		if (offset < (load_relaxed(&area->end) - area->start) >> PAGE_SHIFT)
			result = page_walk_place(walk, area->mm, area->start + (offset << PAGE_SHIFT));
		if (result)
			break;
	}
	spin_unlock(&file->areas_lock);
	return result;
}

static int unmap_entry(struct page_walk *walk, const struct mapped_at *at)
{
	(void)entry_exchange(at->entry, 0);
	address_space_flush(&at->mm->space, at->address, PAGE_SIZE);
	mm_count(at->mm, walk->page, -1, false);
	page_unmapped(walk->page);
	atomic_dec(&walk->page->refcount); /* not the last one */
	return 0;
}

void file_page_unmap(struct page *page)
{
	struct page_walk walk = {.page = page, .entry = unmap_entry};

	if (load_relaxed(&page->mapcount))
		(void)page_walk(&walk);
}

/* Dirty entries have dirty pages, too: what lost its rights meanwhile may still say that it was written to. */
static int protect_entry(struct page_walk *walk UNUSED, const struct mapped_at *at)
{
	if (!(entry_get(at->entry) & (PTE_WRITE | PTE_DIRTY)))
		return 0;
	entry_clear_bits(at->entry, PTE_WRITE | PTE_DIRTY);
	address_space_flush(&at->mm->space, at->address, PAGE_SIZE);
	return 0;
}

void file_page_protect(struct page *page)
{
	struct page_walk walk = {.page = page, .entry = protect_entry};

	if (load_relaxed(&page->mapcount))
		(void)page_walk(&walk);
}
