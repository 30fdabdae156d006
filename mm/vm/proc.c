/*
 * The directory of a thread that lives in an address space, and the files that only show areas.
 */
#include "mm/vm/proc.h"

#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "mm/vm/file_area.h"
#include "mm/vm/page.h"

static int status_show(struct sink *out, void *context)
{
	struct mm *mm = context;
	int64_t resident;

	mutex_lock(&mm->lock);
	spin_lock(&mm->table_lock);
	resident = mm->counters[MM_ANON] + mm->counters[MM_FILE] + mm->counters[MM_DEVICE];
	sink_printf(out, "MmId:\t%8u\nUsers:\t%8u\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmRSS:\t%8ld kB\n", mm->id,
		    load_relaxed(&mm->users), mm->mapped_pages * 4, mm->locked_pages * 4, resident * 4);
	sink_printf(out, "RssAnon:\t%8ld kB\nRssFile:\t%8ld kB\nRssDevice:\t%8ld kB\n", mm->counters[MM_ANON] * 4,
		    mm->counters[MM_FILE] * 4, mm->counters[MM_DEVICE] * 4);
	sink_printf(out, "AnonHugePages:\t%8ld kB\nVmPTE:\t%8lu kB\nFaults:\t%8lu\n", mm->counters[MM_HUGE] * 2048,
		    load_relaxed(&mm->table_pages) * 4, mm->faults);
	spin_unlock(&mm->table_lock);
	mutex_unlock(&mm->lock);
	return 0;
}

const char *area_name(const struct area *area, char name[32])
{
	format(name, 32, "%s", area->ops ? area->ops->name : "");
	if (area_shows_file(area))
		format(name, 32, "file:%lu", ((const struct cache_file *)area->object)->id);
	return name;
}

void area_show_line(struct sink *out, const struct area *area, const char *end)
{
	char name[32], place[73];

	format(place, sizeof(place), "%08lx-%08lx %c%c-%c %08lx 00:00 0", area->start, area->end,
	       area->flags & AREA_READ ? 'r' : '-', area->flags & AREA_WRITE ? 'w' : '-',
	       area->flags & AREA_SHARED ? 's' : 'p', area->ops ? area->index << PAGE_SHIFT : 0);
	/* Names begin in column 73. */
	sink_printf(out, "%-*s %s%s", area->ops ? 72 : 0, place, area_name(area, name), end);
}

int maps_show(struct sink *out, void *context)
{
	struct mm *mm = context;
	struct area *area;

	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node)
		area_show_line(out, area, "\n");
	mutex_unlock(&mm->lock);
	return 0;
}

static const struct {
	const char *name;
	struct vfile_ops ops;
} files[] = {
	{"status", {.show = status_show}},   {"maps", {.show = maps_show}},
	{"smaps", {.show = smaps_show}},     {"numa_maps", {.show = numa_maps_show}},
	{"pagemap", {.show = pagemap_show}}, {"clear_refs", {.store = clear_refs_store}},
};

void proc_add(uint32_t thread_id, struct mm *mm)
{
	char path[48];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		format(path, sizeof(path), "/proc/%u/%s", thread_id, files[i].name);
		if (vfile_add(path, &files[i].ops, mm)) {
			pr_warn("proc: no memory for %s", path);
			return;
		}
	}
}

void proc_remove(uint32_t thread_id)
{
	char path[32];

	format(path, sizeof(path), "/proc/%u", thread_id);
	(void)vfile_remove(path);
}
