/*
 * The gpu controller: buckets, pools, charges.
 *
 * One charge, from the task to the root: gpucg_get() gives the task's group; the pool is gpucg->table->pools[bucket's
 * number], a load without a lock, for pools are published whole and live as long as their group; own_pages says
 * what was charged to this very group and so what may be uncharged; the page counter of the pool carries the amount up
 * through the parents' pools to the root. The group stays referenced from its first own page to its last.
 *
 * Making a pool makes those of the ancestors that lack one, all before the first can be found: if one cannot be had,
 * none was there.
 */
#include "cgroup/gpu_internal.h"

#include <arch/page.h>
#include <arch/preempt.h>

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

struct mutex gpucg_mutex = MUTEX_INIT(gpucg_mutex, "gpucg_mutex");

static struct gpucg_bucket *first_bucket;
static uint32_t nr_buckets;

/* ---- buckets ---- */

static int check_name(const char *name)
{
	size_t length;

	if (!name || !*name)
		return -EINVAL;
	length = strnlen(name, GPUCG_BUCKET_NAME_MAX_LEN);
	if (length == GPUCG_BUCKET_NAME_MAX_LEN)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return -EINVAL;
	return 0;
}

struct gpucg_bucket *gpucg_first_bucket(void)
{
	return load_acquire(&first_bucket);
}

struct gpucg_bucket *gpucg_find_bucket(const char *name)
{
	struct gpucg_bucket *bucket = gpucg_first_bucket();

	while (bucket && strcmp(bucket->name, name) != 0)
		bucket = load_acquire(&bucket->next);
	return bucket;
}

static void append_bucket(struct gpucg_bucket *bucket)
{
	struct gpucg_bucket **link = &first_bucket;

	while (*link)
		link = &(*link)->next;
	bucket->number = nr_buckets++;
	store_release(link, bucket);
}

struct gpucg_bucket *gpucg_register_bucket(const char *name)
{
	struct gpucg_bucket *bucket;
	int error = check_name(name);

	if (error)
		return ERR_PTR(error);
	bucket = kzalloc(sizeof(*bucket));
	if (!bucket)
		return ERR_PTR(-ENOMEM);
	/* Copied once and checked as copied: the caller's text may change meanwhile. */
	string_copy(bucket->name, name, sizeof(bucket->name));
	error = check_name(bucket->name);

	mutex_lock(&gpucg_mutex);
	if (!error && gpucg_find_bucket(bucket->name))
		error = -EEXIST;
	if (!error)
		append_bucket(bucket);
	mutex_unlock(&gpucg_mutex);

	if (error) {
		kfree(bucket);
		return ERR_PTR(error);
	}
	return bucket;
}

void gpucg_bucket_set_capacity(struct gpucg_bucket *bucket, uint64_t bytes)
{
	store_relaxed(&bucket->capacity_bytes, bytes);
}

/* ---- groups ---- */

struct gpucg *css_to_gpucg(struct cgroup_css *css)
{
	return css ? container_of(css, struct gpucg, css) : NULL;
}

struct gpucg *gpucg_parent(struct gpucg *gpucg)
{
	return gpucg ? css_to_gpucg(gpucg->css.parent) : NULL;
}

char *gpucg_path(struct gpucg *gpucg, char *buffer, size_t size)
{
	if (gpucg)
		return cgroup_path(gpucg->css.cgroup, buffer, size);
	string_copy(buffer, "-", size);
	return buffer;
}

struct gpucg *gpucg_get(struct thread *task)
{
	return css_to_gpucg(css_of_thread(task, CGROUP_GPU));
}

void gpucg_put(struct gpucg *gpucg)
{
	if (gpucg)
		css_put(&gpucg->css);
}

static struct cgroup_css *gpucg_create(struct cgroup_css *parent UNUSED)
{
	struct gpucg *gpucg = kzalloc(sizeof(*gpucg));

	return gpucg ? &gpucg->css : NULL;
}

static void gpucg_destroy(struct cgroup_css *css)
{
	struct gpucg *gpucg = css_to_gpucg(css);
	struct gpucg_pool_table *table = gpucg->table;

	for (uint32_t i = 0; table && i < table->size; i++) {
		if (table->pools[i])
			page_counter_settle(&table->pools[i]->counter);
		kfree(table->pools[i]);
	}
	while (table) {
		struct gpucg_pool_table *older = table->older;

		kfree(table);
		table = older;
	}
	kfree(gpucg);
}

