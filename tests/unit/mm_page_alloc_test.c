/*
 * The page allocator as its users see it, on the machine's memory.
 */
#include "mm/page_alloc.h"

#include "kernel/ktest.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/watermark.h"

#define GFP_TEST (GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST))

static uint64_t owned(enum page_owner owner)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[owner];
}

KTEST(page_alloc, every_order_comes_aligned_owned_and_goes_back)
{
	struct memory_info before, after;

	memory_info_get(&before);
	for (unsigned int order = 0; order < NR_ORDERS; order++) {
		struct page *page = alloc_pages(GFP_TEST, order);

		REQUIRE(t, page);
		EXPECT(t, IS_ALIGNED(page_to_pfn(page), 1ul << order));
		EXPECT_EQ(t, page->refcount, 1u);
		EXPECT_EQ(t, page_owner(page), PAGE_OWNER_TEST);
		EXPECT_EQ(t, page_order(page), order);
		EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 1u << order);
		EXPECT(t, pfn_to_page(page_to_pfn(page)) == page && virt_to_page(page_address(page)) == page);
		free_pages(page, order);
		EXPECT_EQ(t, page_owner(page), PAGE_OWNER_NONE);
	}
	memory_info_get(&after);
	EXPECT_EQ(t, after.by_owner[PAGE_OWNER_TEST], 0u);
	EXPECT_OK(t, memory_check());
	EXPECT(t, !alloc_pages(GFP_TEST, NR_ORDERS));
}

KTEST(page_alloc, zeroed_pages_are_zero)
{
	struct page *page = alloc_pages(GFP_TEST, 2);
	uint64_t sum = 0;

	REQUIRE(t, page);
	memset(page_address(page), 0xff, PAGE_SIZE << 2);
	free_pages(page, 2);
	page = alloc_pages(GFP_TEST | GFP_ZERO, 2);
	REQUIRE(t, page);
	for (size_t at = 0; at < (PAGE_SIZE << 2) / 8; at++)
		sum |= ((uint64_t *)page_address(page))[at];
	EXPECT_EQ(t, sum, 0u);
	free_pages(page, 2);
}

KTEST(page_alloc, zone_limits_are_kept)
{
	struct page *dma = alloc_pages(GFP_TEST | GFP_DMA, 0), *dma32 = alloc_pages(GFP_TEST | GFP_DMA32, 0);

	REQUIRE(t, dma && dma32);
	EXPECT(t, page_to_phys(dma) < MIB(16));
	EXPECT(t, page_to_phys(dma32) < GIB(4));
	free_pages(dma, 0);
	free_pages(dma32, 0);
}

KTEST(page_alloc, the_wanted_node_is_asked_first)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct page *page = alloc_pages_node((int)node, GFP_TEST | GFP_THISNODE, 1);

		if (!memory.nodes[node].zonelist[0] || memory.nodes[node].zonelist[0]->node != (int)node)
			continue;
		REQUIRE(t, page);
		EXPECT_EQ(t, page_node(page), (int)node);
		free_pages(page, 1);
	}
}

KTEST(page_alloc, holes_are_not_valid)
{
	uint64_t pages = 0, present = 0;

	for_each_zone(zone) present += zone->present_pages;
	for (uint64_t pfn = 0; pfn < memory.end_granule << MAX_ORDER && ktest_hosted(); pfn++)
		pages += pfn_valid(pfn);
	if (ktest_hosted())
		EXPECT_EQ(t, pages, present);
	EXPECT(t, !pfn_valid(UINT64_MAX >> PAGE_SHIFT));
	EXPECT(t, !pfn_valid(memory.end_granule << MAX_ORDER));
}

/* Takes single pages until none is left, linked through their lists; then gives them all back. */
KTEST(page_alloc, exhausting_a_zone_fails_in_order_and_recovers)
{
	struct list_node taken = LIST_INIT(taken);
	struct page *page;
	uint64_t pages = 0, reserve = 0;

	while ((page = alloc_pages(GFP_TEST | GFP_DMA | GFP_NOMEMALLOC, 0))) {
		list_add(&taken, &page->lru);
		pages++;
	}
	for_each_zone(zone) if (zone->type == ZONE_DMA)
	{
		reserve = zone->watermark[WATERMARK_MIN];
		EXPECT(t, zone_free_pages(zone) >= reserve);
		EXPECT(t, zone_free_pages(zone) <= reserve + 64);
	}
	EXPECT(t, pages > 1000);
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), pages);
	page = alloc_pages(GFP_NOWAIT | GFP_HIGH | GFP_DMA | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), 0);
	EXPECT(t, page); /* the atomic reserve is for such */
	if (page)
		free_pages(page, 0);
	while (!list_empty(&taken)) {
		page = list_first_entry(&taken, struct page, lru);
		list_del(&page->lru);
		free_pages(page, 0);
	}
	EXPECT_OK(t, memory_check());
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
}

