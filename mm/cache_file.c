/*
 * The table of files, by number. A file that nobody has open waits among the idle ones: with pages it is found again,
 * without it goes when memory is short.
 */
#include "mm/cache_file.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/request.h"
#include "mm/shrinker.h"
#include "mm/slab.h"

#define BUCKETS	   1024u
#define FILE_BYTES 1024u /* about what a file system keeps about a file */
#define GFP_FILE   (GFP_KERNEL | GFP_NOWARN)

_Static_assert(sizeof(struct cache_file) <= FILE_BYTES, "a file fits");

static struct {
	struct spinlock lock;
	struct list_node buckets[BUCKETS];
	struct list_node idle; /* files that nobody has open, the longest first */
	uint64_t nr_files, nr_idle;
	struct slab_cache slab;
} table;

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

static struct shrinker file_shrinker = {.name = "files", .count = count_idle, .scan = scan_idle};

void cache_files_init(void)
{
	spin_lock_init(&table.lock, "cache_table");
	for (unsigned int at = 0; at < BUCKETS; at++)
		list_init(&table.buckets[at]);
	list_init(&table.idle);
	slab_cache_init(&table.slab, "cache_file", FILE_BYTES);
	table.slab.reclaimable = true;
	shrinker_register(&file_shrinker);
}

uint64_t cache_files(void)
{
	return READ_ONCE(table.nr_files);
}

uint64_t cache_files_drop_idle(void)
{
	return scan_idle(&file_shrinker, READ_ONCE(table.nr_idle)) + slab_shrink(&table.slab);
}

uint64_t cache_files_check(uint64_t (*check)(struct cache_file *file))
{
	uint64_t files = 0, wrong = 0;

	spin_lock(&table.lock);
	for (unsigned int at = 0; at < BUCKETS; at++) {
		struct cache_file *file;

		list_for_each_entry(file, &table.buckets[at], hash) {
			wrong += check(file);
			files++;
		}
	}
	if (files != table.nr_files)
		pr_err("page_cache_check: %lu files, the count says %lu", files, table.nr_files);
	wrong += files != table.nr_files;
	spin_unlock(&table.lock);
	return wrong;
}