const struct cgroup_controller gpu_controller = {
	.name = "gpu",
	.index = CGROUP_GPU,
	.create = gpucg_create,
	.add_files = gpucg_add_files,
	.destroy = gpucg_destroy,
};

/* ---- pools ---- */

struct gpucg_pool *gpucg_pool(struct gpucg *gpucg, const struct gpucg_bucket *bucket)
{
	struct gpucg_pool_table *table = load_acquire(&gpucg->table);

	return table && bucket->number < table->size ? load_acquire(&table->pools[bucket->number]) : NULL;
}

/* Makes room for the bucket's number. The old table stays: somebody may be reading it. */
static bool table_fit(struct gpucg *gpucg, uint32_t number)
{
	struct gpucg_pool_table *old = gpucg->table, *table;
	uint32_t size = old ? old->size : 4;

	if (old && number < old->size)
		return true;
	while (size <= number)
		size *= 2;
	table = kzalloc(sizeof(*table) + size * sizeof(table->pools[0]));
	if (!table)
		return false;
	table->size = size;
	table->older = old;
	if (old)
		memcpy(table->pools, old->pools, old->size * sizeof(table->pools[0]));
	store_release(&gpucg->table, table);
	return true;
}

/* A pool for @gpucg, not yet seen by anybody. */
static struct gpucg_pool *pool_prepare(struct gpucg *gpucg, struct gpucg_bucket *bucket)
{
	struct gpucg_pool *pool = table_fit(gpucg, bucket->number) ? kzalloc(sizeof(*pool)) : NULL;

	if (pool) {
		pool->bucket = bucket;
		pool->gpucg = gpucg;
	}
	return pool;
}

static void pools_free(struct gpucg_pool *chain)
{
	while (chain) {
		struct gpucg_pool *below = chain->below;

		kfree(chain);
		chain = below;
	}
}

/* From the topmost down, each linked to its parent's before it can be found. */
static void pools_publish(struct gpucg_pool *chain, const struct gpucg_bucket *bucket)
{
	for (struct gpucg_pool *pool = chain; pool; pool = pool->below) {
		struct gpucg *parent = gpucg_parent(pool->gpucg);

		page_counter_init(&pool->counter, parent ? &gpucg_pool(parent, bucket)->counter : NULL);
		store_release(&pool->gpucg->table->pools[bucket->number], pool);
	}
}

struct gpucg_pool *gpucg_pool_make(struct gpucg *gpucg, struct gpucg_bucket *bucket)
{
	struct gpucg_pool *chain = NULL;

	for (struct gpucg *at = gpucg; at && !gpucg_pool(at, bucket); at = gpucg_parent(at)) {
		struct gpucg_pool *pool = pool_prepare(at, bucket);

		if (!pool) {
			pools_free(chain);
			return NULL;
		}
		pool->below = chain;
		chain = pool;
	}
	pools_publish(chain, bucket);
	return gpucg_pool(gpucg, bucket);
}

static struct gpucg_pool *pool_get(struct gpucg *gpucg, struct gpucg_bucket *bucket)
{
	struct gpucg_pool *pool = gpucg_pool(gpucg, bucket);

	if (likely(pool))
		return pool;
	mutex_lock(&gpucg_mutex);
	pool = gpucg_pool_make(gpucg, bucket);
	mutex_unlock(&gpucg_mutex);
	return pool;
}

/* ---- charges ---- */

static int bytes_to_pages(uint64_t bytes, uint64_t *pages)
{
	*pages = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0);
	return bytes == 0 || bytes > UINT64_MAX - (PAGE_SIZE - 1) ? -EINVAL : 0;
}

/* The group lives from its first own page on. The caller's reference bridges the gap between the two steps. */
static void own_add(struct gpucg_pool *pool, uint64_t pages)
{
	if (atomic_fetch_add(&pool->own_pages, pages) == 0)
		css_get(&pool->gpucg->css);
}

/* Takes @pages out of what the group itself was charged, or false. *@last: the caller must drop the group's reference.
 */
static bool own_sub(struct gpucg_pool *pool, uint64_t pages, bool *last)
{
	uint64_t own = load_relaxed(&pool->own_pages);

	do {
		if (own < pages)
			return false;
	} while (!atomic_cas(&pool->own_pages, &own, own - pages));
	*last = own == pages;
	return true;
}

