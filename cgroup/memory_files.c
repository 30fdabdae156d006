/*
 * The memory controller's files, in every group but the root.
 *
 *   memory.current    bytes, own and descendants'
 *   memory.peak       the most there was
 *   memory.max        bytes or max; written: bytes with K, M, G, T. Below memory.current: pages are reclaimed
 *   memory.high       the same, but charges above it are not refused: they reclaim first
 *   memory.events     flat keyed: low 0 (there is no such limit); high, max: charges that were above or met a limit
 * here or below; oom: those that failed for it; oom_kill 0: nobody can be killed memory.stat       flat keyed: anon,
 * file, anon_thp in bytes; pgfault, pgsteal memory.move_charge_at_immigrate   0 or 1: tasks that are moved here bring
 * their anonymous pages along (cgroup v1's)
 */
#include "cgroup/memory_internal.h"

#include <arch/page.h>

#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"

static uint64_t count_of(const struct mem_cgroup *memcg, enum memcg_count count)
{
	return load_relaxed(&memcg->counts[count]);
}

static int current_show(struct sink *out, void *context)
{
	const struct mem_cgroup *memcg = context;

	sink_printf(out, "%lu\n", page_counter_read(&memcg->counter) * PAGE_SIZE);
	return 0;
}

static int peak_show(struct sink *out, void *context)
{
	const struct mem_cgroup *memcg = context;

	sink_printf(out, "%lu\n", load_relaxed(&memcg->counter.peak) * PAGE_SIZE);
	return 0;
}

static int show_limit(struct sink *out, uint64_t pages)
{
	if (pages == PAGE_COUNTER_MAX)
		sink_printf(out, "max\n");
	else
		sink_printf(out, "%lu\n", pages * PAGE_SIZE);
	return 0;
}

static int store_limit(struct mem_cgroup *memcg, char *text, void (*set)(struct mem_cgroup *memcg, uint64_t pages))
{
	const char *word = parse_word(&text);
	uint64_t pages;

	if (!word || page_counter_parse_max(word, &pages) || parse_word(&text))
		return -EINVAL;
	set(memcg, pages);
	return 0;
}

static int max_show(struct sink *out, void *context)
{
	return show_limit(out, load_relaxed(&((const struct mem_cgroup *)context)->counter.max));
}

static int max_store(void *context, char *text, size_t length UNUSED)
{
	return store_limit(context, text, memcg_set_max);
}

static int high_show(struct sink *out, void *context)
{
	return show_limit(out, load_relaxed(&((const struct mem_cgroup *)context)->high));
}

static int high_store(void *context, char *text, size_t length UNUSED)
{
	return store_limit(context, text, memcg_set_high);
}

static int events_show(struct sink *out, void *context)
{
	sink_printf(out, "low 0\nhigh %lu\nmax %lu\noom %lu\noom_kill 0\n", count_of(context, MEMCG_HIGH),
		    count_of(context, MEMCG_MAX), count_of(context, MEMCG_OOM));
	return 0;
}

static int stat_show(struct sink *out, void *context)
{
	const struct mem_cgroup *memcg = context;
	uint64_t file = count_of(memcg, MEMCG_FILE), all = page_counter_read(&memcg->counter);

	sink_printf(out, "anon %lu\nfile %lu\nanon_thp %lu\npgfault %lu\npgsteal %lu\n",
		    (all - MIN(all, file)) * PAGE_SIZE, file * PAGE_SIZE, count_of(memcg, MEMCG_ANON_THP) * PAGE_SIZE,
		    count_of(memcg, MEMCG_PGFAULT), count_of(memcg, MEMCG_PGSTEAL));
	return 0;
}

static int move_show(struct sink *out, void *context)
{
	const struct mem_cgroup *memcg = context;

	sink_printf(out, "%u\n", load_relaxed(&memcg->move_charges));
	return 0;
}

static int move_store(void *context, char *text, size_t length UNUSED)
{
	struct mem_cgroup *memcg = context;
	uint64_t what;

	if (parse_u64(text, &what) || what > MEMCG_MOVE_ANON)
		return -EINVAL;
	store_relaxed(&memcg->move_charges, (uint32_t)what);
	return 0;
}

static const struct {
	const char *name;
	struct vfile_ops ops;
} files[] = {
	{"memory.current", {.show = current_show}},
	{"memory.peak", {.show = peak_show}},
	{"memory.high", {.show = high_show, .store = high_store}},
	{"memory.max", {.show = max_show, .store = max_store}},
	{"memory.events", {.show = events_show}},
	{"memory.stat", {.show = stat_show}},
	{"memory.move_charge_at_immigrate", {.show = move_show, .store = move_store}},
};

int memcg_add_files(struct cgroup_css *css, const char *directory)
{
	char path[VFILE_PATH_MAX];
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && css->parent && !error; i++) {
		if (format(path, sizeof(path), "%s/%s", directory, files[i].name) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		error = vfile_add(path, &files[i].ops, css_to_memcg(css));
	}
	return error;
}
