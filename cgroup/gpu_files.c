/*
 * The gpu controller's files, flat keyed by bucket as cgroup v2 has it.
 *
 *   gpu.memory.current       <bucket> <bytes>          own and descendants' charges
 *   gpu.memory.max           <bucket> <bytes|max>      written: pairs; values take K, M, G; all are checked first
 *   gpu.memory.peak          <bucket> <bytes>
 *   gpu.memory.events        <bucket> max=<refusals>   here and below
 *   gpu.memory.events.local  the same, here only
 *   gpu.memory.capacity      <bucket> <bytes>          root only, buckets that have a size
 *
 * A group shows the buckets it has a pool for; gpu.memory.max shows all, for limits may be set ahead.
 */
#include "cgroup/gpu_internal.h"

#include <arch/page.h>

#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

/* A line per pool of this group. */
static int show_pools(struct sink *out, struct gpucg *gpucg,
		      void (*show)(struct sink *out, const struct gpucg_pool *pool))
{
	mutex_lock(&gpucg_mutex);
	page_counter_drain();
	for (struct gpucg_bucket *bucket = gpucg_first_bucket(); bucket; bucket = load_acquire(&bucket->next)) {
		struct gpucg_pool *pool = gpucg_pool(gpucg, bucket);

		if (pool) {
			sink_printf(out, "%s ", bucket->name);
			show(out, pool);
			sink_printf(out, "\n");
		}
	}
	mutex_unlock(&gpucg_mutex);
	return 0;
}

static void show_usage(struct sink *out, const struct gpucg_pool *pool)
{
	sink_printf(out, "%llu", (unsigned long long)(load_relaxed(&pool->counter.usage) * PAGE_SIZE));
}

static void show_peak(struct sink *out, const struct gpucg_pool *pool)
{
	sink_printf(out, "%llu", (unsigned long long)(load_relaxed(&pool->counter.peak) * PAGE_SIZE));
}

static void show_refused(struct sink *out, const struct gpucg_pool *pool)
{
	sink_printf(out, "max=%llu", (unsigned long long)load_relaxed(&pool->refused));
}

static void show_refused_below(struct sink *out, const struct gpucg_pool *pool)
{
	sink_printf(out, "max=%llu", (unsigned long long)load_relaxed(&pool->refused_below));
}

static int current_show(struct sink *out, void *context)
{
	return show_pools(out, context, show_usage);
}

static int peak_show(struct sink *out, void *context)
{
	return show_pools(out, context, show_peak);
}

static int events_show(struct sink *out, void *context)
{
	return show_pools(out, context, show_refused_below);
}

static int events_local_show(struct sink *out, void *context)
{
	return show_pools(out, context, show_refused);
}

static int capacity_show(struct sink *out, void *context UNUSED)
{
	for (struct gpucg_bucket *bucket = gpucg_first_bucket(); bucket; bucket = load_acquire(&bucket->next)) {
		uint64_t bytes = load_relaxed(&bucket->capacity_bytes);

		if (bytes)
			sink_printf(out, "%s %llu\n", bucket->name, (unsigned long long)bytes);
	}
	return 0;
}

/* ---- limits ---- */

static int max_show(struct sink *out, void *context)
{
	mutex_lock(&gpucg_mutex);
	for (struct gpucg_bucket *bucket = gpucg_first_bucket(); bucket; bucket = load_acquire(&bucket->next)) {
		struct gpucg_pool *pool = gpucg_pool(context, bucket);
		uint64_t pages = pool ? load_relaxed(&pool->counter.max) : PAGE_COUNTER_MAX;

		if (pages == PAGE_COUNTER_MAX)
			sink_printf(out, "%s max\n", bucket->name);
		else
			sink_printf(out, "%s %lu\n", bucket->name, pages * PAGE_SIZE);
	}
	mutex_unlock(&gpucg_mutex);
	return 0;
}

/*
 * Walks the "<bucket> <value>" pairs of @text (which is cut into words on the way). @apply false: checks them and
 * makes the pools, so that the second walk cannot fail.
 */
static int walk_limits(struct gpucg *gpucg, char *text, bool apply)
{
	for (char *name = parse_word(&text); name; name = parse_word(&text)) {
		struct gpucg_bucket *bucket = gpucg_find_bucket(name);
		char *value = parse_word(&text);
		struct gpucg_pool *pool;
		uint64_t pages;

		if (!value || page_counter_parse_max(value, &pages))
			return -EINVAL;
		if (!bucket)
			return -ENOENT;
		pool = gpucg_pool_make(gpucg, bucket);
		if (!pool)
			return -ENOMEM;
		if (apply)
			page_counter_set_max(&pool->counter, pages);
	}
	return 0;
}

static int max_store(void *context, char *text, size_t length)
{
	char copy[VFILE_WRITE_MAX];
	int error;

	if (length >= sizeof(copy))
		return -EINVAL;
	string_copy(copy, text, sizeof(copy));
	mutex_lock(&gpucg_mutex);
	error = walk_limits(context, copy, false);
	if (!error)
		error = walk_limits(context, text, true);
	mutex_unlock(&gpucg_mutex);
	return error;
}

static const struct {
	const char *name;
	bool root_only;
	struct vfile_ops ops;
} files[] = {
	{"gpu.memory.current", false, {.show = current_show}},
	{"gpu.memory.max", false, {.show = max_show, .store = max_store}},
	{"gpu.memory.peak", false, {.show = peak_show}},
	{"gpu.memory.events", false, {.show = events_show}},
	{"gpu.memory.events.local", false, {.show = events_local_show}},
	{"gpu.memory.capacity", true, {.show = capacity_show}},
};

int gpucg_add_files(struct cgroup_css *css, const char *directory)
{
	char path[VFILE_PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int error;

		if (files[i].root_only && css->parent)
			continue;
		if (format(path, sizeof(path), "%s/%s", directory, files[i].name) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		error = vfile_add(path, &files[i].ops, css_to_gpucg(css));
		if (error)
			return error;
	}
	return 0;
}
