/*
 * Balloon pages that move (compaction, contiguous ranges): another block takes the place of one in the balloon.
 *
 *     isolate      the block's word is marked: it is neither given back nor moved by anybody else
 *     migrate      the worker inflates the new block; acknowledged, it takes the old one's word; then the worker
 * deflates the old one, where the method has to, and it is the caller's put_back     the mark is taken away
 *
 * There is no content to carry over. At no time does the host have less of the guest than `actual` says, and never is a
 * block used, or given back, that is on its way (5.5.6.1): both directions are acknowledged first. As the worker alone
 * touches the queues, whoever migrates leaves the two blocks here and sleeps; one move at a time.
 *
 * A balloon with isolated blocks cannot go away: its end refuses new ones and waits for those that are out.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/movable.h"
#include "mm/vmstat.h"

enum { MOVE_IDLE, MOVE_ASKED, MOVE_INFLATING, MOVE_TELL, MOVE_DEFLATING };

/* ---- finding; balloon->lock is held ---- */

struct place {
	uint64_t *word; /* of the block; NULL: it is in no bundle */
	struct balloon_bundle *bundle;
	enum balloon_method_id method;
};

static uint64_t *word_in(struct balloon_bundle *bundle, uint64_t pfn)
{
	if (pfn < bundle->first_pfn || pfn > bundle->last_pfn)
		return NULL;
	for (unsigned int at = 0; at < bundle->nr_blocks; at++)
		if (balloon_block_pfn(bundle->blocks[at]) == pfn)
			return &bundle->blocks[at];
	return NULL;
}

static struct place find_place(struct balloon *balloon, const struct page *page)
{
	struct place place = {0};

	for (place.method = 0; place.method < NR_BALLOON_METHODS; place.method++)
		list_for_each_entry(place.bundle, &balloon->holds[place.method].bundles, node) {
			place.word = word_in(place.bundle, page_to_pfn(page));
			if (place.word)
				return place;
		}
	return place;
}

/* The same for one that must be there, because it is isolated. */
static struct place place_of(struct balloon *balloon, const struct page *page)
{
	struct place place = find_place(balloon, page);

	ASSERT(place.word, "pfn 0x%llx was isolated and is in no balloon", (unsigned long long)page_to_pfn(page));
	return place;
}

/* ---- operations ---- */

static bool isolate_from(struct balloon *balloon, void *page)
{
	uint64_t *word;
	bool isolated;

	if (!mutex_trylock(&balloon->lock))
		return false;
	word = find_place(balloon, page).word;
	isolated = word && !balloon_block_is_isolated(*word) && !balloon->move.over;
	if (isolated) {
		*word |= BALLOON_BLOCK_ISOLATED;
		balloon->isolated_pages += balloon_block_pages(*word);
	}
	mutex_unlock(&balloon->lock);
	return isolated;
}

static bool isolate(struct page *page)
{
	return balloon_find(isolate_from, page, false) != NULL;
}

static bool has_isolated(struct balloon *balloon, void *page)
{
	bool found;

	mutex_lock(&balloon->lock);
	found = find_place(balloon, page).word;
	mutex_unlock(&balloon->lock);
	return found;
}

/* Held on to until balloon_put(): a block that was moved does not keep it any more. */
static struct balloon *owner_of(struct page *page)
{
	struct balloon *balloon = balloon_find(has_isolated, page, true);

	ASSERT(balloon, "pfn 0x%llx was isolated and is in no balloon", (unsigned long long)page_to_pfn(page));
	return balloon;
}

static void unmark(struct balloon *balloon, uint64_t *word)
{
	balloon->isolated_pages -= balloon_block_pages(*word);
	*word &= ~BALLOON_BLOCK_ISOLATED;
}

static void put_back(struct page *page)
{
	struct balloon *balloon = owner_of(page);

	mutex_lock(&balloon->lock);
	unmark(balloon, place_of(balloon, page).word);
	mutex_unlock(&balloon->lock);
	balloon_put(balloon);
}

static int migrate(struct page *from, struct page *to)
{
	struct balloon *balloon = owner_of(from);
	struct balloon_move *move = &balloon->move;
	int result = -EAGAIN;
	bool asked;

	mutex_lock(&move->lock);
	mutex_lock(&balloon->lock);
	asked = !move->over;
	if (asked) {
		move->from = from;
		move->to = to;
		store_release(&move->state, MOVE_ASKED);
	}
	mutex_unlock(&balloon->lock);
	if (asked) {
		balloon_poke(balloon);
		wait_event(&move->done, load_acquire(&move->state) == MOVE_IDLE);
		result = move->result;
	}
	mutex_unlock(&move->lock);
	balloon_put(balloon);
	return result;
}

static const struct movable_ops ops = {.isolate = isolate, .migrate = migrate, .put_back = put_back};

void balloon_move_init(void)
{
	movable_register(PAGE_OWNER_BALLOON, &ops);
}

/* ---- the worker's side: balloon->lock is held ---- */