#define GFP_WHOLE (GFP_MOVABLE | GFP_NOWARN | GFP_THISNODE | GFP_OWNER(PAGE_OWNER_TEST))

static void set_whole_limits(struct zone *zone, struct pcp_limits limits)
{
	pcp_drain_all(zone);
	WRITE_ONCE(zone->pcp_limits[PCP_SMALL_ORDERS].high, limits.high);
	WRITE_ONCE(zone->pcp_limits[PCP_SMALL_ORDERS].batch, limits.batch);
}

static void raise_marks(struct zone *zone, int pages)
{
	for (unsigned int mark = 0; mark < NR_WATERMARKS; mark++)
		WRITE_ONCE(zone->watermark[mark], zone->watermark[mark] + (uint64_t)(int64_t)pages);
}

/* From the nearest zone while it is above its mark, then from the next one's magazine and lists, to its mark. */
static void take_wholes(struct ktest *t, struct zone *nearest, struct zone *next)
{
	struct list_node taken = LIST_INIT(taken);
	uint32_t from_next = 0;
	struct page *page = alloc_pages(GFP_WHOLE | GFP_DMA32, PAGEBLOCK_ORDER);

	REQUIRE(t, page);
	free_pages(page, PAGEBLOCK_ORDER); /* and now the next zone's magazine has some */
	pcp_drain_all(nearest);
	while ((page = alloc_pages_node(nearest->node, GFP_WHOLE, PAGEBLOCK_ORDER))) {
		from_next += zone_of_pfn(page_to_pfn(page)) == next;
		if (from_next == 1) {
			uint64_t low = watermark_pages(nearest, WATERMARK_LOW), free = zone_free_pages(nearest);

			EXPECT(t, free < low + PAGEBLOCK_PAGES && free + 4 * PAGEBLOCK_PAGES > low);
		}
		EXPECT(t, page->refcount == 1 && page_order(page) == PAGEBLOCK_ORDER);
		list_add(&taken, &page->lru);
	}
	EXPECT(t, from_next > 8);
	EXPECT(t, zone_free_pages(next) + 4 * PAGEBLOCK_PAGES > next->watermark[WATERMARK_MIN]);
	while (!list_empty(&taken)) {
		page = list_first_entry(&taken, struct page, lru);
		list_del(&page->lru);
		free_pages(page, PAGEBLOCK_ORDER);
	}
}

KTEST(page_alloc, whole_pageblocks_come_from_the_nearest_zone_that_gives_any)
{
	struct zone *nearest = memory.nodes[0].zonelist[0], *next = memory.nodes[0].zonelist[1];
	struct pcp_limits limits[2];

	if (!next || next->node != nearest->node || nearest->type != ZONE_NORMAL || next->type != ZONE_DMA32)
		return;
	raise_marks(nearest, 16 * PAGEBLOCK_PAGES);
	raise_marks(next, 16 * PAGEBLOCK_PAGES);
	limits[0] = pcp_limits(nearest, PAGEBLOCK_ORDER);
	limits[1] = pcp_limits(next, PAGEBLOCK_ORDER);
	set_whole_limits(nearest, (struct pcp_limits){.high = 4, .batch = 2});
	set_whole_limits(next, (struct pcp_limits){.high = 4, .batch = 2});
	take_wholes(t, nearest, next);
	set_whole_limits(nearest, limits[0]);
	set_whole_limits(next, limits[1]);
	raise_marks(nearest, -16 * PAGEBLOCK_PAGES);
	raise_marks(next, -16 * PAGEBLOCK_PAGES);
	EXPECT_OK(t, memory_check());
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
}

