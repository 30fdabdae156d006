/*
 * Free page hinting: the mechanism between a tracker, which knows what may be free and not told, and a backend, which
 * tells the host.
 *
 *     free ──▶ marked ──▶ isolated ──▶ with the host ──▶ back on the free lists
 *      buddy_free  tracker    fill_batch     hint_pages       give_back
 *
 * A pass goes once round every zone, from where the last one ended: it takes a batch of free blocks off the lists,
 * hands it over, waits, and gives it back. A thread that frees the same few blocks for ever gets one look a round, like
 * everybody. A pass has a budget of batches, so that others get the worker thread; as long as the tracker knows of
 * more, the next pass is under way.
 *
 * Nobody starves by this: a zone is not taken below its low mark, at most a sixteenth of its large free memory is away
 * at a time, no batch is taken while somebody waits, and who would fail waits for the blocks to return.
 *
 * Locking: admin serialises enabling, disabling and configuring; pass_lock is held by the pass, which sleeps in the
 * backend. zone->lock protects the zone's books, hinting_order, tracked and hinted_pages. Blocks are given back with
 * hinting_order out of the free path's way: coming back is no news.
 */
#include "mm/hinting_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/watermark.h"

#define DELAY_NS      (200 * NS_PER_MS)
#define SOON_NS	      NS_PER_MS /* when the budget is used up */
#define PASS_BATCHES  16u	/* the budget, per zone */
#define SCAN_AT_ONCE  256u	/* candidates looked at in one go with the lock held */
#define AWAY_FRACTION 16u
#define WAIT_NS	      NS_PER_S
#define NOT_TRACKED   ((uint8_t)NR_ORDERS)

struct hinting page_hinting;

#define count(hinting, name, by) atomic_add_relaxed(&(hinting)->counters.name, (by))

/* ---- when ---------------------------------------------------------------------------------------------------------
 */

static void arm(struct hinting *hinting, uint64_t delay_ns)
{
	if (!hinting->by_itself || load_relaxed(&hinting->armed))
		return;
	store_relaxed(&hinting->armed, true);
	delayed_work_queue(&hinting->work, delay_ns);
}

void page_hinting_enqueue(struct zone *zone, uint32_t index, unsigned int order)
{
	struct tracked_zone *tracked = zone->tracked;

	tracked->tracker->freed(tracked, index, order);
	tracked->marks_ever++;
	arm(tracked->hinting, load_relaxed(&tracked->hinting->delay_ns));
}

static void run_pass(struct work *work)
{
	struct hinting *hinting = container_of(work, struct hinting, work.work);
	uint64_t cut = load_relaxed(&hinting->counters.passes_cut);

	/* What is freed from here on is seen by this pass or arms the next. */
	store_relaxed(&hinting->armed, false);
	smp_mb();
	if (!hinting_pass(hinting))
		return;
	store_relaxed(&hinting->armed, true);
	delayed_work_requeue(&hinting->work, load_relaxed(&hinting->counters.passes_cut) != cut
						     ? SOON_NS
						     : load_relaxed(&hinting->delay_ns));
}

/* ---- taking and giving back ---------------------------------------------------------------------------------------
 */

static uint64_t large_free_pages(const struct tracked_zone *tracked)
{
	uint64_t pages = 0;

	for (unsigned int order = tracked->min_order; order < NR_ORDERS; order++)
		for (unsigned int mt = 0; mt < MIGRATE_TYPES; mt++)
			pages += (uint64_t)tracked->zone->free_blocks[order][mt] << order;
	return pages;
}

/* Somebody needs the memory more than the host does. */
static bool is_short(const struct zone *zone, unsigned int order)
{
	return zone_free_pages(zone) < watermark_pages(zone, WATERMARK_LOW) + (1ull << order);
}

static void isolate(struct tracked_zone *tracked, uint32_t index, unsigned int order, struct page_hinting_block *block)
{
	struct zone *zone = tracked->zone;

	index = buddy_isolate_locked(zone, index, order);
	store_relaxed(&zone->tags[index], TAG(PAGE_OWNER_HINTED, order));
	WRITE_ONCE(zone->hinted_pages, zone->hinted_pages + (1ull << order));
	atomic_fetch_add(&tracked->hinting->away_pages, 1ull << order);
	tracked->tracker->isolated(tracked, index, order);
	*block = (struct page_hinting_block){.pfn = zone->start_pfn + index, .order = order};
}

struct scan {
	uint64_t left;	     /* pages of the zone that this pass has not been over yet */
	unsigned int count;  /* blocks in the batch */
	uint64_t pages;	     /* and pages */
	bool short_of_pages; /* ended because of the low mark, or because somebody waits */
};

