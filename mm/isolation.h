/*
 * Isolated pageblocks: their free pages are nobody's until they return to the type that they had. What is freed into
 * them stays there, so that a pageblock once emptied stays empty.
 */
#pragma once

#include "mm/zone.h"

/* All under the zone's lock. -EBUSY: it is isolated already. */
int isolation_begin_locked(struct zone *zone, uint32_t number) MUST_CHECK;
/* Back to its type; its free pages join its neighbours'. */
void isolation_end_locked(struct zone *zone, uint32_t number);
/*
 * [@index, @end), within one pageblock: what begins there is free, on per-CPU lists, with the host for a moment, or
 * belongs to owners that can move it, in blocks up to @max_order.
 */
bool isolation_can_empty_locked(const struct zone *zone, uint32_t index, uint32_t end, unsigned int max_order);
