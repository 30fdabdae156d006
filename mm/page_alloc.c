/*
 * The page allocator's façade: which zones to try, and what to do when all say no.
 *
 * The fast path walks the zone list of the wanted node, nearest first. In each zone the CPU's magazine is asked
 * first, without looking at watermarks: what is in it has left the zone already. Refilling it, or a block of an order
 * that has none, needs the zone to stay above its low mark. The slow path allows what the request's flags allow,
 * down to a part of the min mark, and first gets back what idle CPUs' magazines hold.
 */
#include "kernel/kasan.h"
#include "kernel/panic.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/trace.h"
#include "mm/watermark.h"

/* A request on its way through the zones. */
struct request {
	uint32_t gfp;
	unsigned int order;
	enum migratetype mt;
	enum page_owner owner;
	enum zone_type highest;
	struct node *node;
};

static struct page *all_pages(void)
{
	return (struct page *)PAGE_STRUCT_BASE;
}

uint64_t page_to_pfn(const struct page *page)
{
	return (uint64_t)(page - all_pages());
}

struct page *pfn_to_page(uint64_t pfn)
{
	return all_pages() + pfn;
}

static enum migratetype migratetype_of(uint32_t gfp)
{
	if (gfp & GFP_MOVABLE)
		return MIGRATE_MOVABLE;
	return gfp & GFP_RECLAIMABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
}

static enum zone_type highest_zone(uint32_t gfp)
{
	if (gfp & GFP_DMA)
		return ZONE_DMA;
	if (gfp & GFP_DMA32)
		return ZONE_DMA32;
	return gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
}

static enum page_owner owner_of(uint32_t gfp)
{
	unsigned int owner = gfp >> 24;

	DEBUG_ASSERT(owner < NR_PAGE_OWNERS);
	return owner ? owner : PAGE_OWNER_KERNEL;
}

/* ---- one zone -----------------------------------------------------------------------------------------------------
 */

static uint32_t take_above(struct zone *zone, const struct request *request, uint64_t mark)
{
	if (!watermark_ok(zone, request->order, mark, request->highest))
		return ZONE_INDEX_NONE;
	if (pcp_serves(request->order) && pcp_limits(zone, request->order).high)
		return pcp_refill_and_take(zone, request->order, request->mt, request->owner);
	return pcp_bypass_take(zone, request->order, request->mt, request->owner);
}

static void fill_struct(struct page *page)
{
	page->flags = 0;
	page->refcount = 1;
	page->mapcount = 0;
	page->mapping = NULL;
	page->index = 0;
	page->private = 0;
}

static struct page *prepare(struct zone *zone, uint32_t index, const struct request *request)
{
	struct page *page = zone_page(zone, index);

	if (!(request->gfp & GFP_NOSTRUCT))
		fill_struct(page);
	kasan_unpoison(page_address(page), PAGE_SIZE << request->order);
	if (request->gfp & GFP_ZERO)
		memset(page_address(page), 0, PAGE_SIZE << request->order);
	trace_page_alloc(page, request->order, request->mt, request->gfp);
	return page;
}

/* ---- all zones ----------------------------------------------------------------------------------------------------
 */

static bool zone_is_eligible(const struct zone *zone, const struct request *request)
{
	if (zone->type > request->highest)
		return false;
	return !(request->gfp & GFP_THISNODE) || zone->node == request->node->id;
}

static struct page *fast_path(const struct request *request)
{
	for (struct zone **at = request->node->zonelist; *at; at++) {
		uint32_t index = ZONE_INDEX_NONE;

		if (!zone_is_eligible(*at, request))
			continue;
		if (pcp_serves(request->order))
			index = pcp_take(*at, request->order, request->mt, request->owner);
		if (index == ZONE_INDEX_NONE)
			index = take_above(*at, request, watermark_pages(*at, WATERMARK_LOW));
		if (index != ZONE_INDEX_NONE)
			return prepare(*at, index, request);
	}
	return NULL;
}

/* The lowest the zone may sink for this request. */
static uint64_t lowest_mark(const struct zone *zone, const struct request *request)
{
	uint64_t mark = READ_ONCE(zone->watermark[WATERMARK_MIN]);

	if (request->gfp & GFP_NOMEMALLOC)
		return mark;
	return request->gfp & GFP_HIGH ? mark / 2 : mark;
}

static struct page *try_zones_at_min(const struct request *request)
{
	for (struct zone **at = request->node->zonelist; *at; at++) {
		uint32_t index;

		if (!zone_is_eligible(*at, request))
			continue;
		index = take_above(*at, request, lowest_mark(*at, request));
		if (index != ZONE_INDEX_NONE)
			return prepare(*at, index, request);
	}
	return NULL;
}

static void drain_everything(void)
{
	for_each_zone(zone) pcp_drain_all(zone);
}

static void report_failure(const struct request *request)
{
	static struct ratelimit limit;

	if (ratelimit_allow(&limit, 10))
		pr_warn("page allocation failure: order %u, gfp 0x%x, node %d: returning NULL", request->order,
			request->gfp, request->node->id);
}

