/*
 * Blocks of balloon pages: from the allocator into batches, from batches to what is held, and back.
 *
 * Largest blocks first: while whole ones are free none is broken up, a batch of page numbers is one block of 1024
 * pages, and giving back is a few calls. `balloon->order` remembers the largest order that the allocator still had,
 * so that a fragmented guest is not asked ten times in vain for every block.
 *
 * Giving back fewer pages than the smallest block has gives back that block; what was too much is then taken again in
 * smaller ones. So nothing here ever needs memory to give memory back.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "mm/vmstat.h"

/* Movable: compaction may ask for them. Never at the expense of the reserves, and without a report of failure. */
#define BALLOON_GFP (GFP_MOVABLE | GFP_NORETRY | GFP_NOWARN | GFP_NOMEMALLOC | GFP_OWNER(PAGE_OWNER_BALLOON))

static unsigned int block_order(const struct page *page)
{
	return (unsigned int)page->private;
}

static unsigned int order_below(uint64_t pages, unsigned int most)
{
	unsigned int order = 0;

	while (order < most && 2ull << order <= pages)
		order++;
	return order;
}

uint64_t balloon_held_pages(const struct balloon *balloon)
{
	uint64_t pages = 0;

	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++)
		pages += balloon->holds[method].nr_pages;
	return pages;
}

struct balloon_batch *balloon_take_batch(struct balloon *balloon, enum balloon_method_id method)
{
	struct balloon_batch *batch;

	if (list_empty(&balloon->idle))
		return NULL;
	batch = list_first_entry(&balloon->idle, struct balloon_batch, node);
	batch->method = method;
	return batch;
}

/* How many more pages the batch can take. */
static uint64_t batch_room(const struct balloon *balloon, const struct balloon_batch *batch)
{
	const struct balloon_method *method = balloon_methods[batch->method];

	if (batch->nr_blocks >= method->most_blocks(balloon) || batch->nr_pages >= method->most_pages)
		return 0;
	return method->most_pages - batch->nr_pages;
}

static void batch_add(struct balloon_batch *batch, struct page *page)
{
	list_add_tail(&batch->blocks, &page->lru);
	batch->nr_blocks++;
	batch->nr_pages += 1ull << block_order(page);
}

/* A block of at most @most pages, the largest that can be had; NULL if not even a single page can. */
static struct page *take_block(struct balloon *balloon, uint64_t most)
{
	unsigned int order = order_below(most, balloon->order);

	for (;;) {
		struct page *page = alloc_pages(BALLOON_GFP, order);

		if (page) {
			page->private = order;
			return page;
		}
		if (!order)
			return NULL;
		balloon->order = --order;
	}
}

uint64_t balloon_fill_from_allocator(struct balloon *balloon, struct balloon_batch *batch, uint64_t wanted)
{
	while (batch->nr_pages < wanted) {
		uint64_t most = MIN(wanted - batch->nr_pages, batch_room(balloon, batch));
		struct page *page = most ? take_block(balloon, most) : NULL;

		if (!page)
			break;
		batch_add(batch, page);
	}
	return batch->nr_pages;
}

/* A held block of at most @most pages, the largest; else the smallest there is, if it fits in @room; else NULL. */
static struct page *take_held(struct balloon_hold *hold, uint64_t most, uint64_t room)
{
	unsigned int fitting = order_below(most, MAX_ORDER), order = fitting + 1;

	while (order-- > 0)
		if (!list_empty(&hold->blocks[order]))
			break;
	if (order > MAX_ORDER)
		for (order = fitting + 1; order < NR_ORDERS && list_empty(&hold->blocks[order]);)
			order++;
	if (order >= NR_ORDERS || 1ull << order > room)
		return NULL;
	return list_first_entry(&hold->blocks[order], struct page, lru);
}

uint64_t balloon_fill_from_hold(struct balloon *balloon, struct balloon_batch *batch, uint64_t surplus)
{
	struct balloon_hold *hold = &balloon->holds[batch->method];

	while (batch->nr_pages < surplus) {
		uint64_t room = batch_room(balloon, batch);
		struct page *page = take_held(hold, MIN(surplus - batch->nr_pages, room), room);

		if (!page)
			break;
		list_del(&page->lru);
		hold->nr_pages -= 1ull << block_order(page);
		batch_add(batch, page);
	}
	return batch->nr_pages;
}

