/*
 * Reclaim: the hand that goes over the LRU lists.
 *
 * A pass takes batches from the tail of the zones' inactive lists, from each in proportion to its length, so that pages
 * of one age go together. A page that was used meanwhile becomes active, the others' owners are asked to free them;
 * those that cannot go back to the head. When a zone's active list is the longer one, its tail is moved over, but for
 * what was used. Shrinkers are asked in proportion; the slabs that this empties count as freed pages, so that a pass
 * which found nothing else is no failure.
 */
#include "mm/reclaim.h"

#include "mm/reclaim_trace.h"
#include "mm/shrinker.h"
#include "mm/trace.h"
#include "mm/vmstat.h"

#define BATCH	      32u
#define DIRECT_WANTED 32u

struct scan {
	struct reclaim *reclaim;
	enum zone_type zone;
	enum lru_list list;
	uint64_t left;	 /* pages of the list to look at */
	uint64_t wanted; /* freed pages after which it may end */
	uint64_t scanned, freed, activated, kept, dirty;
};

static bool was_used(struct page *page)
{
	return page_unmark(page, PAGE_REFERENCED);
}

static void activate(struct page *page)
{
	page_mark(page, PAGE_ACTIVE);
	lru_put_back(page);
	vm_event(pgactivate);
}

bool reclaim_isolated(struct page *page, bool gently)
{
	const struct lru_owner_ops *ops = lru_owner_ops_of(page);

	if (!ops || !ops->try_free(page, gently)) {
		lru_put_back(page);
		return false;
	}
	lru_forget_isolated(page);
	page_put(page);
	return true;
}

static void free_or_put_back(struct scan *scan, struct page *page)
{
	uint64_t pages = 1ull << page_order(page);

	scan->dirty += page_is(page, PAGE_DIRTY) ? pages : 0;
	if (was_used(page)) {
		activate(page);
		scan->activated += pages;
	} else if (reclaim_isolated(page, scan->reclaim->gently)) {
		scan->freed += pages;
	} else {
		scan->kept += pages;
	}
}

static uint32_t isolate(const struct reclaim *reclaim, enum zone_type zone, enum lru_list list, struct page **pages,
			uint64_t most, uint64_t *scanned)
{
	uint32_t requested = (uint32_t)MIN(most, (uint64_t)BATCH);
	uint64_t before = *scanned;
	struct lru_filter filter = {zone, reclaim->memcg};
	uint32_t count = lru_isolate_tail(&reclaim->node->lru, list, filter, pages, requested, scanned);

	TRACE(mm_vmscan_lru_isolate, .highest = (int)zone, .order = (int)reclaim->order, .requested = requested,
	      .scanned = *scanned - before, .taken = count, .lru = list);
	return count;
}

static bool next_batch(struct scan *scan, struct page **pages, uint32_t *count)
{
	uint64_t scanned = 0, missing = scan->wanted - MIN(scan->freed, scan->wanted);

	if (!scan->left || !missing)
		return false;
	/* A group may be small: what it need not give up it keeps. */
	*count = isolate(scan->reclaim, scan->zone, scan->list, pages,
			 scan->reclaim->memcg ? MIN(missing, scan->left) : scan->left, &scanned);
	scan->left -= MIN(scan->left, scanned);
	scan->scanned += scanned;
	return scanned;
}

static uint64_t shrink_inactive(struct reclaim *reclaim, enum zone_type zone, enum lru_list list, uint64_t to_scan,
				uint64_t wanted)
{
	struct scan scan = {.reclaim = reclaim, .zone = zone, .list = list, .left = to_scan, .wanted = wanted};
	struct page *pages[BATCH];
	uint32_t count;

	while (next_batch(&scan, pages, &count))
		for (uint32_t at = 0; at < count; at++)
			free_or_put_back(&scan, pages[at]);
	reclaim->scanned += scan.scanned;
	TRACE(mm_vmscan_lru_shrink_inactive, .nid = reclaim->node->id, .priority = (int)reclaim->priority,
	      .scanned = scan.scanned, .reclaimed = scan.freed, .dirty = scan.dirty, .activated = scan.activated,
	      .kept = scan.kept, .lru = list);
	return scan.freed;
}

/* The used stay active, at the head; the others wait at the head of the inactive list. */
static void shrink_active(struct reclaim *reclaim, enum zone_type zone, enum lru_list list, uint64_t to_scan)
{
	uint64_t scanned = 0, before, taken = 0, deactivated = 0;
	struct page *pages[BATCH];

	do {
		uint32_t count;

		before = scanned;
		count = isolate(reclaim, zone, list, pages, to_scan - scanned, &scanned);
		taken += count;
		for (uint32_t at = 0; at < count; at++) {
			if (!was_used(pages[at])) {
				page_unmark(pages[at], PAGE_ACTIVE);
				deactivated++;
			}
			lru_put_back(pages[at]);
		}
	} while (scanned < to_scan && scanned > before);
	vm_events(pgdeactivate, deactivated);
	TRACE(mm_vmscan_lru_shrink_active, .nid = reclaim->node->id, .priority = (int)reclaim->priority, .taken = taken,
	      .active = READ_ONCE(reclaim->node->lru.zone_pages[zone][list]), .deactivated = deactivated,
	      .referenced = taken - deactivated, .lru = list);
}