/* To @index, round the zone's end if need be. */
static void advance(struct tracked_zone *tracked, struct scan *scan, uint32_t index)
{
	uint64_t end = (uint64_t)tracked->zone->nr_pageblocks * PAGEBLOCK_PAGES;
	uint64_t passed = index == ZONE_INDEX_NONE ? end - tracked->cursor : index - tracked->cursor;

	tracked->cursor = index == ZONE_INDEX_NONE || index >= end ? 0 : index;
	scan->left -= MIN(scan->left, passed);
}

/* One candidate: into the batch, or forgotten. False: this pass shall take no more here. */
static bool look_at(struct tracked_zone *tracked, struct scan *scan, uint32_t index, uint64_t most_pages)
{
	struct hinting *hinting = tracked->hinting;
	unsigned int order = buddy_order_at_locked(tracked->zone, index);
	uint32_t end = index + (1u << tracked->min_order);

	if (order == NR_ORDERS || order < tracked->min_order) {
		tracked->tracker->missed(tracked, index);
		if (order == NR_ORDERS)
			count(hinting, found_taken, 1);
		else
			count(hinting, found_small, 1);
	} else {
		if (scan->count && scan->pages + (1ull << order) > most_pages)
			return false;
		scan->short_of_pages = is_short(tracked->zone, order) || load_relaxed(&hinting->waiters);
		if (scan->short_of_pages)
			return false;
		isolate(tracked, index, order, &hinting->batch[scan->count++]);
		scan->pages += 1ull << order;
		end = ALIGN_DOWN(index, 1u << order) + (1u << order);
		count(hinting, found_free, 1);
	}
	advance(tracked, scan, end);
	return true;
}

/* Fills hinting->batch from the cursor on, as far as one go may. False: nothing is left for this pass. */
static bool fill_batch(struct tracked_zone *tracked, struct scan *scan)
{
	uint64_t most_pages = large_free_pages(tracked) / AWAY_FRACTION;
	bool more = true;

	scan->count = 0;
	scan->pages = 0;
	for (unsigned int looked = 0; more && looked < SCAN_AT_ONCE && scan->count < tracked->hinting->cb->max_pages;
	     looked++) {
		uint32_t index = tracked->tracker->next(tracked, tracked->cursor);

		advance(tracked, scan, index);
		if (!scan->left)
			return false;
		if (index != ZONE_INDEX_NONE)
			more = look_at(tracked, scan, index, most_pages);
	}
	return !scan->short_of_pages;
}

static void give_back(struct tracked_zone *tracked, const struct scan *scan, bool told)
{
	struct zone *zone = tracked->zone;
	struct hinting *hinting = tracked->hinting;
	uint8_t hinting_order;

	spin_lock(&zone->lock);
	hinting_order = zone->hinting_order;
	zone->hinting_order = NOT_TRACKED;
	for (unsigned int at = 0; at < scan->count; at++) {
		uint32_t index = (uint32_t)(hinting->batch[at].pfn - zone->start_pfn);

		store_relaxed(&zone->tags[index], TAG_NONE);
		buddy_free_locked(zone, index, hinting->batch[at].order);
		if (!told)
			tracked->tracker->freed(tracked, index, hinting->batch[at].order);
	}
	zone->hinting_order = hinting_order;
	WRITE_ONCE(zone->hinted_pages, zone->hinted_pages - scan->pages);
	spin_unlock(&zone->lock);
}

static void announce_return(struct hinting *hinting, uint64_t pages)
{
	atomic_fetch_sub(&hinting->away_pages, pages);
	atomic_inc(&hinting->returns);
	if (load_relaxed(&hinting->waiters))
		wake_up_all(&hinting->returned);
}

/* Tells the host about the batch; 0 or what hint_pages() said. */
static int tell(struct tracked_zone *tracked, const struct scan *scan)
{
	struct hinting *hinting = tracked->hinting;
	uint64_t start = time_ns();
	int error = hinting->cb->hint_pages(hinting->cb, hinting->batch, scan->count);

	count(hinting, away_ns, time_ns() - start);
	count(hinting, batches, 1);
	if (!error) {
		count(hinting, reported_blocks, scan->count);
		count(hinting, reported_bytes, scan->pages << PAGE_SHIFT);
	} else {
		count(hinting, hint_failures, 1);
	}
	if (error == -EBUSY) {
		count(hinting, lost_pages, scan->pages);
		pr_err("page_hinting: %s may still be at %lu pages: they stay away", hinting->cb->name, scan->pages);
	} else {
		give_back(tracked, scan, !error);
	}
	announce_return(hinting, scan->pages);
	return error;
}

