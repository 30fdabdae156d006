/*
 * Zones: set-up by pageblocks, and verification.
 *
 * At boot a range of memory is first said to be present and then, in part, given to the allocator. A pageblock that
 * is present or free as a whole costs one line of its structure. Only the few that are partly something else get
 * their tags and page structures prepared at once, to say page by page what is what.
 */
#include "mm/zone.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/pcp.h"

/* ---- the arrays ---------------------------------------------------------------------------------------------------
 */

struct zone_arrays {
	uint32_t nr_pageblocks;
	struct block_set_shape shape;
	size_t pageblocks, pcps, sets, tags; /* bytes */
};

static struct zone_arrays arrays_for(const struct zone_config *config)
{
	struct zone_arrays arrays;

	arrays.nr_pageblocks = (uint32_t)DIV_ROUND_UP(config->end_pfn - config->start_pfn, PAGEBLOCK_PAGES);
	block_set_shape_init(&arrays.shape, arrays.nr_pageblocks);
	arrays.pageblocks = arrays.nr_pageblocks * sizeof(struct pageblock);
	arrays.pcps = ALIGN_UP(config->nr_cpus * sizeof(struct pcp), CACHE_LINE_BYTES);
	arrays.sets =
		ALIGN_UP((size_t)NR_ORDERS * MIGRATE_TYPES * arrays.shape.words * sizeof(uint64_t), CACHE_LINE_BYTES);
	arrays.tags = (size_t)arrays.nr_pageblocks * PAGEBLOCK_PAGES;
	return arrays;
}

size_t zone_metadata_bytes(const struct zone_config *config)
{
	struct zone_arrays arrays = arrays_for(config);

	return arrays.pageblocks + arrays.pcps + arrays.sets + arrays.tags;
}

void zone_init(struct zone *zone, const struct zone_config *config, void *metadata)
{
	struct zone_arrays arrays = arrays_for(config);
	char *at = metadata;

	ASSERT(IS_ALIGNED(config->start_pfn, 1u << MAX_ORDER) && config->end_pfn > config->start_pfn);
	ASSERT(IS_ALIGNED((uintptr_t)metadata, 128u));
	*zone = (struct zone){
		.name = config->name,
		.node = config->node,
		.type = config->type,
		.nr_cpus = config->nr_cpus,
		.start_pfn = config->start_pfn,
		.spanned_pages = config->end_pfn - config->start_pfn,
		.nr_pageblocks = arrays.nr_pageblocks,
		.pages = config->pages,
		.shape = arrays.shape,
		.hinting_order = NR_ORDERS,
		.pageblocks = (struct pageblock *)at,
		.pcps = (struct pcp *)(at + arrays.pageblocks),
		.sets = (uint64_t *)(at + arrays.pageblocks + arrays.pcps),
		.tags = (uint8_t *)at + arrays.pageblocks + arrays.pcps + arrays.sets,
	};
	spin_lock_init(&zone->lock, "zone");
	memset(zone->pageblocks, 0, arrays.pageblocks);
	memset(zone->sets, 0, arrays.sets);
	pcp_init(zone);
}

void zone_prepare_pageblock(struct zone *zone, uint32_t number)
{
	uint32_t index = number * PAGEBLOCK_PAGES;
	size_t pages = MIN((uint64_t)PAGEBLOCK_PAGES, zone->spanned_pages - index);

	if (!(zone->pageblocks[number].flags & PAGEBLOCK_TAGGED)) {
		store_relaxed(&zone->tags[index], TAG_NONE); /* the one that may be looked at already */
		memset(zone->tags + index + 1, TAG_NONE, PAGEBLOCK_PAGES - 1);
	}
	memset(zone->pages + index, 0, pages * sizeof(struct page));
	/* zone_tag() reads them without the lock. */
	store_release(&zone->pageblocks[number].flags,
		      (uint8_t)(zone->pageblocks[number].flags | PAGEBLOCK_TAGGED | PAGEBLOCK_READY));
}

/* ---- what is there ------------------------------------------------------------------------------------------------
 */