static struct page *slow_path(const struct request *request)
{
	struct page *page = try_zones_at_min(request);

	if (page)
		return page;
	drain_everything();
	page = try_zones_at_min(request);
	if (page)
		return page;
	if (request->gfp & GFP_NOFAIL) {
		memory_show_report();
		panic("out of memory: order %u, gfp 0x%x, and the request may not fail", request->order, request->gfp);
	}
	if (!(request->gfp & GFP_NOWARN))
		report_failure(request);
	return NULL;
}

static struct request make_request(int node, uint32_t gfp, unsigned int order)
{
	return (struct request){
		.gfp = gfp,
		.order = order,
		.mt = migratetype_of(gfp),
		.owner = owner_of(gfp),
		.highest = highest_zone(gfp),
		.node = &memory.nodes[node == NODE_ANY ? (int)cpu_node(cpu_id()) : node],
	};
}

struct page *alloc_pages_node(int node, uint32_t gfp, unsigned int order)
{
	struct request request = make_request(node, gfp, order);
	struct page *page;

	if (order > MAX_ORDER)
		return NULL;
	page = fast_path(&request);
	return likely(page) ? page : slow_path(&request);
}

size_t alloc_pages_bulk(int node, uint32_t gfp, size_t count, struct page **pages)
{
	size_t got = 0;

	while (got < count && (pages[got] = alloc_pages_node(node, gfp, 0)))
		got++;
	return got;
}

void free_pages(struct page *page, unsigned int order)
{
	uint64_t pfn = page_to_pfn(page);
	struct zone *zone = zone_of_pfn(pfn);

	if (unlikely(!zone || order > MAX_ORDER || !IS_ALIGNED(pfn, 1ul << order)))
		panic("bad free: pfn 0x%lx order %u is no block of memory", pfn, order);
	trace_page_free(page, order);
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
	pcp_give(zone, (uint32_t)(pfn - zone->start_pfn), order);
}

void free_pages_bulk(struct page **pages, size_t count)
{
	for (size_t at = 0; at < count; at++)
		free_pages(pages[at], 0);
}

void split_page(struct page *page, unsigned int order)
{
	uint64_t pfn = page_to_pfn(page);
	struct zone *zone = zone_of_pfn(pfn);
	uint32_t first = (uint32_t)(pfn - zone->start_pfn), end = first + (1u << page_order(page));
	enum page_owner owner = page_owner(page);

	ASSERT(owner != PAGE_OWNER_NONE && order <= page_order(page), "pfn 0x%lx is no block to split", pfn);
	spin_lock(&zone->lock);
	for (uint32_t at = first; at < end && order < PAGEBLOCK_ORDER; at += PAGEBLOCK_PAGES)
		if (!(zone->pageblocks[at / PAGEBLOCK_PAGES].flags & PAGEBLOCK_MAPPED))
			buddy_unfold_taken_locked(zone, at / PAGEBLOCK_PAGES);
	for (uint32_t at = first; at < end; at += 1u << order) {
		store_relaxed(&zone->tags[at], TAG(owner, order));
		fill_struct(zone_page(zone, at));
	}
	spin_unlock(&zone->lock);
}

/* ---- threads that free memory --------------------------------------------------------------------------------------
 */

static uintptr_t *memalloc_slot(void)
{
	struct thread *thread = thread_current();

	return thread ? (uintptr_t *)thread_slot(thread, THREAD_SLOT_ALLOC_FLAGS) : NULL;
}

uintptr_t memalloc_enter(void)
{
	uintptr_t *slot = memalloc_slot(), previous;

	if (!slot)
		return 0;
	previous = *slot;
	*slot = 1;
	return previous;
}

void memalloc_leave(uintptr_t previous)
{
	uintptr_t *slot = memalloc_slot();

	if (slot)
		*slot = previous;
}

bool memalloc_inside(void)
{
	uintptr_t *slot = memalloc_slot();

	return slot && *slot;
}

/* ---- what is known about a page ------------------------------------------------------------------------------------
 */

static uint8_t tag_of(uint64_t pfn)
{
	struct zone *zone = zone_of_pfn(pfn);

	if (!zone || pfn < zone->start_pfn || pfn - zone->start_pfn >= zone->spanned_pages)
		return TAG_ABSENT;
	return zone_tag(zone, (uint32_t)(pfn - zone->start_pfn));
}

bool pfn_valid(uint64_t pfn)
{
	return tag_of(pfn) != TAG_ABSENT;
}

enum page_owner page_owner(const struct page *page)
{
	return TAG_OWNER(tag_of(page_to_pfn(page)));
}

unsigned int page_order(const struct page *page)
{
	uint8_t tag = tag_of(page_to_pfn(page));

	return TAG_OWNER(tag) == PAGE_OWNER_NONE ? 0 : TAG_ORDER(tag);
}

int page_node(const struct page *page)
{
	return zone_of_pfn(page_to_pfn(page))->node;
}
