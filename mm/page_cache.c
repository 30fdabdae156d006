/*
 * Pages of computed content in the trees of their files (mm/cache_file.h).
 *
 * A page is in the tree from when it is filled until it is dropped, truncated or replaced by the page it migrated to.
 * To be dropped or moved it must have nobody but the tree and the one who isolated it: as every lookup takes
 * file->lock, a count seen under the lock cannot grow. A page's mapping is its file, and NULL once it left the tree.
 */
#include "mm/page_cache.h"

#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache_tree.h"
#include "mm/memcg.h"
#include "mm/memory.h"
#include "mm/movable.h"
#include "mm/reclaim.h"
#include "mm/vm/file_area.h"
#include "mm/vm/rmap.h"
#include "mm/vmstat.h"

static uint64_t nr_dirty; /* pages; atomic */

/* The file a page belongs to; changes under page lock and file->lock. */
static struct cache_file *file_of(const struct page *page)
{
	return load_acquire((struct cache_file *const *)&page->mapping);
}

static void set_file(struct page *page, struct cache_file *file)
{
	store_release(&page->mapping, (void *)file);
}

/* ---- content ------------------------------------------------------------------------------------------------------
 */

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

/* The first word; each next one is larger by an odd step, so no two pages share a stretch. */
static uint64_t first_word(uint64_t id, uint64_t index)
{
	return (id * 0x9e3779b97f4a7c15ull) ^ (index * 0xc2b2ae3d27d4eb4full);
}

static void fill(const struct cache_file *file, struct page *page)
{
	uint64_t *words = page_address(page), value = first_word(file->id, page->index);

	for (size_t at = 0; at < WORDS; at++, value += 0x2545f4914f6cdd1dull)
		words[at] = value;
}

bool cache_page_is_right(const struct page *page)
{
	const struct cache_file *file = file_of(page);
	const uint64_t *words = page_address(page);
	uint64_t value;

	if (!file || page_is(page, PAGE_CHANGED))
		return true; /* truncated or written to: nobody says what is in it */
	value = first_word(file->id, page->index);
	for (size_t at = 0; at < WORDS; at++, value += 0x2545f4914f6cdd1dull)
		if (words[at] != value)
			return false;
	return true;
}

/* ---- pages --------------------------------------------------------------------------------------------------------
 */

struct page *cache_find_page(struct cache_file *file, uint64_t index)
{
	struct page *page;

	spin_lock(&file->lock);
	page = cache_tree_find(file, index);
	if (page)
		page_get(page);
	spin_unlock(&file->lock);
	if (page)
		lru_mark_used(page);
	return page;
}

/* A page with content that is not in the tree yet. */
static struct page *read_in(struct cache_file *file, uint64_t index, uint32_t gfp)
{
	struct page *page = alloc_pages(gfp | GFP_OWNER(PAGE_OWNER_PAGE_CACHE), 0);

	if (!page)
		return NULL;
	if (memcg_charge_current(page, gfp & GFP_DIRECT_RECLAIM)) {
		page_put(page);
		return NULL;
	}
	page->index = index;
	set_file(page, file);
	fill(file, page);
	return page;
}

/* Puts @page into the tree; if somebody was faster, his page takes its place. NULL: no memory. */
static struct page *insert(struct cache_file *file, struct page *page, uint32_t gfp)
{
	struct cache_spares spares = {0};
	struct page *theirs = NULL;
	int error;

	do {
		error = cache_tree_prepare(file, page->index, gfp, &spares);
		if (error)
			break;
		spin_lock(&file->lock);
		theirs = cache_tree_find(file, page->index);
		if (theirs)
			page_get(theirs);
		else
			error = cache_tree_insert(file, page->index, page, &spares);
		if (!theirs && !error) {
			page_get(page); /* the tree's; the first is the caller's */
			lru_add(page);
		}
		spin_unlock(&file->lock);
	} while (error == -EAGAIN); /* the tree grew meanwhile */
	cache_spares_free(&spares);
	if (!theirs && !error)
		return page;
	set_file(page, NULL);
	page_put(page);
	return theirs;
}

struct page *cache_get_page(struct cache_file *file, uint64_t index, uint32_t gfp)
{
	struct page *page = cache_find_page(file, index);

	if (page)
		return page;
	page = read_in(file, index, gfp);
	vm_events(pgpgin, page ? PAGE_SIZE / 1024 : 0);
	return page ? insert(file, page, gfp) : NULL;
}

