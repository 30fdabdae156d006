/*
 * How fragmented a zone is, in figures; and the files of compaction.
 *
 * fragmentation_index() says why a request fails: near 0 too little is free, near 1000 there is enough, in too many
 * pieces. unusable_free_index() says how much of what is free is in pieces too small for an order. The score is the
 * same for whole pageblocks in percent.
 */
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "mm/compaction_internal.h"

static const char *const scan_names[] = {"linear", "fullest", NULL};
static void proactiveness_changed(struct vfile_int *setting);

struct compaction_settings compaction_settings = {
	.extfrag_threshold = {.value = 500, .min = 0, .max = 1000},
	.proactiveness = {.value = 20, .min = 0, .max = 100, .changed = proactiveness_changed},
	.scan = {.names = scan_names, .chosen = 1},
};

/* ---- figures ------------------------------------------------------------------------------------------------------
 */

struct free_figures {
	uint64_t pages, blocks;
	uint64_t suitable; /* blocks of the order that could be had at once */
};

static struct free_figures count_free(const struct zone *zone, unsigned int order)
{
	struct free_figures free = {0};

	for (unsigned int have = 0; have < NR_ORDERS; have++)
		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++) {
			uint64_t blocks = READ_ONCE(zone->free_blocks[have][mt]);

			free.blocks += blocks;
			free.pages += blocks << have;
			free.suitable += have < order ? 0 : blocks << (have - order);
		}
	return free;
}

int fragmentation_index(const struct zone *zone, unsigned int order)
{
	struct free_figures free = count_free(zone, order);

	if (!free.blocks)
		return 0;
	if (free.suitable)
		return -1000;
	return 1000 - (int)((1000 + (free.pages * 1000 >> order)) / free.blocks);
}

/* Free pages in pieces smaller than @order, of @scale. */
static uint64_t unusable(const struct zone *zone, unsigned int order, uint64_t scale)
{
	struct free_figures free = count_free(zone, order);

	return free.pages ? (free.pages - (free.suitable << order)) * scale / free.pages : 0;
}

int unusable_free_index(const struct zone *zone, unsigned int order)
{
	return zone_free_pages(zone) ? (int)unusable(zone, order, 1000) : 1000;
}

uint64_t compaction_score(const struct zone *zone)
{
	return unusable(zone, PAGEBLOCK_ORDER, 100);
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static int show_indices(struct sink *out, int (*index_of)(const struct zone *zone, unsigned int order))
{
	for_each_zone(zone)
	{
		sink_printf(out, "Node %d, zone %8s ", zone->node, zone->name);
		for (unsigned int order = 0; order < NR_ORDERS; order++) {
			int index = index_of(zone, order);

			sink_printf(out, "%d.%03d ", index / 1000, (index < 0 ? -index : index) % 1000);
		}
		sink_printf(out, "\n");
	}
	return 0;
}

static int extfrag_index_show(struct sink *out, void *context UNUSED)
{
	return show_indices(out, fragmentation_index);
}

static int unusable_index_show(struct sink *out, void *context UNUSED)
{
	return show_indices(out, unusable_free_index);
}

static int compact_memory_store(void *context UNUSED, char *text, size_t length UNUSED)
{
	uint64_t value;

	if (parse_u64(text, &value) || value != 1) {
		pr_err("compact_memory: \"%s\" is not 1: nothing compacted", text);
		return -EINVAL;
	}
	for_each_zone(zone) compaction_whole_zone(zone);
	return 0;
}

static void proactiveness_changed(struct vfile_int *setting UNUSED)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		kcompactd_look(&memory.nodes[node]);
}

static const struct {
	const char *path;
	struct vfile_ops ops;
} files[] = {
	{"/sys/kernel/debug/extfrag/extfrag_index", {.show = extfrag_index_show}},
	{"/sys/kernel/debug/extfrag/unusable_index", {.show = unusable_index_show}},
	{"/proc/sys/vm/compact_memory", {.store = compact_memory_store}},
};

int compaction_files_init(void)
{
	int error = vfile_add_int("/proc/sys/vm/extfrag_threshold", &compaction_settings.extfrag_threshold);

	if (!error)
		error = vfile_add_int("/proc/sys/vm/compaction_proactiveness", &compaction_settings.proactiveness);
	if (!error)
		error = vfile_add_choice("/proc/sys/vm/compact_scan", &compaction_settings.scan);
	for (size_t at = 0; at < ARRAY_SIZE(files) && !error; at++)
		error = vfile_add(files[at].path, &files[at].ops, NULL);
	return error;
}

int compaction_init(void)
{
	int error = compaction_files_init();

	for (uint32_t node = 0; node < memory.nr_nodes && !error; node++)
		error = kcompactd_start(&memory.nodes[node]);
	return error;
}