/* At least one page: @part of @all may have grown since @all was counted. */
static uint64_t share(uint64_t of, uint64_t part, uint64_t all)
{
	return all ? MAX(DIV_ROUND_UP(of * part, all), 1ul) : of;
}

static uint64_t shrink_kind(struct reclaim *reclaim, enum lru_list inactive_list, enum lru_list active_list)
{
	const struct lru *lru = &reclaim->node->lru;
	uint64_t freed = 0, all = 0, to_scan;

	for (enum zone_type zone = reclaim->lowest; zone <= reclaim->highest; zone++)
		all += READ_ONCE(lru->zone_pages[zone][inactive_list]);
	to_scan = MAX(all >> reclaim->priority, (uint64_t)BATCH);
	for (enum zone_type zone = reclaim->highest + 1; zone-- > reclaim->lowest;) {
		uint64_t inactive = READ_ONCE(lru->zone_pages[zone][inactive_list]);
		uint64_t active = READ_ONCE(lru->zone_pages[zone][active_list]), part = share(to_scan, inactive, all);
		uint64_t wanted = share(reclaim->wanted, inactive, all);

		if (reclaim->memcg) { /* its pages are among others, who knows on which list and in which zone */
			part = MAX(inactive >> reclaim->priority, (uint64_t)BATCH);
			wanted = reclaim->wanted - MIN(freed, reclaim->wanted);
		}
		if (active && (active > inactive || reclaim->memcg))
			shrink_active(reclaim, zone, active_list, MAX(active >> reclaim->priority, (uint64_t)BATCH));
		if (inactive || active)
			freed += shrink_inactive(reclaim, zone, inactive_list, part, wanted);
	}
	return freed;
}

/*
 * The lists of what can be had again or was given up. There is no swap, so of the others only zeros can go: they are
 * looked for if somebody wants that, and the first lists had too little.
 */
static uint64_t shrink_lists(struct reclaim *reclaim)
{
	uint64_t freed = shrink_kind(reclaim, LRU_INACTIVE_FILE, LRU_ACTIVE_FILE);

	if (reclaim_zero_pages() && !reclaim->gently && freed < reclaim->wanted)
		freed += shrink_kind(reclaim, LRU_INACTIVE_ANON, LRU_ACTIVE_ANON);
	return freed;
}

static void count_pass(const struct reclaim *reclaim, uint64_t scanned, uint64_t freed)
{
	if (reclaim->by_kswapd) {
		vm_events(pgscan_kswapd, scanned);
		vm_events(pgsteal_kswapd, freed);
	} else {
		vm_events(pgscan_direct, scanned);
		vm_events(pgsteal_direct, freed);
	}
}

uint64_t reclaim_node(struct reclaim *reclaim)
{
	uintptr_t previous = memalloc_enter();
	uint64_t scanned = reclaim->scanned, freed;

	freed = shrink_lists(reclaim);
	count_pass(reclaim, reclaim->scanned - scanned, freed);
	if (!reclaim->memcg) {
		if (!reclaim->gently)
			shrink_all(reclaim->priority);
		freed += memalloc_credited();
	}
	memalloc_leave(previous);
	reclaim->reclaimed += freed;
	return freed;
}

/* ---- for who cannot wait for kswapd -------------------------------------------------------------------------------
 */

static void count_stall(enum zone_type highest)
{
	vm_event_add(VM_EVENT_allocstall_dma + (enum vm_event)highest, 1);
}

/* The node first; when it has nothing, its neighbours, nearest first. */
static uint64_t pass_over_nodes(struct node *node, struct reclaim *reclaim)
{
	uint64_t freed = 0;
	int last = -1;

	for (struct zone **at = node->zonelist; *at && freed < reclaim->wanted; at++) {
		if ((*at)->node == last)
			continue;
		last = (*at)->node;
		reclaim->node = &memory.nodes[last];
		freed += reclaim_node(reclaim);
	}
	return freed;
}

uint64_t reclaim_direct(struct node *node, uint32_t gfp, unsigned int order, enum zone_type highest)
{
	struct reclaim reclaim = {.order = order, .highest = highest, .wanted = MAX(DIRECT_WANTED, 2u << order)};
	uint64_t freed = 0;

	if (memalloc_inside())
		return 0;
	count_stall(highest);
	TRACE(mm_vmscan_direct_reclaim_begin, .order = (int)order, .gfp_flags = gfp);
	for (reclaim.priority = RECLAIM_PRIORITY_FIRST + 1; reclaim.priority-- > 0 && freed < reclaim.wanted;)
		freed += pass_over_nodes(node, &reclaim);
	TRACE(mm_vmscan_direct_reclaim_end, .nr_reclaimed = freed);
	return freed;
}

uint64_t reclaim_memcg(struct mem_cgroup *memcg, uint64_t wanted)
{
	struct reclaim reclaim = {.highest = NR_ZONE_TYPES - 1, .memcg = memcg};

	if (memalloc_inside())
		return 0;
	for (reclaim.priority = RECLAIM_PRIORITY_FIRST + 1; reclaim.priority-- > 0 && reclaim.reclaimed < wanted;)
		for (uint32_t node = 0; node < memory.nr_nodes && reclaim.reclaimed < wanted; node++) {
			reclaim.node = &memory.nodes[node];
			reclaim.wanted = wanted - reclaim.reclaimed;
			(void)reclaim_node(&reclaim);
		}
	return reclaim.reclaimed;
}