/* Page lock held. */
static void make_dirty(struct page *page)
{
	if (!(atomic_fetch_or(&page->flags, PAGE_DIRTY) & PAGE_DIRTY))
		atomic_inc(&nr_dirty);
}

void cache_page_will_change(struct page *page)
{
	page_mark(page, PAGE_CHANGED);
	make_dirty(page);
}

struct page *cache_write_page(struct cache_file *file, uint64_t index, uint32_t gfp)
{
	struct page *page = cache_get_page(file, index, gfp);

	if (!page)
		return NULL;
	page_lock(page);
	if (file_of(page))
		make_dirty(page);
	page_unlock(page);
	return page;
}

/* Page lock held. */
static void clean(struct page *page)
{
	if (page_unmark(page, PAGE_DIRTY))
		atomic_dec(&nr_dirty);
}

/* Writing back costs nothing here, as the content can be computed; it is counted. Page lock held. */
static void write_back(struct page *page)
{
	file_page_protect(page); /* first: what is written from now on makes it dirty again */
	if (page_is(page, PAGE_DIRTY))
		vm_events(pgpgout, PAGE_SIZE / 1024);
	clean(page);
}

uint64_t cache_file_write_back(struct cache_file *file)
{
	uint64_t cleaned = 0;

	for (uint64_t index = 0;; index++) {
		struct page *page;

		spin_lock(&file->lock);
		page = cache_tree_next(file, &index);
		if (page)
			page_get(page);
		spin_unlock(&file->lock);
		if (!page)
			return cleaned;
		page_lock(page);
		cleaned += page_is(page, PAGE_DIRTY);
		write_back(page);
		page_unlock(page);
		page_put(page);
	}
}

/* Page lock held, the page isolated: out of the tree if only the tree and the isolator have it. */
static bool drop_locked(struct page *page)
{
	struct cache_file *file = file_of(page);
	bool unused;

	if (!file)
		return false;
	spin_lock(&file->lock);
	unused = load_relaxed(&page->refcount) == 2;
	if (unused) {
		cache_tree_remove(file, page->index);
		set_file(page, NULL);
		atomic_dec(&page->refcount);
	}
	spin_unlock(&file->lock);
	return unused;
}

/* Page lock held: address spaces let go of it, unless it was used since somebody last asked. */
static bool unmap_unused(struct page *page)
{
	if (!load_relaxed(&page->mapcount))
		return true;
	if (page_is(page, PAGE_MLOCKED) || page_referenced(page))
		return false;
	file_page_unmap(page);
	return true;
}

static bool try_free(struct page *page, bool gently)
{
	bool dropped = false;

	if (!page_trylock(page))
		return false;
	if (!(gently && page_is(page, PAGE_DIRTY)) && !page_is(page, PAGE_CHANGED) && unmap_unused(page)) {
		write_back(page);
		dropped = drop_locked(page);
	}
	page_unlock(page);
	return dropped;
}

/* ---- moving -------------------------------------------------------------------------------------------------------
 */

/* Both locked by nobody else; the tree's slot goes from one to the other under file->lock. */
static int replace(struct cache_file *file, struct page *from, struct page *to)
{
	uint32_t kept = PAGE_REFERENCED | PAGE_ACTIVE | PAGE_DIRTY | PAGE_MLOCKED | PAGE_CHANGED;

	spin_lock(&file->lock);
	if (load_relaxed(&from->refcount) != 2) {
		spin_unlock(&file->lock);
		return -EAGAIN;
	}
	memcpy(page_address(to), page_address(from), PAGE_SIZE);
	set_file(to, file);
	to->index = from->index;
	atomic_fetch_or(&to->flags, load_relaxed(&from->flags) & kept);
	cache_tree_replace(file, from->index, to); /* its reference is the one it was allocated with */
	set_file(from, NULL);
	atomic_dec(&from->refcount);
	atomic_fetch_and(&from->flags, ~kept);
	memcg_hand_over(from, to);
	lru_add(to);
	spin_unlock(&file->lock);
	return 0;
}

/* No entry maps @from meanwhile; @to is locked, so that it stays in the file until they do again. */
static int replace_mapped(struct cache_file *file, struct page *from, struct page *to)
{
	struct parking parking;
	int error;

	if (!load_relaxed(&from->mapcount))
		return replace(file, from, to);
	page_mark(to, PAGE_LOCKED);
	parking = page_park_entries(from);
	error = replace(file, from, to);
	page_unpark_entries(&parking, error ? from : to);
	page_unlock(to);
	return error;
}

