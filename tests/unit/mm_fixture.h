/*
 * Private zones for tests: their own page structures and arrays, nothing of the machine's memory.
 */
#pragma once

#include "kernel/ktest.h"
#include "mm/request.h"

/* A zone of @pages pages, all free, type MIGRATE_MOVABLE, per-CPU lists for MAX_CPUS; released by the harness. */
struct zone *fixture_zone(struct ktest *t, uint64_t pages);
/* The same with nothing present yet. */
struct zone *fixture_empty_zone(struct ktest *t, uint64_t pages);
/* Two free pageblocks of the machine's, so that its pages may be handed out as page_alloc does; back at the end. */
struct zone *fixture_real_zone(struct ktest *t);
/* /proc/meminfo and its like; in the guest they are there already. */
void fixture_memory_files(struct ktest *t);
/* As a test asks a zone directly: no policy, no restrictions. */
#define fixture_request(order_, mt_, owner_) \
	(&(struct alloc_request){.order = (order_), .mt = (mt_), .owner = (owner_), .stage = ALLOC_LAST})