static void finish(struct balloon_move *move, int result)
{
	move->result = result;
	store_release(&move->state, MOVE_IDLE);
	wake_up_all(&move->done);
}

/* The new block has the old one's place; the old one is nobody's until the caller gets it. */
static void take_place(struct balloon *balloon)
{
	struct balloon_move *move = &balloon->move;
	struct place place = place_of(balloon, move->from);
	unsigned int order = balloon_block_order(*place.word);
	uint64_t pfn = page_to_pfn(move->to);

	unmark(balloon, place.word);
	*place.word = balloon_block(pfn, order);
	place.bundle->first_pfn = MIN(place.bundle->first_pfn, pfn);
	place.bundle->last_pfn = MAX(place.bundle->last_pfn, pfn);
	balloon->counters.moved_pages += 1ull << order;
	vm_events(balloon_migrate, 1ull << order);
	balloon_fill_poison(balloon, move->from, order);
}

static int send_move(struct balloon *balloon, struct balloon_batch *batch, struct page *page, unsigned int order,
		     int (*send)(struct balloon *balloon, struct balloon_batch *batch))
{
	int error;

	balloon_batch_set(batch, balloon_block(page_to_pfn(page), order));
	error = send(balloon, batch);
	if (error == -ENOSPC)
		balloon_batch_forget(balloon, batch);
	else
		balloon_batch_sent(balloon, batch, BALLOON_BATCH_MOVING);
	return error;
}

static int begin(struct balloon *balloon)
{
	struct balloon_move *move = &balloon->move;
	struct place place = place_of(balloon, move->from);
	struct balloon_batch *batch = balloon_take_batch(balloon, place.method);
	int error = -ENOSPC;

	move->method = place.method;
	move->order = balloon_block_order(*place.word);
	if (batch)
		error = send_move(balloon, batch, move->to, move->order, balloon_methods[place.method]->inflate);
	if (error == -ENOSPC) {
		finish(move, -EAGAIN);
		return 0;
	}
	store_release(&move->state, MOVE_INFLATING);
	return error;
}

static int tell(struct balloon *balloon)
{
	struct balloon_move *move = &balloon->move;
	struct balloon_batch *batch = balloon_take_batch(balloon, move->method);
	int error = -ENOSPC;

	if (batch)
		error = send_move(balloon, batch, move->from, move->order, balloon_methods[move->method]->deflate);
	if (error == -ENOSPC)
		return 0; /* another turn */
	store_release(&move->state, MOVE_DEFLATING);
	return error;
}

int balloon_move_turn(struct balloon *balloon)
{
	uint32_t state = load_relaxed(&balloon->move.state);

	if (state == MOVE_ASKED)
		return begin(balloon);
	return state == MOVE_TELL ? tell(balloon) : 0;
}

bool balloon_move_in_flight(const struct balloon *balloon)
{
	uint32_t state = load_relaxed(&balloon->move.state);

	return state == MOVE_INFLATING || state == MOVE_DEFLATING;
}

void balloon_move_answered(struct balloon *balloon, struct balloon_batch *batch)
{
	struct balloon_move *move = &balloon->move;

	balloon_batch_forget(balloon, batch);
	if (load_relaxed(&move->state) == MOVE_INFLATING) {
		take_place(balloon);
		store_release(&move->state, MOVE_TELL);
		if (balloon_methods[move->method]->deflate)
			return;
	}
	finish(move, 0);
}

/* A device that does not reset may yet drop the new block: it is lost to it. The old one has left the balloon. */
static void lose(struct balloon *balloon, struct balloon_batch *batch)
{
	struct balloon_move *move = &balloon->move;
	struct place place = place_of(balloon, move->from);

	unmark(balloon, place.word);
	*place.word = place.bundle->blocks[--place.bundle->nr_blocks];
	balloon->holds[place.method].nr_pages -= batch->nr_pages;
	balloon->inflating_pages += batch->nr_pages;
	batch->state = BALLOON_BATCH_INFLATING;
}

static void end_batch(struct balloon *balloon, bool reset)
{
	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++) {
		struct balloon_batch *batch = &balloon->batches[i];

		if (batch->state != BALLOON_BATCH_MOVING)
			continue;
		if (load_relaxed(&balloon->move.state) == MOVE_INFLATING && !reset)
			lose(balloon, batch);
		else
			balloon_batch_forget(balloon, batch);
	}
}

void balloon_move_over(struct balloon *balloon, bool reset)
{
	struct balloon_move *move = &balloon->move;
	uint32_t state = load_relaxed(&move->state);

	move->over = true;
	end_batch(balloon, reset);
	if (state != MOVE_IDLE)
		finish(move, state == MOVE_ASKED || (state == MOVE_INFLATING && reset) ? -EAGAIN : 0);
	while (balloon->isolated_pages) {
		mutex_unlock(&balloon->lock);
		sleep_ns(NS_PER_MS);
		mutex_lock(&balloon->lock);
	}
}
