/*
 * The reserve for atomic requests above order 0: pageblocks from which nobody else takes, up to 1 % of a zone.
 *
 * When such a request had to go below the low mark, the pageblock it got its block from joins the reserve; when memory
 * is so short that reclaim finds nothing, pageblocks leave it again.
 */
#pragma once

#include "mm/zone.h"

/* The pageblock of the block at @index joins, unless the reserve is full or it is of another kind. zone->lock is held.
 */
void highatomic_reserve_locked(struct zone *zone, uint32_t index);
/* A pageblock with free pages leaves the reserve of @zone and becomes one of @mt; false: there was none. */
bool highatomic_unreserve(struct zone *zone, enum migratetype mt);
