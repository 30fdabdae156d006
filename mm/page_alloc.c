/*
 * The page allocator's façade: which zones to try, and how pages come back.
 *
 * The fast path asks the CPU's magazine in the nearest zone, without looking at watermarks: what is in it has left the
 * zone already. Refilling a magazine, or a block of an order that has none, needs a walk through the zone list, in
 * which a zone must stay above its low mark and the policy (mm/policy/) says what may be mixed. When all say no it is
 * the slow path's turn (page_alloc_slow.c).
 */
#include "kernel/cpu.h"
#include "kernel/kasan.h"
#include "kernel/panic.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/kswapd.h"
#include "mm/memory.h"
#include "mm/page_alloc_internal.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/trace.h"
#include "mm/vmstat.h"
#include "mm/watermark.h"

#define BULK_BLOCKS 64u /* taken or given in one go, while others may want the CPU, its magazines or the zone */

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

/* The lowest the zone may sink for this request. */
static uint64_t mark_of(const struct zone *zone, const struct alloc_request *request)
{
	uint64_t min = READ_ONCE(zone->watermark[WATERMARK_MIN]);

	if (request->stage <= ALLOC_FAST_AGAIN)
		return watermark_pages(zone, WATERMARK_LOW);
	if (request->gfp & GFP_NOMEMALLOC)
		return min;
	if (memalloc_inside())
		return 0;
	if (request->gfp & GFP_HIGH)
		return min / 2;
	/* Whoever can free memory first works on the boost, too. */
	return request->stage == ALLOC_SLOW && request_may_reclaim(request) ? watermark_pages(zone, WATERMARK_MIN)
									    : min;
}

/* It would have to break up a pageblock that the policy wants to keep whole. */
static bool must_keep_whole(const struct zone *zone, const struct alloc_request *request)
{
	if (!(request->flags & ALLOC_KEEP_WHOLE))
		return false;
	for (unsigned int order = request->order; order < PAGEBLOCK_ORDER; order++)
		if (READ_ONCE(zone->free_blocks[order][request->mt]))
			return false;
	return frag_policy_lacks_whole(request->policy, zone);
}

/* May it have one block, and could @more pages follow without another look? */
static bool stays_above_mark(const struct zone *zone, const struct alloc_request *request, uint64_t more)
{
	uint64_t mark = mark_of(zone, request) + more;

	if (!(request->flags & ALLOC_HIGHATOMIC ? watermark_ok_atomic
	      : request->mt == MIGRATE_MOVABLE	? watermark_ok_movable
						: watermark_ok)(zone, request->order, mark, request->highest))
		return false;
	return !must_keep_whole(zone, request);
}

static uint32_t take_above_mark(struct zone *zone, const struct alloc_request *request)
{
	bool atomic = request->flags & ALLOC_HIGHATOMIC;

	if (!stays_above_mark(zone, request, 0))
		return ZONE_INDEX_NONE;
	if (request->mt == MIGRATE_MOVABLE)
		kswapd_before_taking(zone, request);
	if (pcp_serves(request->order) && pcp_limits(zone, request->order).high && !atomic)
		return pcp_refill_and_take(zone, request);
	return pcp_bypass_take(zone, request);
}

static NOINLINE struct page *prepare_otherwise(struct page *page, uint32_t gfp, unsigned int order, enum migratetype mt)
{
	if (!(gfp & GFP_NOSTRUCT))
		page_fill(page);
	if (gfp & GFP_ZERO)
		memset(page_address(page), 0, PAGE_SIZE << order);
	trace_page_alloc(page, order, mt, gfp);
	return page;
}

static ALWAYS_INLINE struct page *prepare(struct zone *zone, uint32_t index, uint32_t gfp, unsigned int order,
					  enum migratetype mt)
{
	struct page *page = zone_page(zone, index);

	kasan_unpoison(page_address(page), PAGE_SIZE << order);
	if (unlikely(gfp & (GFP_NOSTRUCT | GFP_ZERO)) || trace_enabled(mm_page_alloc))
		return prepare_otherwise(page, gfp, order, mt);
	page_fill(page);
	return page;
}

