/*
 * What a user sees of hinting and may set. The settings are files twice: where Linux users look for such things, and as
 * module parameters, so that the command line can set them (page_hinting.tracker=bitmap).
 *
 * stats, a name and a number a line: `marked` is now, all others since boot. Hits are blocks_free out of all blocks
 * looked at; the rest was in use again, or broken up, when its turn came.
 */
#include "mm/hinting_internal.h"

#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#define FOLDER	   "/sys/kernel/mm/page_hinting/"
#define PARAMETERS "/sys/module/page_hinting/parameters/"

/* A new tracker is one file, and its name here twice. */
static const struct hinting_tracker *const trackers[] = {NULL, &hinting_tracker_bitmap, &hinting_tracker_freelist};
static const char *const names[] = {"none", "bitmap", "freelist", NULL};
_Static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(trackers) + 1, "every tracker has a name");

static int choose_tracker(struct vfile_choice *choice, uint32_t which);
static void min_order_changed(struct vfile_int *setting);
static void delay_changed(struct vfile_int *setting);

static struct vfile_choice tracker = {.names = names, .choose = choose_tracker};
static struct vfile_int min_order = {
	.value = PAGE_HINTING_MIN_ORDER, .min = 0, .max = MAX_ORDER, .changed = min_order_changed};
static struct vfile_int delay_ms = {.value = 200, .min = 1, .max = 60000, .changed = delay_changed};

static int configure(uint32_t which)
{
	int error = hinting_configure(&page_hinting, trackers[which], (unsigned int)load_relaxed(&min_order.value));

	if (error)
		pr_err("page_hinting: %s: no memory for %s's books: there is no hinting now", error_name(error),
		       names[which]);
	return error;
}

static int choose_tracker(struct vfile_choice *choice, uint32_t which)
{
	int error = configure(which);

	if (error)
		store_relaxed(&choice->chosen, 0);
	return error;
}

static void min_order_changed(struct vfile_int *setting UNUSED)
{
	if (configure(load_relaxed(&tracker.chosen)))
		store_relaxed(&tracker.chosen, 0);
}

static void delay_changed(struct vfile_int *setting)
{
	store_relaxed(&page_hinting.delay_ns, (uint64_t)setting->value * NS_PER_MS);
}

/* ---- stats --------------------------------------------------------------------------------------------------------
 */

static void show_books(struct sink *out)
{
	uint64_t marked = 0, marks_ever = 0, bytes = 0;

	for (unsigned int at = 0; at < page_hinting.nr_zones; at++) {
		struct tracked_zone *tracked = &page_hinting.zones[at];

		spin_lock(&tracked->zone->lock);
		marked += tracked->marked;
		marks_ever += tracked->marks_ever;
		if (tracked->zone->tracked)
			bytes += tracked->tracker->bytes(tracked->zone, tracked->min_order);
		spin_unlock(&tracked->zone->lock);
	}
	sink_printf(out, "marked %lu\nmarks %lu\nbooks_bytes %lu\n", marked, marks_ever, bytes);
}

static int stats_show(struct sink *out, void *context UNUSED)
{
	const struct hinting_counters *counters = &page_hinting.counters;
	const struct {
		const char *name;
		const uint64_t *value;
	} lines[] = {
		{"blocks_free", &counters->found_free},
		{"blocks_taken", &counters->found_taken},
		{"blocks_too_small", &counters->found_small},
		{"blocks_reported", &counters->reported_blocks},
		{"bytes_reported", &counters->reported_bytes},
		{"batches", &counters->batches},
		{"passes", &counters->passes},
		{"passes_cut", &counters->passes_cut},
		{"under_pressure", &counters->under_pressure},
		{"prepare_failures", &counters->prepare_failures},
		{"hint_failures", &counters->hint_failures},
		{"away_ns", &counters->away_ns},
		{"away_pages", &page_hinting.away_pages},
		{"lost_pages", &counters->lost_pages},
	};

	sink_printf(out, "backend %u\n", load_relaxed(&page_hinting.cb) != NULL);
	show_books(out);
	for (size_t at = 0; at < ARRAY_SIZE(lines); at++)
		sink_printf(out, "%s %lu\n", lines[at].name, load_relaxed(lines[at].value));
	return 0;
}

int page_hinting_files_init(void)
{
	static const struct vfile_ops stats = {.show = stats_show};
	int error = vfile_add(FOLDER "stats", &stats, NULL);

	if (!error)
		error = vfile_add_choice(FOLDER "tracker", &tracker);
	if (!error)
		error = vfile_add_choice(PARAMETERS "tracker", &tracker);
	if (!error)
		error = vfile_add_int(FOLDER "min_order", &min_order);
	if (!error)
		error = vfile_add_int(PARAMETERS "min_order", &min_order);
	if (!error)
		error = vfile_add_int(FOLDER "delay_ms", &delay_ms);
	return error ? error : vfile_add_int(PARAMETERS "delay_ms", &delay_ms);
}
