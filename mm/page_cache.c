/*
 * Files of computed content in a tree of pages.
 *
 * A page is in the tree from when it is filled until it is dropped, truncated or replaced by the page it migrated to.
 * To be dropped or moved it must have nobody but the tree and the one who isolated it: as every lookup takes
 * file->lock, a count seen under the lock cannot grow. A page's mapping is its file, and NULL once it left the tree.
 */
#include "mm/page_cache.h"

#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache_tree.h"
#include "mm/memory.h"
#include "mm/movable.h"
#include "mm/reclaim.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/vm/file_area.h"
#include "mm/vm/rmap.h"
#include "mm/vmstat.h"

#define BUCKETS	   1024u
#define FILE_BYTES 1024u /* about what a file system keeps about a file */
#define GFP_FILE   (GFP_KERNEL | GFP_NOWARN)

_Static_assert(sizeof(struct cache_file) <= FILE_BYTES, "a file fits");

static struct {
	struct spinlock lock;
	struct list_node buckets[BUCKETS];
	struct list_node idle; /* files that nobody has open, the longest first */
	uint64_t nr_files, nr_idle;
	uint64_t nr_dirty; /* pages; atomic */
	struct slab_cache slab;
} table;

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

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static struct list_node *bucket_of(uint64_t id)
{
	return &table.buckets[id % BUCKETS];
}

static struct cache_file *find_file_locked(uint64_t id)
{
	struct cache_file *file;

	list_for_each_entry(file, bucket_of(id), hash)
		if (file->id == id)
			return file;
	return NULL;
}

static void open_locked(struct cache_file *file)
{
	if (file->opened++ == 0) {
		list_del(&file->idle);
		WRITE_ONCE(table.nr_idle, table.nr_idle - 1);
	}
}

static struct cache_file *find_and_open(uint64_t id)
{
	struct cache_file *file;

	spin_lock(&table.lock);
	file = find_file_locked(id);
	if (file)
		open_locked(file);
	spin_unlock(&table.lock);
	return file;
}

static struct cache_file *make_file(uint64_t id)
{
	struct cache_file *file = slab_alloc(&table.slab, GFP_FILE);

	if (!file)
		return NULL;
	memset(file, 0, sizeof(*file));
	file->id = id;
	file->opened = 1;
	spin_lock_init(&file->lock, "cache_file");
	spin_lock_init(&file->areas_lock, "file_areas");
	list_init(&file->areas);
	return file;
}

struct cache_file *cache_file_open(uint64_t id)
{
	struct cache_file *file = find_and_open(id), *mine, *theirs;

	if (file)
		return file;
	mine = make_file(id);
	if (!mine)
		return NULL;
	spin_lock(&table.lock);
	theirs = find_file_locked(id);
	if (theirs) {
		open_locked(theirs);
	} else {
		list_add(bucket_of(id), &mine->hash);
		WRITE_ONCE(table.nr_files, table.nr_files + 1);
	}
	spin_unlock(&table.lock);
	if (!theirs)
		return mine;
	slab_free(&table.slab, mine);
	return theirs;
}

void cache_file_open_again(struct cache_file *file)
{
	spin_lock(&table.lock);
	open_locked(file);
	spin_unlock(&table.lock);
}

void cache_file_close(struct cache_file *file)
{
	spin_lock(&table.lock);
	ASSERT(file->opened, "file %lu is not open", file->id);
	if (--file->opened == 0) {
		list_add_tail(&table.idle, &file->idle);
		WRITE_ONCE(table.nr_idle, table.nr_idle + 1);
	}
	spin_unlock(&table.lock);
}

/* A file that nobody has open and that has no pages can go: nobody finds it but under the table's lock. */
static bool forget_locked(struct cache_file *file)
{
	bool empty;

	spin_lock(&file->lock);
	empty = file->nr_pages == 0;
	spin_unlock(&file->lock);
	if (!empty)
		return false;
	list_del(&file->idle);
	list_del(&file->hash);
	WRITE_ONCE(table.nr_idle, table.nr_idle - 1);
	WRITE_ONCE(table.nr_files, table.nr_files - 1);
	return true;
}