/* Undoes own_sub(). Others may have charged and uncharged in between, so who owes the reference is found anew. */
static void own_put_back(struct gpucg_pool *pool, uint64_t pages, bool *last)
{
	if (atomic_fetch_add(&pool->own_pages, pages) != 0)
		return;
	if (!*last)
		css_get(&pool->gpucg->css);
	*last = false;
}

static void count_refusal(struct page_counter *full)
{
	struct gpucg_pool *at = container_of(full, struct gpucg_pool, counter);

	atomic_add_relaxed(&at->refused, 1);
	for (; full; full = full->parent)
		atomic_add_relaxed(&container_of(full, struct gpucg_pool, counter)->refused_below, 1);
}

int gpucg_charge(struct gpucg *gpucg, struct gpucg_bucket *bucket, uint64_t bytes)
{
	struct page_counter *full;
	struct gpucg_pool *pool;
	uint64_t pages;
	int error;

	if (!gpucg)
		return 0;
	if (!bucket || bytes_to_pages(bytes, &pages))
		return -EINVAL;
	pool = pool_get(gpucg, bucket);
	if (!pool)
		return -ENOMEM;
	error = page_counter_try_charge(&pool->counter, pages, &full);
	if (error) {
		count_refusal(full);
		return error;
	}
	own_add(pool, pages);
	return 0;
}

void gpucg_uncharge(struct gpucg *gpucg, struct gpucg_bucket *bucket, uint64_t bytes)
{
	bool last = false, done = false;
	struct gpucg_pool *pool;
	uint64_t pages;

	if (!gpucg)
		return;
	pool = bucket ? gpucg_pool(gpucg, bucket) : NULL;
	if (pool && !bytes_to_pages(bytes, &pages)) {
		preempt_disable(); /* once out of own_pages, only the counter's usage keeps the pool */
		done = own_sub(pool, pages, &last);
		if (done)
			page_counter_uncharge(&pool->counter, pages);
		preempt_enable();
	}
	if (!done)
		pr_err_ratelimited("gpu cgroup: uncharge of %llu bytes from bucket \"%s\": %llu are charged; ignored",
				   (unsigned long long)bytes, bucket ? bucket->name : "(none)",
				   pool ? (unsigned long long)(load_relaxed(&pool->own_pages) * PAGE_SIZE) : 0ull);
	if (last)
		css_put(&gpucg->css);
}

/* With gpucg_mutex held. */
static int transfer_locked(struct gpucg *from, struct gpucg *to, struct gpucg_bucket *bucket, uint64_t pages,
			   bool *last)
{
	struct gpucg_pool *source = gpucg_pool(from, bucket), *target = gpucg_pool_make(to, bucket);
	int error;

	if (!target)
		return -ENOMEM;
	if (!source || !own_sub(source, pages, last))
		return -EINVAL;
	error = page_counter_transfer(&source->counter, &target->counter, pages);
	if (!error) {
		own_add(target, pages);
		return 0;
	}
	own_put_back(source, pages, last);
	return error;
}

int gpucg_transfer(struct gpucg *from, struct gpucg *to, struct gpucg_bucket *bucket, uint64_t bytes)
{
	bool last = false;
	uint64_t pages;
	int error;

	if (!from && !to)
		return 0;
	if (!from || !to || !bucket || bytes_to_pages(bytes, &pages))
		return -EINVAL;
	css_get(&from->css); /* others may uncharge the rest meanwhile */
	mutex_lock(&gpucg_mutex);
	error = transfer_locked(from, to, bucket, pages, &last);
	mutex_unlock(&gpucg_mutex);
	if (last)
		css_put(&from->css);
	css_put(&from->css);
	return error;
}

uint64_t gpucg_usage(struct gpucg *gpucg, const struct gpucg_bucket *bucket)
{
	struct gpucg_pool *pool;
	uint64_t pages = 0;

	if (!gpucg)
		return 0;
	mutex_lock(&gpucg_mutex);
	pool = gpucg_pool(gpucg, bucket);
	if (pool)
		pages = page_counter_read(&pool->counter);
	mutex_unlock(&gpucg_mutex);
	return pages * PAGE_SIZE;
}
