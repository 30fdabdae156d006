/*
 * Private zones for tests: their own page structures and arrays, nothing of the machine's memory.
 */
#pragma once

#include "kernel/ktest.h"
#include "mm/zone.h"

/* A zone of @pages pages, all free, type MIGRATE_MOVABLE, per-CPU lists for MAX_CPUS; released by the harness. */
struct zone *fixture_zone(struct ktest *t, uint64_t pages);
/* The same with nothing present yet. */
struct zone *fixture_empty_zone(struct ktest *t, uint64_t pages);