/* The batch's blocks are elsewhere now. */
static void batch_empty(struct balloon *balloon, struct balloon_batch *batch)
{
	if (batch->state == BALLOON_BATCH_INFLATING)
		balloon->inflating_pages -= batch->nr_pages;
	else if (batch->state == BALLOON_BATCH_DEFLATING)
		balloon->deflating_pages -= batch->nr_pages;
	if (batch->state != BALLOON_BATCH_IDLE)
		list_add(&balloon->idle, &batch->node);
	batch->state = BALLOON_BATCH_IDLE;
	batch->nr_blocks = 0;
	batch->nr_pages = 0;
}

void balloon_batch_to_hold(struct balloon *balloon, struct balloon_batch *batch)
{
	struct balloon_hold *hold = &balloon->holds[batch->method];
	struct page *page, *after;

	list_for_each_entry_safe(page, after, &batch->blocks, lru) {
		list_del(&page->lru);
		list_add(&hold->blocks[block_order(page)], &page->lru);
	}
	hold->nr_pages += batch->nr_pages;
	batch_empty(balloon, batch);
}

static void free_list(struct list_node *blocks)
{
	struct page *page, *after;

	list_for_each_entry_safe(page, after, blocks, lru) {
		list_del(&page->lru);
		free_pages(page, block_order(page));
	}
}

void balloon_batch_to_allocator(struct balloon *balloon, struct balloon_batch *batch)
{
	free_list(&batch->blocks);
	balloon->order = MAX_ORDER;
	batch_empty(balloon, batch);
}

void balloon_release_hold(struct balloon *balloon)
{
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++) {
		struct balloon_hold *hold = &balloon->holds[method];

		for (unsigned int order = 0; order < NR_ORDERS; order++)
			free_list(&hold->blocks[order]);
		balloon->counters.deflated_pages += hold->nr_pages;
		vm_events(balloon_deflate, hold->nr_pages);
		hold->nr_pages = 0;
	}
}

/* ---- checking ---- */

/* The pages on a list, or UINT64_MAX with a line if one of them should not be there. @order: or NR_ORDERS for any. */
static uint64_t check_list(const struct balloon *balloon, const struct list_node *blocks, unsigned int order)
{
	uint64_t pages = 0;
	struct page *page;

	list_for_each_entry(page, blocks, lru) {
		unsigned int own = block_order(page);

		if (page_owner(page) != PAGE_OWNER_BALLOON || page_order(page) != own ||
		    (order != NR_ORDERS && own != order) || !IS_ALIGNED(page_to_pfn(page), 1ull << own)) {
			pr_err("%s: balloon block pfn 0x%llx order %u is no balloon's: owner %u, order %u",
			       balloon->dev->name, (unsigned long long)page_to_pfn(page), own, page_owner(page),
			       page_order(page));
			return UINT64_MAX;
		}
		pages += 1ull << own;
	}
	return pages;
}

static int compare(const struct balloon *balloon, const char *what, uint64_t found, uint64_t counted)
{
	if (found == UINT64_MAX)
		return -EINVAL;
	if (found == counted)
		return 0;
	pr_err("%s: %s: %llu pages found, %llu counted", balloon->dev->name, what, (unsigned long long)found,
	       (unsigned long long)counted);
	return -EINVAL;
}

static int check_batches(struct balloon *balloon, uint64_t *pages)
{
	uint64_t inflating = 0, deflating = 0;

	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++) {
		struct balloon_batch *batch = &balloon->batches[i];
		uint64_t found = check_list(balloon, &batch->blocks, NR_ORDERS);

		if (compare(balloon, "batch", found, batch->nr_pages))
			return -EINVAL;
		if (batch->state == BALLOON_BATCH_INFLATING)
			inflating += found;
		else if (batch->state == BALLOON_BATCH_DEFLATING)
			deflating += found;
		*pages += found;
	}
	if (compare(balloon, "inflating", inflating, balloon->inflating_pages))
		return -EINVAL;
	return compare(balloon, "deflating", deflating, balloon->deflating_pages);
}

int balloon_check_one(struct balloon *balloon, uint64_t *pages)
{
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++) {
		uint64_t found = 0;

		for (unsigned int order = 0; order < NR_ORDERS; order++) {
			uint64_t here = check_list(balloon, &balloon->holds[method].blocks[order], order);

			if (here == UINT64_MAX)
				return -EINVAL;
			found += here;
		}
		if (compare(balloon, balloon_methods[method]->name, found, balloon->holds[method].nr_pages))
			return -EINVAL;
		*pages += found;
	}
	return check_batches(balloon, pages);
}
