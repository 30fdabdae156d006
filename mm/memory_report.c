/*
 * Who holds what: the report when memory is out. Error lines, each of which makes sense alone: pages by owner, the LRU
 * lists, each zone with its marks and its free blocks by order and type, the slab caches, the threads.
 *
 * It may be the last that a run says, so nothing here allocates or waits for anybody who does.
 */
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/slab.h"

#define MOST_CACHES 48u

static void show_owners(void)
{
	struct memory_info info;

	memory_info_get(&info);
	pr_err("memory: %lu of %lu pages are free; who holds the rest:", info.free, info.total);
	for (unsigned int owner = 1; owner < NR_PAGE_OWNERS; owner++)
		if (info.by_owner[owner])
			pr_err("memory: %12s %lu pages", page_owner_name(owner), info.by_owner[owner]);
}

static void show_lists(void)
{
	struct page_cache_info cache;

	page_cache_info_get(&cache);
	for (enum lru_list list = 0; list < NR_LRU_LISTS; list++)
		if (lru_pages(list))
			pr_err("memory: list %s: %lu pages", lru_list_name(list), lru_pages(list));
	pr_err("memory: %lu files, %lu dirty pages, %lu pages of slabs that can be reclaimed", cache.files,
	       cache.dirty_pages, slab_reclaimable_pages());
}

/* "12*4kB (UM) 3*8kB (M)": Linux's words, U unmovable, M movable, E reclaimable, H atomic reserve, C CMA, I isolated.
 */
static void show_zone(const struct zone *zone)
{
	static const char letters[MIGRATE_TYPES + 1] = "UMEHCI";
	char line[256];
	struct text text;

	pr_err("memory: node %d zone %s: free %lu, min %lu, low %lu, high %lu, boost %lu", zone->node, zone->name,
	       zone_free_pages(zone), READ_ONCE(zone->watermark[WATERMARK_MIN]),
	       READ_ONCE(zone->watermark[WATERMARK_LOW]), READ_ONCE(zone->watermark[WATERMARK_HIGH]),
	       READ_ONCE(zone->watermark_boost));
	text_init(&text, line, sizeof(line));
	for (unsigned int order = 0; order < NR_ORDERS; order++) {
		char types[MIGRATE_TYPES + 1];
		size_t count = 0;
		uint64_t blocks = 0;

		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++) {
			uint32_t there = READ_ONCE(zone->free_blocks[order][mt]);

			blocks += there;
			if (there)
				types[count++] = letters[mt];
		}
		types[count] = '\0';
		if (blocks)
			sink_printf(&text.sink, " %lu*%lukB (%s)", blocks, (PAGE_SIZE << order) / 1024, types);
	}
	pr_err("memory: node %d zone %s:%s", zone->node, zone->name, line[0] ? line : " no free block");
}

static void show_caches(void)
{
	struct slab_info infos[MOST_CACHES];
	size_t count = slab_info_get(infos, ARRAY_SIZE(infos));

	for (size_t at = 0; at < count; at++)
		if (infos[at].slabs)
			pr_err("memory: cache %s: %lu pages, %lu objects of %u bytes%s", infos[at].name,
			       infos[at].slabs * infos[at].pages_per_slab, infos[at].objects, infos[at].object_bytes,
			       infos[at].reclaimable ? ", reclaimable" : "");
}

/* Text that becomes log lines. */
struct log_lines {
	struct sink sink;
	size_t length;
	char line[160];
};

static void write_lines(struct sink *sink, const char *text, size_t length)
{
	struct log_lines *lines = container_of(sink, struct log_lines, sink);

	for (size_t at = 0; at < length; at++) {
		if (text[at] == '\n' || lines->length == sizeof(lines->line) - 1) {
			lines->line[lines->length] = '\0';
			pr_err("memory: thread %s", lines->line);
			lines->length = 0;
		}
		if (text[at] != '\n')
			lines->line[lines->length++] = text[at];
	}
}

void memory_show_report(void)
{
	struct log_lines lines = {.sink.write = write_lines};

	show_owners();
	show_lists();
	for_each_zone(zone) show_zone(zone);
	show_caches();
	thread_show_all(&lines.sink);
}