/* ---- passes -------------------------------------------------------------------------------------------------------
 */

static bool is_pending(struct tracked_zone *tracked)
{
	bool pending;

	spin_lock(&tracked->zone->lock);
	pending = tracked->tracker->next(tracked, tracked->cursor) != ZONE_INDEX_NONE ||
		  tracked->tracker->next(tracked, 0) != ZONE_INDEX_NONE;
	spin_unlock(&tracked->zone->lock);
	return pending;
}

/* Once round the zone, or until the budget is used up. */
static int pass_zone(struct tracked_zone *tracked)
{
	struct hinting *hinting = tracked->hinting;
	struct scan scan = {.left = (uint64_t)tracked->zone->nr_pageblocks * PAGEBLOCK_PAGES};
	unsigned int batches = 0;
	bool more = true;
	int error = 0;

	while (more && !error && batches < PASS_BATCHES && !load_relaxed(&hinting->stopping)) {
		spin_lock(&tracked->zone->lock);
		more = fill_batch(tracked, &scan);
		spin_unlock(&tracked->zone->lock);
		if (scan.count) {
			error = tell(tracked, &scan);
			batches++;
		}
	}
	count(hinting, passes_cut, batches == PASS_BATCHES);
	count(hinting, under_pressure, scan.short_of_pages);
	return error;
}

static void pass_zones(struct hinting *hinting)
{
	int error = hinting->cb->prepare ? hinting->cb->prepare(hinting->cb) : 0;

	if (error) {
		count(hinting, prepare_failures, 1);
		return;
	}
	for (unsigned int at = 0; at < hinting->nr_zones && !error; at++)
		error = pass_zone(&hinting->zones[at]);
	if (hinting->cb->cleanup)
		hinting->cb->cleanup(hinting->cb);
	count(hinting, passes, 1);
}

bool hinting_pass(struct hinting *hinting)
{
	bool pending = false;

	mutex_lock(&hinting->pass_lock);
	if (hinting->tracking && !load_relaxed(&hinting->stopping)) {
		pass_zones(hinting);
		for (unsigned int at = 0; at < hinting->nr_zones && !pending; at++)
			pending = is_pending(&hinting->zones[at]);
	}
	mutex_unlock(&hinting->pass_lock);
	return pending;
}

/* ---- beginning and end --------------------------------------------------------------------------------------------
 */

static void attach(struct tracked_zone *tracked)
{
	struct zone *zone = tracked->zone;

	spin_lock(&zone->lock);
	tracked->cursor = 0;
	tracked->marked = 0;
	zone->tracked = tracked;
	zone->hinting_order = (uint8_t)MIN(tracked->min_order, PAGEBLOCK_ORDER);
	tracked->tracker->start(tracked);
	spin_unlock(&zone->lock);
}

static void detach(struct tracked_zone *tracked)
{
	struct zone *zone = tracked->zone;

	spin_lock(&zone->lock);
	if (zone->tracked == tracked) {
		zone->hinting_order = NOT_TRACKED;
		zone->tracked = NULL;
		tracked->tracker->stop(tracked);
	}
	spin_unlock(&zone->lock);
	kfree(tracked->books);
	tracked->books = NULL;
}

/* Memory first, with no lock held that would mind. */
static int make_books(struct hinting *hinting)
{
	hinting->batch = kmalloc(hinting->cb->max_pages * sizeof(hinting->batch[0]));
	if (!hinting->batch)
		return -ENOMEM;
	for (unsigned int at = 0; at < hinting->nr_zones; at++) {
		struct tracked_zone *tracked = &hinting->zones[at];
		size_t bytes = hinting->tracker->bytes(tracked->zone, hinting->min_order);

		tracked->hinting = hinting;
		tracked->tracker = hinting->tracker;
		tracked->min_order = hinting->min_order;
		tracked->books = bytes ? kzalloc(bytes) : NULL;
		if (bytes && !tracked->books)
			return -ENOMEM;
	}
	return 0;
}

/* admin is held. No pass runs on return, and no block is away. */
static void stop_tracking(struct hinting *hinting)
{
	store_release(&hinting->stopping, true);
	mutex_lock(&hinting->pass_lock);
	hinting->tracking = false;
	for (unsigned int at = 0; at < hinting->nr_zones; at++)
		detach(&hinting->zones[at]);
	kfree(hinting->batch);
	hinting->batch = NULL;
	mutex_unlock(&hinting->pass_lock);
	/* No zone can arm it any more. */
	delayed_work_cancel_sync(&hinting->work);
	store_relaxed(&hinting->armed, false);
	store_release(&hinting->stopping, false);
}