/* Prepares a pageblock of which not all pages are of one kind; @tag is what they were so far. */
static void prepare_mixed(struct zone *zone, uint32_t number, uint8_t tag)
{
	struct pageblock *pageblock = &zone->pageblocks[number];
	size_t pages = MIN((uint64_t)PAGEBLOCK_PAGES, zone->spanned_pages - (uint64_t)number * PAGEBLOCK_PAGES);

	if (pageblock->flags & PAGEBLOCK_TAGGED)
		return;
	memset(zone->tags + number * PAGEBLOCK_PAGES, TAG_ABSENT, PAGEBLOCK_PAGES);
	memset(zone->tags + number * PAGEBLOCK_PAGES, tag, pages);
	pageblock->flags &= ~PAGEBLOCK_RESERVED;
	pageblock->flags |= PAGEBLOCK_TAGGED | PAGEBLOCK_MAPPED;
}

struct range_parts {
	void (*whole)(struct zone *zone, uint32_t first_number, uint32_t end_number); /* pageblocks */
	void (*part)(struct zone *zone, uint32_t first, uint32_t end);		      /* pages of one pageblock */
};

/* The pageblocks that the range covers as a whole go together, what is before and behind by itself. */
static void for_range(struct zone *zone, uint64_t first_pfn, uint64_t end_pfn, const struct range_parts *parts)
{
	uint32_t first = (uint32_t)(first_pfn - zone->start_pfn), end = (uint32_t)(end_pfn - zone->start_pfn);
	uint32_t whole = DIV_ROUND_UP(first, PAGEBLOCK_PAGES), whole_end = end / PAGEBLOCK_PAGES;

	ASSERT(first_pfn >= zone->start_pfn && end <= zone->spanned_pages, "outside zone %s", zone->name);
	if (whole > whole_end) {
		parts->part(zone, first, end);
		return;
	}
	if (first < whole * PAGEBLOCK_PAGES)
		parts->part(zone, first, whole * PAGEBLOCK_PAGES);
	if (whole < whole_end)
		parts->whole(zone, whole, whole_end);
	if (whole_end * PAGEBLOCK_PAGES < end)
		parts->part(zone, whole_end * PAGEBLOCK_PAGES, end);
}

static void present_whole(struct zone *zone, uint32_t first_number, uint32_t end_number)
{
	for (uint32_t number = first_number; number < end_number; number++) {
		zone->pageblocks[number].migratetype = MIGRATE_MOVABLE;
		zone->pageblocks[number].flags = PAGEBLOCK_PRESENT | PAGEBLOCK_RESERVED;
	}
	zone->present_pages += (uint64_t)(end_number - first_number) * PAGEBLOCK_PAGES;
}

static void present_part(struct zone *zone, uint32_t first, uint32_t end)
{
	struct pageblock *pageblock = &zone->pageblocks[first / PAGEBLOCK_PAGES];

	prepare_mixed(zone, first / PAGEBLOCK_PAGES, TAG_ABSENT);
	pageblock->migratetype = MIGRATE_MOVABLE;
	pageblock->flags |= PAGEBLOCK_PRESENT;
	memset(zone->tags + first, TAG(PAGE_OWNER_RESERVED, 0), end - first);
	zone->present_pages += end - first;
}

void zone_add_present(struct zone *zone, uint64_t first_pfn, uint64_t end_pfn)
{
	static const struct range_parts parts = {.whole = present_whole, .part = present_part};

	for_range(zone, first_pfn, end_pfn, &parts);
}

static void free_part(struct zone *zone, uint32_t first, uint32_t end)
{
	ASSERT(zone->pageblocks[first / PAGEBLOCK_PAGES].flags & PAGEBLOCK_PRESENT, "pfn 0x%lx is no memory",
	       zone->start_pfn + first);
	prepare_mixed(zone, first / PAGEBLOCK_PAGES, TAG(PAGE_OWNER_RESERVED, 0));
	memset(zone->tags + first, TAG_NONE, end - first);
	zone->managed_pages += end - first;
	while (first < end) {
		unsigned int order = PAGEBLOCK_ORDER - 1;

		while (!IS_ALIGNED(first, 1u << order) || first + (1u << order) > end)
			order--;
		buddy_free_locked(zone, first, order);
		first += 1u << order;
	}
}

