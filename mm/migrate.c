/*
 * Migration of blocks.
 *
 * A tag says whose a block is and how large, but it is read without its owner's lock, so all it makes of a block is a
 * candidate. Only when the owner's isolate() has said yes nobody else frees or moves the block, and then the tag is
 * read again. The block that became free goes to the buddy lists at once, not onto a per-CPU list, where it would keep
 * its pageblock from becoming whole.
 */
#include "mm/migrate.h"

#include "kernel/kasan.h"
#include "kernel/thread.h"
#include "lib/errno.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/trace.h"
#include "mm/vmstat.h"

/* ---- finding ------------------------------------------------------------------------------------------------------
 */

/* The end of the run of free pages at @at; @at itself if it is not free. */
static unsigned int free_run_end(const struct pageblock *pageblock, unsigned int at)
{
	uint64_t taken = ~(pageblock->map[at / 64] >> at % 64);

	return taken ? at + (unsigned int)__builtin_ctzll(taken) : ALIGN_UP(at + 1, 64u);
}

bool migrate_find_locked(const struct zone *zone, uint32_t *index, uint32_t end, uint8_t *tag)
{
	const struct pageblock *pageblock = &zone->pageblocks[*index / PAGEBLOCK_PAGES];

	if (pageblock->whole_order || !(pageblock->flags & PAGEBLOCK_PRESENT))
		return false;
	if (!(pageblock->flags & PAGEBLOCK_MAPPED))
		end = MIN(end, ALIGN_DOWN(*index, PAGEBLOCK_PAGES) + 1); /* taken as a whole: one tag */
	while (*index < end) {
		uint32_t next = *index;

		if (pageblock->flags & PAGEBLOCK_MAPPED)
			next += free_run_end(pageblock, next % PAGEBLOCK_PAGES) - next % PAGEBLOCK_PAGES;
		if (next == *index) {
			*tag = zone_tag(zone, next);
			if (TAG_OWNER(*tag) != PAGE_OWNER_NONE)
				return true;
			next++;
		}
		*index = next;
	}
	return false;
}

uint32_t migrate_collect_locked(struct migrate *migrate, uint32_t index, uint32_t end)
{
	uint8_t tag;

	while (migrate->count < MIGRATE_BATCH && migrate_find_locked(migrate->zone, &index, end, &tag)) {
		const struct movable_ops *ops = movable_ops_of(TAG_OWNER(tag));

		if (ops && TAG_ORDER(tag) <= migrate->max_order)
			migrate->blocks[migrate->count++] = (struct migrate_block){
				.from = zone_page(migrate->zone, index),
				.ops = ops,
				.owner = TAG_OWNER(tag),
			};
		migrate->scanned++;
		index += 1u << TAG_ORDER(tag);
	}
	return migrate->count < MIGRATE_BATCH ? MAX(index, end) : index;
}

/* ---- moving -------------------------------------------------------------------------------------------------------
 */

static bool isolate_block(const struct migrate *migrate, struct migrate_block *block)
{
	uint8_t tag;

	if (!block->ops->isolate(block->from))
		return false;
	tag = zone_tag(migrate->zone, zone_index(migrate->zone, block->from));
	block->order = TAG_ORDER(tag);
	if (TAG_OWNER(tag) == block->owner && block->order <= migrate->max_order)
		return true;
	block->ops->put_back(block->from);
	return false;
}

void migrate_isolate(struct migrate *migrate)
{
	uint32_t kept = 0;

	for (uint32_t at = 0; at < migrate->count; at++) {
		struct migrate_block block = migrate->blocks[at];

		if (!isolate_block(migrate, &block))
			continue;
		migrate->isolated += 1u << block.order;
		migrate->blocks[kept++] = block;
	}
	migrate->count = kept;
}

/* Zones of tests are books without memory behind them. */
static bool has_memory(const struct zone *zone)
{
	return zone >= memory.zones && zone < memory.zones + memory.nr_zones;
}

struct page *migrate_prepare_target(struct zone *zone, uint32_t index, const struct migrate_block *block)
{
	struct page *page = zone_page(zone, index);

	pcp_adopt(zone, index, block->order, block->owner);
	page_fill(page);
	if (has_memory(zone))
		kasan_unpoison(page_address(page), PAGE_SIZE << block->order);
	return page;
}

static void free_block(struct zone *zone, struct page *page, unsigned int order)
{
	if (!zone) {
		free_pages(page, order);
		return;
	}
	if (has_memory(zone)) {
		trace_page_free(page, order);
		kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
	}
	pcp_bypass_give(zone, zone_index(zone, page), order);
}

/* The block is done with: moved, or back where it was. */
static void finish_block(struct migrate *migrate, struct migrate_block *block, bool moved)
{
	if (moved) {
		if (has_memory(migrate->zone))
			TRACE(mm_page_move, .from_pfn = page_to_pfn(block->from), .to_pfn = page_to_pfn(block->to),
			      .order = block->order);
		free_block(migrate->zone, block->from, block->order);
		migrate->migrated += 1u << block->order;
		return;
	}
	block->ops->put_back(block->from);
	if (block->to)
		free_block(migrate->to_zone, block->to, block->order);
	migrate->failed += 1u << block->order;
}

/* One round; what is to be tried again stays in the batch. */
static void migrate_round(struct migrate *migrate, bool last)
{
	uint32_t kept = 0;

	for (uint32_t at = 0; at < migrate->count; at++) {
		struct migrate_block block = migrate->blocks[at];
		int error = block.to ? block.ops->migrate(block.from, block.to) : -ENOMEM;

		if (error == -EAGAIN && !last)
			migrate->blocks[kept++] = block;
		else
			finish_block(migrate, &block, !error);
	}
	migrate->count = kept;
}

uint64_t migrate_batch(struct migrate *migrate, unsigned int tries)
{
	uint64_t migrated = migrate->migrated, failed = migrate->failed;

	for (unsigned int round = 1; migrate->count; round++) {
		if (round > 1)
			thread_yield();
		migrate_round(migrate, round >= tries);
	}
	vm_events(pgmigrate_success, migrate->migrated - migrated);
	vm_events(pgmigrate_fail, migrate->failed - failed);
	return migrate->failed - failed;
}