static uint64_t count_idle(struct shrinker *shrinker UNUSED)
{
	return READ_ONCE(table.nr_idle);
}

static uint64_t scan_idle(struct shrinker *shrinker UNUSED, uint64_t wanted)
{
	uint64_t freed = 0;

	for (; wanted; wanted--) {
		struct cache_file *file = NULL;
		bool forgotten = false;

		spin_lock(&table.lock);
		if (!list_empty(&table.idle)) {
			file = list_first_entry(&table.idle, struct cache_file, idle);
			forgotten = forget_locked(file);
			if (!forgotten) { /* it has pages: its turn comes again */
				list_del(&file->idle);
				list_add_tail(&table.idle, &file->idle);
			}
		}
		spin_unlock(&table.lock);
		if (!file)
			break;
		if (forgotten)
			slab_free(&table.slab, file);
		freed += forgotten;
	}
	return freed;
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
		atomic_inc(&table.nr_dirty);
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
		atomic_dec(&table.nr_dirty);
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

static uint64_t drop_list(struct node *node, enum lru_list list)
{
	uint64_t left = READ_ONCE(node->lru.pages[list]), freed = 0;

	while (left) {
		struct page *pages[16];
		uint64_t scanned = 0;
		uint32_t count =
			lru_isolate_tail(&node->lru, list, NR_ZONE_TYPES - 1, pages, ARRAY_SIZE(pages), &scanned);

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

	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		freed += drop_list(&memory.nodes[node], LRU_INACTIVE_FILE) +
			 drop_list(&memory.nodes[node], LRU_ACTIVE_FILE);
	return freed;
}

static struct shrinker file_shrinker = {.name = "files", .count = count_idle, .scan = scan_idle};

uint64_t page_cache_drop_files(void)
{
	return scan_idle(&file_shrinker, READ_ONCE(table.nr_idle)) + cache_tree_shrink() + slab_shrink(&table.slab);
}

/* ---- set-up and verification --------------------------------------------------------------------------------------
 */

static const struct lru_owner_ops lru_ops = {.try_free = try_free};
static const struct movable_ops movable_ops = {.isolate = lru_isolate, .migrate = migrate, .put_back = lru_put_back};

void page_cache_init(void)
{
	spin_lock_init(&table.lock, "cache_table");
	for (unsigned int at = 0; at < BUCKETS; at++)
		list_init(&table.buckets[at]);
	list_init(&table.idle);
	slab_cache_init(&table.slab, "cache_file", FILE_BYTES);
	table.slab.reclaimable = true;
	cache_tree_init();
	shrinker_register(&file_shrinker);
	lru_register_owner(PAGE_OWNER_PAGE_CACHE, &lru_ops);
	movable_register(PAGE_OWNER_PAGE_CACHE, &movable_ops);
}

void page_cache_info_get(struct page_cache_info *info)
{
	struct memory_info memory_info;

	memory_info_get(&memory_info);
	info->files = READ_ONCE(table.nr_files);
	info->pages = memory_info.cached;
	info->dirty_pages = load_relaxed(&table.nr_dirty);
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
	uint64_t files = 0, wrong = 0;

	spin_lock(&table.lock);
	for (unsigned int at = 0; at < BUCKETS; at++) {
		struct cache_file *file;

		list_for_each_entry(file, &table.buckets[at], hash) {
			wrong += check_file(file);
			files++;
		}
	}
	if (files != table.nr_files)
		pr_err("page_cache_check: %lu files, the count says %lu", files, table.nr_files);
	wrong += files != table.nr_files;
	spin_unlock(&table.lock);
	return wrong ? -EINVAL : 0;
}
