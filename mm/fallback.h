/*
 * Falling back: a request whose own type has nothing left takes from another type's lists.
 */
#pragma once

#include "mm/request.h"

/*
 * Takes what @request wants from another type, claiming the pageblock if the rules allow, unless its flags or its
 * policy forbid it. ZONE_INDEX_NONE: nothing. zone->lock is held.
 */
uint32_t fallback_take_locked(struct zone *zone, const struct alloc_request *request);