static void free_untouched(struct zone *zone, uint32_t first_number, uint32_t end_number)
{
	for (uint32_t number = first_number; number < end_number; number++)
		zone->pageblocks[number].flags = PAGEBLOCK_PRESENT;
	zone->managed_pages += (uint64_t)(end_number - first_number) * PAGEBLOCK_PAGES;
	buddy_add_whole_locked(zone, first_number, end_number);
}

/* Those that became present in two pieces have their tags and bits in use already. */
static void free_whole(struct zone *zone, uint32_t first_number, uint32_t end_number)
{
	uint32_t number = first_number;

	for (; number < end_number; number++) {
		if (!(zone->pageblocks[number].flags & PAGEBLOCK_TAGGED))
			continue;
		free_untouched(zone, first_number, number);
		free_part(zone, number * PAGEBLOCK_PAGES, (number + 1) * PAGEBLOCK_PAGES);
		first_number = number + 1;
	}
	free_untouched(zone, first_number, number);
}

void zone_add_free(struct zone *zone, uint64_t first_pfn, uint64_t end_pfn)
{
	static const struct range_parts parts = {.whole = free_whole, .part = free_part};

	spin_lock(&zone->lock);
	for_range(zone, first_pfn, end_pfn, &parts);
	spin_unlock(&zone->lock);
	pcp_set_limits(zone);
}

uint8_t zone_tag(const struct zone *zone, uint32_t index)
{
	const struct pageblock *pageblock = &zone->pageblocks[index / PAGEBLOCK_PAGES];
	unsigned int flags = load_acquire(&pageblock->flags);

	if (!(flags & PAGEBLOCK_PRESENT))
		return TAG_ABSENT;
	if (flags & PAGEBLOCK_RESERVED)
		return TAG(PAGE_OWNER_RESERVED, 0);
	if (load_acquire(&pageblock->whole_order))
		return TAG_NONE;
	if (!(flags & PAGEBLOCK_TAGGED) && index % PAGEBLOCK_PAGES)
		return TAG_NONE;
	return load_relaxed(&zone->tags[index]);
}

uint64_t zone_free_of_type(const struct zone *zone, enum migratetype mt)
{
	uint64_t pages = 0;

	for (unsigned int order = 0; order < NR_ORDERS; order++)
		pages += (uint64_t)READ_ONCE(zone->free_blocks[order][mt]) << order;
	return pages;
}

uint64_t zone_free_out_of_place(const struct zone *zone)
{
	uint64_t pages = 0;

	for (unsigned int order = 0; order < PAGEBLOCK_ORDER; order++)
		pages += (uint64_t)(READ_ONCE(zone->free_blocks[order][MIGRATE_UNMOVABLE]) +
				    READ_ONCE(zone->free_blocks[order][MIGRATE_RECLAIMABLE]))
			 << order;
	return pages;
}

uint64_t zone_whole_pages(const struct zone *zone)
{
	uint64_t pages = 0;

	for (unsigned int order = PAGEBLOCK_ORDER; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_PCPTYPES; mt++)
			pages += (uint64_t)READ_ONCE(zone->free_blocks[order][mt]) << order;
	return pages;
}

/* ---- verification -------------------------------------------------------------------------------------------------
 */

struct zone_count {
	uint64_t free, pcp, reserved, absent;
	int64_t owned[NR_PAGE_OWNERS];
	bool faulty;
};