struct page *page_alloc_prepare(struct zone *zone, uint32_t index, const struct alloc_request *request)
{
	return prepare(zone, index, request->gfp, request->order, request->mt);
}

/* ---- all zones ----------------------------------------------------------------------------------------------------
 */

static struct page *walk_zones(const struct alloc_request *request)
{
	for (struct zone **at = request->node->zonelist; *at; at++) {
		uint32_t index = ZONE_INDEX_NONE;

		if ((request->flags & ALLOC_LOCAL) && (*at)->node != request->node->id)
			return NULL;
		if (!zone_is_eligible(*at, request))
			continue;
		if (pcp_serves(request->order) && pcp_has(*at, request->order, request->mt))
			index = pcp_take(*at, request->order, request->mt, request->owner);
		if (index == ZONE_INDEX_NONE)
			index = take_above_mark(*at, request);
		if (index != ZONE_INDEX_NONE)
			return prepare(*at, index, request->gfp, request->order, request->mt);
	}
	return NULL;
}

static uint32_t restrictions(const struct alloc_request *request)
{
	return request->policy->restrictions ? request->policy->restrictions(request) : 0;
}

/* What atomic requests above order 0 may do with their reserve, once they are in need. */
static uint32_t permissions(const struct alloc_request *request)
{
	if (request->stage < ALLOC_SLOW || !(request->gfp & GFP_HIGH) || request->order == 0)
		return 0;
	return ALLOC_HIGHATOMIC | (request->order <= COSTLY_ORDER ? ALLOC_MAY_RESERVE : 0);
}

struct page *page_alloc_attempt(struct alloc_request *request, enum alloc_stage stage)
{
	request->stage = stage;
	request->flags = restrictions(request) | permissions(request);
	return walk_zones(request);
}

/* The first walk with what the policy holds against it, the second with less, if there is a difference. */
static NOINLINE struct page *fast_path(struct alloc_request *request)
{
	struct page *page = page_alloc_attempt(request, ALLOC_FAST);
	uint32_t first = request->flags;

	if (page)
		return page;
	request->stage = ALLOC_FAST_AGAIN;
	return restrictions(request) == first ? NULL : page_alloc_attempt(request, ALLOC_FAST_AGAIN);
}

static ALWAYS_INLINE struct node *node_or_here(int node)
{
	return &memory.nodes[node == NODE_ANY ? (int)cpu_this_node() : node];
}

static struct alloc_request make_request(struct node *node, uint32_t gfp, unsigned int order)
{
	return (struct alloc_request){
		.gfp = gfp,
		.order = order,
		.mt = migratetype_of(gfp),
		.owner = owner_of(gfp),
		.highest = highest_zone(gfp),
		.node = node,
		.policy = frag_policy_get(),
		.stage = ALLOC_FAST,
	};
}

static NOINLINE struct page *allocate(struct node *node, uint32_t gfp, unsigned int order)
{
	struct alloc_request request = make_request(node, gfp, order);
	struct page *page;

	if (order > MAX_ORDER)
		return NULL;
	page = fast_path(&request);
	return page ? page : page_alloc_slow(&request);
}

/* The zone to try first does not say no to this request. */
static ALWAYS_INLINE bool is_at_hand(const struct zone *nearest, uint32_t gfp)
{
	return likely(!(gfp & (GFP_DMA | GFP_DMA32))) && likely(nearest->type != ZONE_MOVABLE || (gfp & GFP_MOVABLE));
}

/* Pairs of its own type alone keep the zone above its mark: a walk would take some of them, and nobody minds. */
static bool has_pairs_to_spare(const struct zone *zone, const struct alloc_request *request)
{
	uint64_t pairs = READ_ONCE(zone->free_blocks[MAX_ORDER][request->mt]);

	return pairs << MAX_ORDER >= watermark_pages(zone, WATERMARK_LOW) +
					     READ_ONCE(zone->lowmem_reserve[request->highest]) + PAGEBLOCK_PAGES;
}