static int migrate(struct page *from, struct page *to)
{
	struct cache_file *file;
	int error = -EBUSY;

	if (!page_trylock(from))
		return -EAGAIN;
	file = file_of(from);
	if (file)
		error = replace_mapped(file, from, to);
	page_unlock(from);
	if (!error) {
		lru_forget_isolated(from);
		store_relaxed(&from->flags, 0);
	}
	return error;
}

/* ---- dropping -----------------------------------------------------------------------------------------------------
 */

/* Takes the page out of the tree, whoever has it; the tree's reference goes. */
static void truncate_page(struct cache_file *file, struct page *page)
{
	page_lock(page);
	if (file_of(page) == file) {
		file_page_unmap(page);
		if (page_is(page, PAGE_MLOCKED))
			lru_change(page, 0, PAGE_MLOCKED);
		spin_lock(&file->lock);
		cache_tree_remove(file, page->index);
		set_file(page, NULL);
		spin_unlock(&file->lock);
		clean(page);
		page_unlock(page);
		page_put(page);
		return;
	}
	page_unlock(page);
}

void cache_file_truncate(struct cache_file *file)
{
	for (;;) {
		struct page *page;

		spin_lock(&file->lock);
		page = cache_tree_first(file);
		if (page)
			page_get(page);
		spin_unlock(&file->lock);
		if (!page)
			return;
		truncate_page(file, page);
		page_put(page);
	}
}

static uint64_t drop_list(struct node *node, enum zone_type zone, enum lru_list list)
{
	uint64_t left = READ_ONCE(node->lru.zone_pages[zone][list]), freed = 0;

	while (left) {
		struct page *pages[16];
		uint64_t scanned = 0;
		uint32_t count = lru_isolate_tail(&node->lru, list, (struct lru_filter){.zone = zone}, pages,
						  ARRAY_SIZE(pages), &scanned);

		for (uint32_t at = 0; at < count; at++)
			if (page_owner(pages[at]) == PAGE_OWNER_PAGE_CACHE && !load_relaxed(&pages[at]->mapcount))
				freed += reclaim_isolated(pages[at], false);
			else
				lru_put_back(pages[at]);
		if (!scanned)
			break;
		left -= MIN(left, scanned);
	}
	return freed;
}

uint64_t page_cache_drop(void)
{
	uint64_t freed = 0;

	for_each_zone(zone) freed += drop_list(&memory.nodes[zone->node], zone->type, LRU_INACTIVE_FILE) +
				     drop_list(&memory.nodes[zone->node], zone->type, LRU_ACTIVE_FILE);
	return freed;
}

uint64_t page_cache_drop_files(void)
{
	return cache_files_drop_idle() + cache_tree_shrink();
}

/* ---- set-up and verification --------------------------------------------------------------------------------------
 */

static const struct lru_owner_ops lru_ops = {.try_free = try_free};
static const struct movable_ops movable_ops = {.isolate = lru_isolate, .migrate = migrate, .put_back = lru_put_back};

void page_cache_init(void)
{
	cache_files_init();
	cache_tree_init();
	lru_register_owner(PAGE_OWNER_PAGE_CACHE, &lru_ops);
	movable_register(PAGE_OWNER_PAGE_CACHE, &movable_ops);
}

void page_cache_info_get(struct page_cache_info *info)
{
	struct memory_info memory_info;

	memory_info_get(&memory_info);
	info->files = cache_files();
	info->pages = memory_info.cached;
	info->dirty_pages = load_relaxed(&nr_dirty);
}

/* Pages of @file that are neither on a list nor isolated, or are another file's. */
static uint64_t check_file(struct cache_file *file)
{
	uint64_t wrong = 0, pages = 0;
	struct page *page;

	spin_lock(&file->lock);
	for (uint64_t index = 0; (page = cache_tree_next(file, &index)); index++, pages++)
		if (file_of(page) != file || page->index != index ||
		    load_relaxed(&page->refcount) < load_relaxed(&page->mapcount) + 1 ||
		    !(load_relaxed(&page->flags) & (PAGE_ON_LRU | PAGE_ISOLATED)))
			wrong++;
	if (wrong || pages != file->nr_pages)
		pr_err("page_cache_check: file %lu: %lu pages, its count says %lu; %lu are wrong", file->id, pages,
		       file->nr_pages, wrong);
	wrong += pages != file->nr_pages;
	spin_unlock(&file->lock);
	return wrong;
}

int page_cache_check(void)
{
	return cache_files_check(check_file) ? -EINVAL : 0;
}
