/*
 * A kernel for fuzzers of whole drivers: one other thread, as a coroutine, pages from a small arena, a clock that goes
 * on when it is looked at. Nothing waits, nothing happens by chance: the same input does the same.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "kernel/time.h"
#include "mm/hinting.h"
#include "mm/movable.h"
#include "mm/oom.h"
#include "mm/page_alloc.h"
#include "mm/shrinker.h"

#define WORLD_PAGES 2048ull

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

struct work;

extern struct world {
	uint64_t now_ns;
	/* Called when somebody spins or notifies: a device may act, no more. */
	void (*steer)(void);
	/* Of the pages. */
	uint8_t owner[WORLD_PAGES], order[WORLD_PAGES]; /* of every page; owner 0: free */
	uint64_t free_pages;
	unsigned int fail_allocations; /* so many from now on */
	void (*freeing)(uint64_t pfn, unsigned int order);
	/* What the driver registered. */
	struct oom_notifier *oom;
	struct shrinker *shrinker;
	struct page_hinting_cb *hinting;
	bool in_hinting;
	const struct movable_ops *movable;
} world;

void world_init(void);
/* As it was in the beginning, but for pages that are lost. */
void world_reset(void);
/* The other thread runs until it sleeps; false: there is none, or it has come to its end. */
bool world_run_worker(void);
/* Work items that were queued, delayed ones too. */
void world_run_work(void);
