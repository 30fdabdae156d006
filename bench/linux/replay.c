/*
 * The Linux side of `ballonet replay` and `ballonet bench --only alloc`: a module that asks Linux's page allocator for
 * what a recording says, or for pages in simple loops, and leaves what it found in its parameter "result".
 *
 *   insmod replay.ko file=PATH whole=N    replays; everything stays held until the module is removed
 *   insmod replay.ko pages=N              what a page costs
 *
 * It does what workloads/alloc_replay.c and workloads/alloc_cost.c do, step by step, so that the two can be compared;
 * the file's format is described in docs/workloads.md. Only one node.
 */
#include <linux/kernel_read_file.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#define HEADER_BYTES 256u
#define FILE_BYTES   (256u << 20)
#define KIND_ALLOC   1
#define KIND_FREE    2
#define ROUNDS	     20

struct header {
	char magic[8];
	u32 version, header_bytes;
	u64 events, pages;
} __packed;

struct event {
	u32 page;
	u16 thread;
	u8 kind : 4, order : 4;
	u8 flags;
} __packed;

static char *file = "";
static unsigned long whole, pages;
static char result_text[512];
static char *result = result_text;
module_param(file, charp, 0444);
module_param(whole, ulong, 0444);
module_param(pages, ulong, 0444);
module_param(result, charp, 0444);

struct held {
	struct page *page;
	unsigned int order;
};

static struct held *table;
static void *recording; /* kept, too: what is freed before the end is looked at would count as free */
static u64 nr_pages;
static LIST_HEAD(ballast);

/* ---- fallbacks, from Linux's own trace point ---- */

static struct tracepoint *extfrag_point;
static unsigned long extfrag;

static void on_extfrag(void *data, struct page *page, int alloc_order, int fallback_order, int alloc_migratetype,
		       int fallback_migratetype)
{
	if (fallback_order < (int)pageblock_order)
		extfrag++; /* under the zone's lock */
}

static void find_extfrag(struct tracepoint *point, void *data)
{
	if (strcmp(point->name, "mm_page_alloc_extfrag") == 0)
		extfrag_point = point;
}

/* ---- the memory to begin with ---- */

static void (*drain_all)(struct zone *zone);