/* admin is held. */
static int start_tracking(struct hinting *hinting)
{
	int error;

	if (!hinting->cb || !hinting->tracker)
		return 0;
	error = make_books(hinting);
	if (error) {
		stop_tracking(hinting);
		return error;
	}
	mutex_lock(&hinting->pass_lock);
	for (unsigned int at = 0; at < hinting->nr_zones; at++)
		attach(&hinting->zones[at]);
	hinting->tracking = true;
	mutex_unlock(&hinting->pass_lock);
	arm(hinting, load_relaxed(&hinting->delay_ns));
	return 0;
}

int hinting_enable(struct hinting *hinting, struct page_hinting_cb *cb)
{
	int error = -EBUSY;

	if (!cb->max_pages)
		return -EINVAL;
	mutex_lock(&hinting->admin);
	if (!hinting->cb) {
		store_release(&hinting->cb, cb);
		error = start_tracking(hinting);
		if (error)
			store_release(&hinting->cb, NULL);
	}
	mutex_unlock(&hinting->admin);
	return error;
}

void hinting_disable(struct hinting *hinting, struct page_hinting_cb *cb)
{
	mutex_lock(&hinting->admin);
	if (hinting->cb == cb) {
		stop_tracking(hinting);
		store_release(&hinting->cb, NULL);
	}
	mutex_unlock(&hinting->admin);
}

int hinting_configure(struct hinting *hinting, const struct hinting_tracker *tracker, unsigned int min_order)
{
	int error;

	mutex_lock(&hinting->admin);
	stop_tracking(hinting);
	hinting->tracker = tracker;
	hinting->min_order = min_order;
	error = start_tracking(hinting);
	if (error)
		hinting->tracker = NULL;
	mutex_unlock(&hinting->admin);
	return error;
}

void hinting_init(struct hinting *hinting, struct zone *const *zones, unsigned int nr_zones, bool by_itself)
{
	*hinting = (struct hinting){
		.min_order = PAGE_HINTING_MIN_ORDER,
		.delay_ns = DELAY_NS,
		.nr_zones = nr_zones,
		.by_itself = by_itself,
	};
	mutex_init(&hinting->admin, "hinting_admin");
	mutex_init(&hinting->pass_lock, "hinting_pass");
	wait_queue_init(&hinting->returned);
	delayed_work_init(&hinting->work, run_pass);
	for (unsigned int at = 0; at < nr_zones; at++)
		hinting->zones[at].zone = zones[at];
}

/* ---- waiting for blocks to return ---------------------------------------------------------------------------------
 */

bool hinting_wait(struct hinting *hinting, uint32_t *seen, uint64_t timeout_ns)
{
	uint32_t before = *seen;

	if (load_relaxed(&hinting->away_pages) && load_acquire(&hinting->returns) == before) {
		atomic_inc(&hinting->waiters);
		(void)wait_event_timeout(&hinting->returned, load_acquire(&hinting->returns) != before, timeout_ns);
		atomic_dec(&hinting->waiters);
	}
	*seen = load_acquire(&hinting->returns);
	return *seen != before;
}

/* ---- verification -------------------------------------------------------------------------------------------------
 */

int hinting_check(struct hinting *hinting)
{
	int result = 0;

	for (unsigned int at = 0; at < hinting->nr_zones; at++) {
		struct tracked_zone *tracked = &hinting->zones[at];

		spin_lock(&tracked->zone->lock);
		if (tracked->zone->tracked == tracked && tracked->tracker->check(tracked))
			result = -EINVAL;
		spin_unlock(&tracked->zone->lock);
	}
	return result;
}

/* ---- the machine's ------------------------------------------------------------------------------------------------
 */

int page_hinting_enable(struct page_hinting_cb *cb)
{
	return hinting_enable(&page_hinting, cb);
}

void page_hinting_disable(struct page_hinting_cb *cb)
{
	hinting_disable(&page_hinting, cb);
}

uint32_t page_hinting_returns(void)
{
	return load_acquire(&page_hinting.returns);
}

bool page_hinting_wait(uint32_t *seen)
{
	return hinting_wait(&page_hinting, seen, WAIT_NS);
}

void page_hinting_hold(void)
{
	mutex_lock(&page_hinting.pass_lock);
}

void page_hinting_release(void)
{
	mutex_unlock(&page_hinting.pass_lock);
}