/* Distinct pages: each is written in turn. */
static void expect_single_pages(struct ktest *t, struct page **pages, size_t count)
{
	for (size_t at = 0; at < count; at++) {
		EXPECT_EQ(t, page_owner(pages[at]), PAGE_OWNER_TEST);
		EXPECT_EQ(t, page_order(pages[at]), 0u);
		EXPECT_EQ(t, pages[at]->refcount, 1u);
		pages[at]->index = at + 1;
	}
	for (size_t at = 0; at < count; at++)
		EXPECT_EQ(t, pages[at]->index, at + 1);
}

KTEST(page_alloc, bulk_gives_what_it_says)
{
	static const uint32_t kinds[] = {GFP_MOVABLE, GFP_RECLAIMABLE, GFP_DMA32, GFP_DMA, 0};
	struct page *pages[400];

	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		size_t got = alloc_pages_bulk(NODE_ANY, GFP_TEST | kinds[kind], 0, ARRAY_SIZE(pages), pages);

		EXPECT_EQ(t, got, ARRAY_SIZE(pages));
		EXPECT_EQ(t, owned(PAGE_OWNER_TEST), got);
		expect_single_pages(t, pages, got);
		free_pages_bulk(pages, got);
		EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
	}
	EXPECT_OK(t, memory_check());
}

/* Every other page is of another zone. */
KTEST(page_alloc, bulk_frees_pages_of_several_zones)
{
	struct page *pages[200];

	for (size_t at = 0; at < ARRAY_SIZE(pages); at++)
		REQUIRE(t, (pages[at] = alloc_pages(GFP_TEST | (at % 2 ? GFP_DMA : 0), 0)));
	free_pages_bulk(pages, ARRAY_SIZE(pages));
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(page_alloc, bulk_gives_what_there_is)
{
	static struct page *pages[8192];
	size_t got = alloc_pages_bulk(NODE_ANY, GFP_TEST | GFP_DMA | GFP_NOMEMALLOC, 0, ARRAY_SIZE(pages), pages);

	EXPECT(t, got > 1000 && got < ARRAY_SIZE(pages)); /* the zone has 4096 */
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), got);
	free_pages_bulk(pages, got);
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
	EXPECT_OK(t, memory_check());
}

/* More than there are is what there is: whole blocks, each once, and nobody's reserve. */
KTEST(page_alloc, bulk_of_any_order_stays_above_the_marks)
{
	static struct page *pages[600];
	uint32_t gfp = GFP_MOVABLE | GFP_NOWARN | GFP_NOMEMALLOC | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_TEST);

	EXPECT_EQ(t, alloc_pages_bulk(NODE_ANY, gfp, MAX_ORDER + 1, 1, pages), 0u);
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		size_t got = alloc_pages_bulk(NODE_ANY, gfp, order, ARRAY_SIZE(pages), pages);

		EXPECT(t, got > 0);
		EXPECT_EQ(t, owned(PAGE_OWNER_TEST), got << order);
		EXPECT_OK(t, memory_check());
		for_each_zone(zone) EXPECT(t, zone_free_pages(zone) >= zone->watermark[WATERMARK_MIN] / 2);
		for (size_t at = 0; at < got; at++) {
			EXPECT(t, IS_ALIGNED(page_to_pfn(pages[at]), 1ul << order));
			EXPECT(t, page_owner(pages[at]) == PAGE_OWNER_TEST && page_order(pages[at]) == order);
			free_pages(pages[at], order);
		}
	}
	EXPECT_EQ(t, owned(PAGE_OWNER_TEST), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(page_alloc, a_split_block_is_freed_in_parts)
{
	struct memory_info before, after;

	memory_info_get(&before);
	for (unsigned int order = 1; order <= MAX_ORDER; order++)
		for (unsigned int part = 0; part <= order; part++) {
			struct page *page = alloc_pages(GFP_KERNEL | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_TEST), order);

			REQUIRE(t, page);
			split_page(page, part);
			for (unsigned int at = 0; at < 1u << order; at += 1u << part) {
				EXPECT_EQ(t, page_order(page + at), part);
				EXPECT_EQ(t, page_owner(page + at), PAGE_OWNER_TEST);
				EXPECT_EQ(t, page[at].refcount, 1u);
			}
			for (unsigned int at = 0; at < 1u << order; at += 1u << part)
				free_pages(page + at, part);
		}
	memory_info_get(&after);
	EXPECT_EQ(t, after.by_owner[PAGE_OWNER_TEST], before.by_owner[PAGE_OWNER_TEST]);
	EXPECT_OK(t, memory_check());
}
