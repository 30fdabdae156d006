/*
 * Reclaim by hand: /proc/sys/vm/drop_caches (1: the page cache, 2: what shrinkers have, 3: both), its setting, and
 * /proc/slabinfo in Linux's format, version 2.1.
 */
#include "kernel/memory.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/reclaim.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/vmstat.h"

#define MOST_CACHES 128u
#define FEW_OBJECTS 10u

static void drop_slabs(void)
{
	unsigned int rounds = 0;

	/* What the first round frees may make more free; what is in use stays, however often it is asked for. */
	while (shrink_all(0) > FEW_OBJECTS && rounds++ < RECLAIM_PRIORITY_FIRST)
		;
	vm_event(drop_slab);
}

static void drop(struct vfile_int *what)
{
	int64_t value = load_relaxed(&what->value);

	if (value & 1) {
		page_cache_drop();
		vm_event(drop_pagecache);
	}
	if (value & 2)
		drop_slabs();
}

static struct vfile_int drop_caches = {.min = 1, .max = 3, .changed = drop};

static struct vfile_int zero_pages = {.min = 0, .max = 1};

bool reclaim_zero_pages(void)
{
	return load_relaxed(&zero_pages.value);
}

static int slabinfo_show(struct sink *out, void *context UNUSED)
{
	struct slab_info *infos = kmalloc(MOST_CACHES * sizeof(*infos));
	size_t count = infos ? slab_info_get(infos, MOST_CACHES) : 0;

	sink_printf(out, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> "
			 "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> "
			 "<num_slabs> <sharedavail>\n");
	for (const struct slab_info *at = infos; at < infos + count; at++)
		sink_printf(out, "%-17s %6lu %6lu %6u %4u %4u : tunables    0    0    0 : slabdata %6lu %6lu      0\n",
			    at->name, at->objects, at->slabs * at->objects_per_slab, at->object_bytes,
			    at->objects_per_slab, at->pages_per_slab, at->slabs, at->slabs);
	kfree(infos);
	return infos ? 0 : -ENOMEM;
}

int reclaim_files_init(void)
{
	static const struct vfile_ops slabinfo = {.show = slabinfo_show};
	int error = vfile_add_int("/proc/sys/vm/drop_caches", &drop_caches);

	if (!error)
		error = vfile_add_int("/proc/sys/vm/reclaim_zero_pages", &zero_pages);
	return error ? error : vfile_add("/proc/slabinfo", &slabinfo, NULL);
}
