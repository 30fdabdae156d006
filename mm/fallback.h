/*
 * Falling back: a request whose own type has nothing left takes from another type's lists.
 */
#pragma once

#include "mm/zone.h"

/* Takes 2^order pages for @mt from another type, claiming the pageblock if the rules allow. ZONE_INDEX_NONE: nothing.
 */
uint32_t fallback_take_locked(struct zone *zone, unsigned int order, enum migratetype mt);
