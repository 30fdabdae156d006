/*
 * Blocks of balloon pages: from the allocator into batches, from batches to what is held, and back.
 *
 * Largest blocks first: while whole ones are free none is broken up, a batch of page numbers is one block of 1024
 * pages, and giving back is a few calls. `balloon->order` remembers the largest order that the allocator still had,
 * so that a fragmented guest is not asked ten times in vain for every block.
 *
 * What was taken last is given back first. If the last block is more than is wanted, it goes all the same, and
 * what was too much is then taken again in smaller ones, which are then the last. So nothing here ever needs
 * memory to give memory back, and no block is ever split.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vmstat.h"

/* Movable: compaction may ask for them. Never at the expense of the reserves, and without a report of failure. */
#define BALLOON_GFP \
	(GFP_MOVABLE | GFP_NORETRY | GFP_NOWARN | GFP_NOMEMALLOC | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_BALLOON))

#define SMALL_BUNDLE_BYTES 512u /* kmalloc() takes single pages for these */

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

static unsigned int batch_most_blocks(const struct balloon *balloon, const struct balloon_batch *batch)
{
	return MIN(balloon_methods[batch->method]->most_blocks(balloon), BALLOON_BLOCKS_PER_BUNDLE);
}

/* How many more pages the batch can take. */
static uint64_t batch_room(const struct balloon *balloon, const struct balloon_batch *batch)
{
	const struct balloon_method *method = balloon_methods[batch->method];

	if (batch->nr_blocks >= batch_most_blocks(balloon, batch) || batch->nr_pages >= method->most_pages)
		return 0;
	return method->most_pages - batch->nr_pages;
}

static void batch_add(struct balloon_batch *batch, uint64_t block)
{
	batch->blocks[batch->nr_blocks++] = block;
	batch->nr_pages += balloon_block_pages(block);
}

void balloon_fill(const struct balloon *balloon, struct page *page, unsigned int order)
{
	uint64_t *word = page_address(page), *end = word + (PAGE_SIZE << order) / sizeof(*word);
	uint64_t value = (uint64_t)balloon->poison_val << 32 | balloon->poison_val;

	while (word < end)
		*word++ = value;
}

void balloon_fill_poison(const struct balloon *balloon, struct page *page, unsigned int order)
{
	if (balloon->poisoned)
		balloon_fill(balloon, page, order);
}

/* A few blocks are a few words; many are small ones, so that larger memory than a page may be nowhere. */
static struct balloon_bundle *make_bundle(unsigned int blocks)
{
	size_t bytes = sizeof(struct balloon_bundle) + blocks * sizeof(uint64_t);
	bool whole_page = bytes > SMALL_BUNDLE_BYTES;
	struct balloon_bundle *bundle = NULL;
	struct page *page;

	if (whole_page) {
		page = alloc_pages(GFP_NOWAIT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DRIVER), 0);
		bundle = page ? page_address(page) : NULL;
	} else {
		bundle = kmalloc_atomic(bytes);
	}
	if (bundle)
		bundle->whole_page = whole_page;
	return bundle;
}

static void free_bundle(struct balloon_bundle *bundle)
{
	if (bundle && bundle->whole_page)
		free_pages(virt_to_page(bundle), 0);
	else
		kfree(bundle);
}

static void free_blocks(const struct balloon *balloon, const uint64_t *blocks, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct page *page = pfn_to_page(balloon_block_pfn(blocks[i]));

		balloon_fill_poison(balloon, page, balloon_block_order(blocks[i]));
		free_pages(page, balloon_block_order(blocks[i]));
	}
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

void balloon_batch_set(struct balloon_batch *batch, uint64_t block)
{
	batch_add(batch, block);
}

void balloon_batch_forget(struct balloon *balloon, struct balloon_batch *batch)
{
	batch_empty(balloon, batch);
}

/* ---- taking ---- */

/*
 * Adds blocks of at most @most pages together, the largest that can be had; false if not even a single page can. Many
 * at once, for each request costs several times as much as the block itself.
 */