#define FAULT(count, zone, fmt, ...)                                              \
	do {                                                                      \
		(count)->faulty = true;                                           \
		pr_err("zone_check: zone %s: " fmt, (zone)->name, ##__VA_ARGS__); \
	} while (0)

static bool index_is_free(const struct zone *zone, uint32_t index)
{
	const struct pageblock *pageblock = &zone->pageblocks[index / PAGEBLOCK_PAGES];

	if (pageblock->whole_order)
		return true;
	return (pageblock->flags & PAGEBLOCK_MAPPED) && pageblock_run_is_free(pageblock, index % PAGEBLOCK_PAGES, 0);
}

/* Pages on magazines are counted by number; that none is there twice follows from the sum. */
static uint32_t count_block(const struct zone *zone, uint32_t index, struct zone_count *count)
{
	uint8_t tag = zone_tag(zone, index);
	bool free = index_is_free(zone, index);

	if (free && tag != TAG_NONE)
		FAULT(count, zone, "index 0x%x is free and has the tag 0x%02x", index, tag);
	if (free) {
		count->free++;
	} else if (tag == TAG_PCP) {
		count->pcp++;
	} else if (tag == TAG_ABSENT) {
		count->absent++;
	} else if (TAG_OWNER(tag) == PAGE_OWNER_RESERVED) {
		count->reserved++;
	} else if (TAG_OWNER(tag) != PAGE_OWNER_NONE && TAG_OWNER(tag) < NR_PAGE_OWNERS) {
		count->owned[TAG_OWNER(tag)] += 1 << TAG_ORDER(tag);
		return 1u << TAG_ORDER(tag);
	} else {
		FAULT(count, zone, "index 0x%x is not free and nobody's", index);
	}
	return 1;
}

/* A block on a magazine has its tag on its first page only. */
static uint32_t pcp_tail_pages(const struct zone *zone, uint32_t index)
{
	uint32_t tail = 0;

	while ((index + tail + 1) % PAGEBLOCK_PAGES && !index_is_free(zone, index + tail + 1) &&
	       zone_tag(zone, index + tail + 1) == TAG_NONE)
		tail++;
	return tail;
}

static void check_owners(const struct zone *zone, struct zone_count *count)
{
	for (unsigned int owner = 1; owner < NR_PAGE_OWNERS; owner++) {
		int64_t owned = 0;

		for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
			owned += zone->pcps[cpu].owned_pages[owner];
		if (owner == PAGE_OWNER_HINTED)
			owned += (int64_t)zone->hinted_pages;
		if (owner != PAGE_OWNER_RESERVED && owned != count->owned[owner])
			FAULT(count, zone, "owner %u holds %ld pages by tags, %ld by the counters", owner,
			      count->owned[owner], owned);
	}
}

static void check_sums(const struct zone *zone, struct zone_count *count)
{
	if (count->free != zone->free_pages)
		FAULT(count, zone, "%lu pages free, the counter says %lu", count->free, zone->free_pages);
	if (count->pcp != pcp_pages(zone))
		FAULT(count, zone, "%lu pages tagged per-CPU, magazines hold %lu", count->pcp, pcp_pages(zone));
	if (count->reserved != zone->present_pages - zone->managed_pages)
		FAULT(count, zone, "%lu pages reserved, but %lu present and %lu managed", count->reserved,
		      zone->present_pages, zone->managed_pages);
}

int zone_check(struct zone *zone)
{
	struct zone_count count = {0};

	for (uint32_t index = 0; index < zone->spanned_pages;) {
		uint32_t pages = count_block(zone, index, &count);

		if (zone_tag(zone, index) == TAG_PCP) {
			uint32_t tail = pcp_tail_pages(zone, index);

			count.pcp += tail;
			pages += tail;
		}
		index += pages;
	}
	check_owners(zone, &count);
	check_sums(zone, &count);
	return buddy_check(zone) || count.faulty ? -EINVAL : 0;
}

const char *migratetype_name(enum migratetype migratetype)
{
	static const char *const names[MIGRATE_TYPES] = {
		[MIGRATE_UNMOVABLE] = "Unmovable",
		[MIGRATE_MOVABLE] = "Movable",
		[MIGRATE_RECLAIMABLE] = "Reclaimable",
		[MIGRATE_HIGHATOMIC] = "HighAtomic",
		[MIGRATE_CMA] = "CMA",
		[MIGRATE_ISOLATE] = "Isolate",
	};

	return migratetype < MIGRATE_TYPES ? names[migratetype] : "?";
}
