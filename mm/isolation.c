/*
 * Setting pageblocks apart.
 *
 * MIGRATE_ISOLATE is a type like the others, whose lists nobody allocates from; the type before is remembered in the
 * pageblock. Pages of it that are on per-CPU lists at that time may still be handed out: who needs the pageblock
 * empty drains them after isolating.
 */
#include "mm/isolation.h"

#include "kernel/panic.h"
#include "lib/errno.h"
#include "mm/buddy.h"
#include "mm/migrate.h"

bool isolation_can_empty_locked(const struct zone *zone, uint32_t index, uint32_t end, unsigned int max_order)
{
	uint8_t tag;

	while (index < end && migrate_find_locked(zone, &index, end, &tag)) {
		bool comes_back = TAG_OWNER(tag) == PAGE_OWNER_HINTED;

		if (!comes_back && (TAG_ORDER(tag) > max_order || !movable_ops_of(TAG_OWNER(tag))))
			return false;
		index += 1u << TAG_ORDER(tag);
	}
	return true;
}

int isolation_begin_locked(struct zone *zone, uint32_t number)
{
	struct pageblock *pageblock = &zone->pageblocks[number];

	if (pageblock->migratetype == MIGRATE_ISOLATE)
		return -EBUSY;
	pageblock->isolated_type = pageblock->migratetype;
	buddy_set_migratetype_locked(zone, number, MIGRATE_ISOLATE);
	WRITE_ONCE(zone->nr_isolated_pageblocks, zone->nr_isolated_pageblocks + 1);
	return 0;
}

void isolation_end_locked(struct zone *zone, uint32_t number)
{
	ASSERT(zone->pageblocks[number].migratetype == MIGRATE_ISOLATE, "pageblock %u is not isolated", number);
	buddy_set_migratetype_locked(zone, number, zone->pageblocks[number].isolated_type);
	WRITE_ONCE(zone->nr_isolated_pageblocks, zone->nr_isolated_pageblocks - 1);
}