static bool take_blocks(struct balloon *balloon, struct balloon_batch *batch, uint64_t most)
{
	unsigned int order = order_below(most, balloon->order);
	struct page *pages[BALLOON_BLOCKS_PER_BATCH];
	uint64_t room = MIN(batch_most_blocks(balloon, batch) - batch->nr_blocks, ARRAY_SIZE(pages));

	for (;;) {
		size_t wanted = MIN(most >> order, room);
		size_t got = alloc_pages_bulk(NODE_ANY, BALLOON_GFP, order, wanted, pages);

		for (size_t at = 0; at < got; at++)
			batch_add(batch, balloon_block(page_to_pfn(pages[at]), order));
		if (got < wanted && order)
			balloon->order = order - 1;
		if (got || !order)
			return got > 0;
		order--;
	}
}

uint64_t balloon_fill_from_allocator(struct balloon *balloon, struct balloon_batch *batch, uint64_t wanted)
{
	while (batch->nr_pages < wanted) {
		uint64_t most = MIN(wanted - batch->nr_pages, batch_room(balloon, batch));

		if (!most || !take_blocks(balloon, batch, most))
			break;
	}
	if (!batch->nr_blocks)
		return 0;
	batch->bundle = make_bundle(batch->nr_blocks);
	if (!batch->bundle)
		balloon_batch_to_allocator(balloon, batch);
	return batch->nr_pages;
}

void balloon_batch_shorten(struct balloon *balloon, struct balloon_batch *batch, unsigned int blocks)
{
	for (unsigned int at = blocks; at < batch->nr_blocks; at++)
		batch->nr_pages -= balloon_block_pages(batch->blocks[at]);
	free_blocks(balloon, batch->blocks + blocks, batch->nr_blocks - blocks);
	batch->nr_blocks = blocks;
}

void balloon_batch_to_hold(struct balloon *balloon, struct balloon_batch *batch)
{
	struct balloon_hold *hold = &balloon->holds[batch->method];
	struct balloon_bundle *bundle = batch->bundle;

	bundle->nr_blocks = batch->nr_blocks;
	bundle->first_pfn = UINT64_MAX;
	bundle->last_pfn = 0;
	for (unsigned int at = 0; at < batch->nr_blocks; at++) {
		bundle->first_pfn = MIN(bundle->first_pfn, balloon_block_pfn(batch->blocks[at]));
		bundle->last_pfn = MAX(bundle->last_pfn, balloon_block_pfn(batch->blocks[at]));
	}
	memcpy(bundle->blocks, batch->blocks, batch->nr_blocks * sizeof(batch->blocks[0]));
	list_add(&hold->bundles, &bundle->node);
	batch->bundle = NULL;
	hold->nr_pages += batch->nr_pages;
	batch_empty(balloon, batch);
}

/* ---- giving back ---- */

/* The last block held that nobody is moving, brought to the end of its bundle; NULL: there is none. */
static struct balloon_bundle *last_bundle(struct balloon_hold *hold)
{
	struct balloon_bundle *bundle;

	list_for_each_entry(bundle, &hold->bundles, node)
		for (unsigned int at = bundle->nr_blocks; at-- > 0;) {
			uint64_t *last = &bundle->blocks[bundle->nr_blocks - 1], block = bundle->blocks[at];

			if (balloon_block_is_isolated(block))
				continue;
			bundle->blocks[at] = *last;
			*last = block;
			return bundle;
		}
	return NULL;
}

/* The bundle's last block goes into the batch; the bundle goes when it is empty. */
static void take_held(struct balloon_hold *hold, struct balloon_bundle *bundle, struct balloon_batch *batch)
{
	uint64_t block = bundle->blocks[--bundle->nr_blocks];

	hold->nr_pages -= balloon_block_pages(block);
	batch_add(batch, block);
	if (bundle->nr_blocks)
		return;
	list_del(&bundle->node);
	free_bundle(bundle);
}

uint64_t balloon_fill_from_hold(struct balloon *balloon, struct balloon_batch *batch, uint64_t surplus)
{
	struct balloon_hold *hold = &balloon->holds[batch->method];

	while (batch->nr_pages < surplus) {
		struct balloon_bundle *bundle = last_bundle(hold);

		if (!bundle || balloon_block_pages(bundle->blocks[bundle->nr_blocks - 1]) > batch_room(balloon, batch))
			break;
		take_held(hold, bundle, batch);
	}
	return batch->nr_pages;
}