/* What CPUs keep is free, too; only probes may ask where the function is that gives it back. */
static int find_drain(void)
{
	struct kprobe probe = {.symbol_name = "drain_all_pages"};
	int error = register_kprobe(&probe);

	if (error)
		return error;
	drain_all = (void *)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

static bool take(struct list_head *list, unsigned int order, gfp_t gfp)
{
	struct page *page = alloc_pages(gfp | __GFP_MOVABLE | __GFP_NOWARN | __GFP_NORETRY, order);

	if (!page)
		return false;
	set_page_private(page, order);
	list_add(&page->lru, list);
	return true;
}

static void give_all(struct list_head *list)
{
	while (!list_empty(list)) {
		struct page *page = list_first_entry(list, struct page, lru);

		list_del(&page->lru);
		__free_pages(page, page_private(page));
	}
}

/*
 * All there is above the watermarks, with what is only found when CPUs have given back what they keep, and when Linux
 * has given back what it can do without: it would do so later, for requests that may reclaim.
 */
static void take_rest(void)
{
	bool more;

	do {
		more = false;
		drain_all(NULL);
		for (int order = MAX_ORDER - 1; order >= 0; order--)
			for (; take(&ballast, order, __GFP_DIRECT_RECLAIM); more = true)
				cond_resched();
	} while (more);
}

static int leave_whole(void)
{
	LIST_HEAD(blocks);
	unsigned long got = 0;

	while (got < whole && take(&blocks, pageblock_order, 0))
		got++;
	if (got == whole)
		take_rest();
	give_all(&blocks);
	if (got == whole)
		return 0;
	pr_err("replay: wants %lu whole pageblocks, %lu are free\n", whole, got);
	return -ENOMEM;
}

static void look(unsigned long *whole_free, unsigned long *free)
{
	drain_all(NULL);
	*whole_free = 0;
	for (int type = 0; type < MAX_NR_ZONES; type++)
		for (unsigned int order = pageblock_order; order < MAX_ORDER; order++)
			*whole_free += NODE_DATA(0)->node_zones[type].free_area[order].nr_free
				       << (order - pageblock_order);
	*free = global_zone_page_state(NR_FREE_PAGES);
}

/* ---- replaying ---- */

static gfp_t gfp_of(u8 flags)
{
	return __GFP_NOWARN | __GFP_NORETRY | (flags & 1 ? __GFP_MOVABLE : 0) | (flags & 2 ? __GFP_RECLAIMABLE : 0) |
	       (flags & 4 ? __GFP_DIRECT_RECLAIM : 0) | (flags & 8 ? __GFP_KSWAPD_RECLAIM : 0) |
	       (flags & 16 ? __GFP_HIGH : 0);
}

/* Nothing is believed that would be used as an index. */
static int replay(const struct event *events, u64 count, unsigned long *allocations, unsigned long *failed)
{
	for (u64 at = 0; at < count; at++) {
		const struct event *event = &events[at];
		struct held *held;

		if (event->page >= nr_pages || event->order >= MAX_ORDER)
			return -EINVAL;
		held = &table[event->page];
		if (event->kind == KIND_ALLOC && !held->page) {
			held->page = alloc_pages(gfp_of(event->flags), event->order);
			held->order = event->order;
			++*allocations;
			*failed += !held->page;
		} else if (event->kind == KIND_FREE && held->page) {
			__free_pages(held->page, held->order);
			held->page = NULL;
		} else if (event->kind != KIND_FREE) {
			return -EINVAL;
		}
		if (at % 65536 == 0)
			cond_resched();
	}
	return 0;
}

static int replay_file(void *bytes, size_t size)
{
	const struct header *header = bytes;
	unsigned long whole_begin, whole_end, free_begin, free_end, allocations = 0, failed = 0, held = 0;
	u64 begin;
	int error;

	if (size < HEADER_BYTES || memcmp(header->magic, "BLNALLOC", 8) || header->version != 1 ||
	    header->header_bytes != HEADER_BYTES || header->events > (size - HEADER_BYTES) / sizeof(struct event) ||
	    header->pages > FILE_BYTES / sizeof(u64)) {
		pr_err("replay: %s is no sound recording\n", file);
		return -EINVAL;
	}
	nr_pages = header->pages;
	table = vzalloc(nr_pages * sizeof(*table));
	error = !table ? -ENOMEM : find_drain();
	if (!error && whole)
		error = leave_whole();
	if (!error && (!extfrag_point || tracepoint_probe_register(extfrag_point, on_extfrag, NULL)))
		error = -ENOENT;
	if (error)
		return error;
	look(&whole_begin, &free_begin);
	begin = ktime_get_ns();
	error = replay(bytes + HEADER_BYTES, header->events, &allocations, &failed);
	begin = ktime_get_ns() - begin;
	tracepoint_probe_unregister(extfrag_point, on_extfrag, NULL);
	tracepoint_synchronize_unregister();
	look(&whole_end, &free_end);
	for (u64 at = 0; at < nr_pages; at++)
		if (table[at].page)
			held += 1ul << table[at].order;
	snprintf(result_text, sizeof(result_text),
		 "{\"workload\": \"replay\", \"policy\": \"linux\", \"events\": %llu, \"allocations\": %lu, "
		 "\"failed\": %lu, \"extfrag\": %lu, \"whole_begin\": %lu, \"whole_end\": %lu, \"free_begin\": %lu, "
		 "\"free_end\": %lu, \"gained\": %ld, \"each_ns\": %llu}",
		 header->events, allocations, failed, extfrag, whole_begin, whole_end, free_begin, free_end,
		 (long)(free_end + held - free_begin), begin / max(header->events - failed, 1ull));
	return error;
}

static void give_back(void)
{
	for (u64 at = 0; table && at < nr_pages; at++)
		if (table[at].page)
			__free_pages(table[at].page, table[at].order);
	give_all(&ballast);
	vfree(table);
	vfree(recording);
}

/* ---- what a page costs ---- */

static u64 best(u64 sofar, u64 begin, unsigned long operations)
{
	u64 each = (ktime_get_ns() - begin) / operations;

	return sofar ? min(sofar, each) : each;
}

static u64 pair_cost(gfp_t gfp, unsigned int order, unsigned long operations)
{
	u64 cost = 0;

	for (int round = 0; round < ROUNDS; round++) {
		u64 begin = ktime_get_ns();

		for (unsigned long at = 0; at < operations; at++) {
			struct page *page = alloc_pages(gfp, order);

			if (!page)
				return 0;
			__free_pages(page, order);
		}
		cost = best(cost, begin, operations);
		cond_resched();
	}
	return cost;
}

static int measure(void)
{
	struct page **list = vmalloc(pages * sizeof(*list));
	gfp_t gfp = __GFP_MOVABLE | __GFP_NOWARN;
	u64 get = 0, put = 0, begin;

	if (!list)
		return -ENOMEM;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long got = 0;

		begin = ktime_get_ns();
		while (got < pages && (list[got] = alloc_pages(gfp, 0)))
			got++;
		get = best(get, begin, max(got, 1ul));
		begin = ktime_get_ns();
		for (unsigned long at = 0; at < got; at++)
			__free_pages(list[at], 0);
		put = best(put, begin, max(got, 1ul));
		cond_resched();
		if (got < pages) {
			vfree(list);
			return -ENOMEM;
		}
	}
	vfree(list);
	snprintf(result_text, sizeof(result_text),
		 "{\"workload\": \"alloc_cost\", \"get_ns\": %llu, \"put_ns\": %llu, \"pair_ns\": %llu, "
		 "\"huge_pair_ns\": %llu}",
		 get, put, pair_cost(gfp, 0, pages), pair_cost(gfp, pageblock_order, pages / 16));
	return 0;
}

static int __init replay_init(void)
{
	ssize_t size;
	int error;

	if (pages)
		return measure();
	for_each_kernel_tracepoint(find_extfrag, NULL);
	size = kernel_read_file_from_path(file, 0, &recording, FILE_BYTES, NULL, READING_UNKNOWN);
	if (size < 0)
		return size;
	error = replay_file(recording, size);
	if (error)
		give_back();
	return error;
}

static void __exit replay_exit(void)
{
	give_back();
}

module_init(replay_init);
module_exit(replay_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Replays recorded page allocations");