static struct page *refill_and_take_pageblock(struct node *node, struct zone *zone, uint32_t gfp)
{
	struct alloc_request request;
	uint32_t index;

	if (!pcp_limits(zone, PAGEBLOCK_ORDER).high)
		return NULL;
	request = make_request(node, gfp, PAGEBLOCK_ORDER);
	if (!has_pairs_to_spare(zone, &request))
		return NULL;
	request.flags = restrictions(&request);
	if (request.mt == MIGRATE_MOVABLE)
		kswapd_before_taking(zone, &request);
	index = pcp_refill_and_take(zone, &request);
	return index == ZONE_INDEX_NONE ? NULL : page_alloc_prepare(zone, index, &request);
}

/*
 * The nearest zone's magazine has no pageblock. Where the zone is so low that the walk takes none from its lists
 * either, it comes to the next magazine; and where a zone has plenty it fills that: so does this, without the walk.
 */
static NOINLINE struct page *alloc_pageblock_further(struct node *node, uint32_t gfp)
{
	struct zone *zone = node->zonelist[0], *next = node->zonelist[1];
	struct page *page;
	uint32_t index;

	if (!is_at_hand(zone, gfp))
		return allocate(node, gfp, PAGEBLOCK_ORDER);
	if (next && next->node == node->id &&
	    zone_free_pages(zone) < watermark_pages(zone, WATERMARK_LOW) + PAGEBLOCK_PAGES) {
		if (pcp_take_common(next, PAGEBLOCK_ORDER, migratetype_of(gfp), owner_of(gfp), &index))
			return prepare(next, index, gfp, PAGEBLOCK_ORDER, migratetype_of(gfp));
		zone = next;
	}
	page = refill_and_take_pageblock(node, zone, gfp);
	return page ? page : allocate(node, gfp, PAGEBLOCK_ORDER);
}

/* Most requests end at the nearest zone's magazine, before there is need for a description of them. */
static ALWAYS_INLINE struct page *alloc_common(struct node *node, uint32_t gfp, unsigned int order)
{
	struct zone *nearest = node->zonelist[0];
	enum migratetype mt = migratetype_of(gfp);
	uint32_t index;

	if (!is_at_hand(nearest, gfp))
		return allocate(node, gfp, order);
	if (unlikely(!pcp_take_common(nearest, order, mt, owner_of(gfp), &index)))
		return order == PAGEBLOCK_ORDER ? alloc_pageblock_further(node, gfp) : allocate(node, gfp, order);
	return prepare(nearest, index, gfp, order, mt);
}

static NOINLINE struct page *alloc_pageblock(struct node *node, uint32_t gfp)
{
	return alloc_common(node, gfp, PAGEBLOCK_ORDER);
}

/* The two orders that are worth code of their own, with everything about them computed by the compiler. */
struct page *alloc_pages_node(int node, uint32_t gfp, unsigned int order)
{
	struct node *from = node_or_here(node);

	if (likely(order == 0))
		return alloc_common(from, gfp, 0);
	return order == PAGEBLOCK_ORDER ? alloc_pageblock(from, gfp) : allocate(from, gfp, order);
}

/* The nearest zone that would serve one, if it can serve all: none is passed over. */
static struct zone *zone_for_many(const struct alloc_request *request, size_t count)
{
	struct zone **at = request->node->zonelist;

	while (*at && (!zone_is_eligible(*at, request) || !stays_above_mark(*at, request, 0)))
		at++;
	if (!*at || ((request->flags & ALLOC_LOCAL) && (*at)->node != request->node->id))
		return NULL;
	return stays_above_mark(*at, request, (uint64_t)(count - 1) << request->order) ? *at : NULL;
}