void balloon_batch_to_allocator(struct balloon *balloon, struct balloon_batch *batch)
{
	free_blocks(balloon, batch->blocks, batch->nr_blocks);
	free_bundle(batch->bundle);
	batch->bundle = NULL;
	balloon->order = MAX_ORDER;
	batch_empty(balloon, batch);
}

void balloon_release_hold(struct balloon *balloon)
{
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++) {
		struct balloon_hold *hold = &balloon->holds[method];
		struct balloon_bundle *bundle, *after;

		list_for_each_entry_safe(bundle, after, &hold->bundles, node) {
			free_blocks(balloon, bundle->blocks, bundle->nr_blocks);
			list_del(&bundle->node);
			free_bundle(bundle);
		}
		balloon->counters.deflated_pages += hold->nr_pages;
		vm_events(balloon_deflate, hold->nr_pages);
		hold->nr_pages = 0;
	}
}

/* ---- checking ---- */

/* The pages of these blocks, or UINT64_MAX with a line if one of them should not be there. */
static uint64_t check_blocks(const struct balloon *balloon, const uint64_t *blocks, unsigned int count)
{
	uint64_t pages = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t pfn = balloon_block_pfn(blocks[i]);
		unsigned int order = balloon_block_order(blocks[i]);
		const struct page *page = pfn_to_page(pfn);

		if (!pfn_valid(pfn) || page_owner(page) != PAGE_OWNER_BALLOON || page_order(page) != order) {
			pr_err("%s: balloon block pfn 0x%llx order %u is not the balloon's", balloon->dev->name,
			       (unsigned long long)pfn, order);
			return UINT64_MAX;
		}
		pages += 1ull << order;
	}
	return pages;
}

static int compare(const struct balloon *balloon, const char *what, uint64_t found, uint64_t counted)
{
	if (found == counted)
		return 0;
	pr_err("%s: %s: %llu pages found, %llu counted", balloon->dev->name, what, (unsigned long long)found,
	       (unsigned long long)counted);
	return -EINVAL;
}

static int check_batches(const struct balloon *balloon)
{
	uint64_t inflating = 0, deflating = 0;

	for (unsigned int i = 0; i < BALLOON_NR_BATCHES; i++) {
		const struct balloon_batch *batch = &balloon->batches[i];
		uint64_t found = check_blocks(balloon, batch->blocks, batch->nr_blocks);

		if (compare(balloon, "batch", found, batch->nr_pages))
			return -EINVAL;
		if (batch->state == BALLOON_BATCH_INFLATING)
			inflating += found;
		else if (batch->state == BALLOON_BATCH_DEFLATING)
			deflating += found;
	}
	if (compare(balloon, "inflating", inflating, balloon->inflating_pages))
		return -EINVAL;
	return compare(balloon, "deflating", deflating, balloon->deflating_pages);
}

static uint64_t count_isolated(const struct balloon_bundle *bundle)
{
	uint64_t pages = 0;

	for (unsigned int at = 0; at < bundle->nr_blocks; at++)
		if (balloon_block_is_isolated(bundle->blocks[at]))
			pages += balloon_block_pages(bundle->blocks[at]);
	return pages;
}

int balloon_check_one(const struct balloon *balloon)
{
	uint64_t isolated = 0;

	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++) {
		const struct balloon_hold *hold = &balloon->holds[method];
		const struct balloon_bundle *bundle;
		uint64_t found = 0;

		list_for_each_entry(bundle, &hold->bundles, node) {
			uint64_t here = check_blocks(balloon, bundle->blocks, bundle->nr_blocks);

			if (here == UINT64_MAX)
				return -EINVAL;
			found += here;
			isolated += count_isolated(bundle);
		}
		if (compare(balloon, balloon_methods[method]->name, found, hold->nr_pages))
			return -EINVAL;
	}
	if (compare(balloon, "isolated", isolated, balloon->isolated_pages))
		return -EINVAL;
	return check_batches(balloon);
}