/* Off their own type's lists, where no policy has a say. 0: let a single request decide what to do. */
static size_t take_many(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages)
{
	struct alloc_request request = make_request(node_or_here(node), gfp, order);
	uint32_t indices[BULK_BLOCKS], taken;
	struct zone *zone;

	count = MIN(count, BULK_BLOCKS);
	request.flags = restrictions(&request);
	zone = zone_for_many(&request, count);
	if (!zone)
		return 0;
	taken = pcp_bypass_take_many(zone, &request, indices, (uint32_t)count);
	for (uint32_t at = 0; at < taken; at++)
		pages[at] = prepare(zone, indices[at], gfp, order, request.mt);
	return taken;
}

/* Single pages from the nearest magazine, at once. */
static size_t take_what_is_there(int node, uint32_t gfp, size_t count, struct page **pages)
{
	struct zone *nearest = node_or_here(node)->zonelist[0];
	enum migratetype mt = migratetype_of(gfp);
	uint32_t taken;

	if (!is_at_hand(nearest, gfp))
		return 0;
	taken = pcp_take_pages(nearest, mt, owner_of(gfp), (uint32_t)MIN(count, (size_t)BULK_BLOCKS), pages);
	for (uint32_t at = 0; at < taken; at++)
		prepare(nearest, zone_index(nearest, pages[at]), gfp, 0, mt);
	return taken;
}

size_t alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages)
{
	size_t got = 0;

	if (order > MAX_ORDER)
		return 0;
	while (got < count) {
		size_t many = order == 0 ? take_what_is_there(node, gfp, count - got, pages + got) : 0;

		if (!many)
			many = take_many(node, gfp, order, count - got, pages + got);
		if (!many) {
			pages[got] = alloc_pages_node(node, gfp, order);
			many = pages[got] != NULL;
		}
		if (!many)
			break;
		got += many;
	}
	return got;
}

/* What everybody who frees does first; the zone it is in. */
static struct zone *prepare_to_free(struct page *page, unsigned int order)
{
	uint64_t pfn = page_to_pfn(page);
	struct zone *zone = zone_of_pfn(pfn);

	if (unlikely(!zone || order > MAX_ORDER || !IS_ALIGNED(pfn, 1ul << order)))
		panic("bad free: pfn 0x%lx order %u is no block of memory", pfn, order);
	trace_page_free(page, order);
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
	return zone;
}

static NOINLINE void free_otherwise(struct page *page, unsigned int order)
{
	struct zone *zone = prepare_to_free(page, order);

	pcp_give(zone, zone_index(zone, page), order);
}

static ALWAYS_INLINE void free_common(struct page *page, unsigned int order)
{
	uint64_t pfn = page_to_pfn(page);
	struct zone *zone = zone_of_pfn(pfn);

	if (unlikely(!zone || !IS_ALIGNED(pfn, 1ul << order)) || trace_enabled(mm_page_free)) {
		free_otherwise(page, order);
		return;
	}
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
	if (unlikely(!pcp_give_common(zone, pfn, order)))
		pcp_give(zone, (uint32_t)(pfn - zone->start_pfn), order);
}

static NOINLINE void free_pageblock(struct page *page)
{
	free_common(page, PAGEBLOCK_ORDER);
}

void free_pages(struct page *page, unsigned int order)
{
	if (likely(order == 0))
		free_common(page, 0);
	else if (order == PAGEBLOCK_ORDER)
		free_pageblock(page);
	else
		free_otherwise(page, order);
}

/* Neighbours of one zone go together. */
void free_pages_bulk(struct page **pages, size_t count)
{
	struct zone *zone = NULL;
	uint32_t ready = 0;

	for (size_t at = 0; at < count; at++) {
		struct zone *its = prepare_to_free(pages[at], 0);

		if (ready && (its != zone || ready == BULK_BLOCKS)) {
			pcp_give_pages(zone, pages + at - ready, ready);
			ready = 0;
		}
		zone = its;
		ready++;
	}
	if (ready)
		pcp_give_pages(zone, pages + count - ready, ready);
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
		page_fill(zone_page(zone, at));
	}
	spin_unlock(&zone->lock);
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
