/*
 * The state of hinting over some zones: the machine's, or a test's own.
 */
#pragma once

#include "kernel/mutex.h"
#include "kernel/work.h"
#include "mm/hinting.h"
#include "mm/memory.h"
#include "mm/tracker/tracker.h"

struct hinting_counters { /* see /sys/kernel/mm/page_hinting/stats */
	uint64_t found_free, found_taken, found_small;
	uint64_t reported_blocks, reported_bytes, lost_pages;
	uint64_t batches, passes, passes_cut, under_pressure;
	uint64_t prepare_failures, hint_failures;
	uint64_t away_ns;
};

struct hinting {
	struct mutex admin; /* who enables, disables, configures; taken before pass_lock */
	struct mutex pass_lock;
	struct page_hinting_cb *cb;	       /* NULL: nobody registered */
	const struct hinting_tracker *tracker; /* NULL: none chosen */
	unsigned int min_order;
	uint64_t delay_ns; /* from the first freed block to the pass, and between passes with nothing to do at once */
	unsigned int nr_zones;
	struct tracked_zone zones[MEMORY_MAX_ZONES];
	struct page_hinting_block *batch; /* [cb->max_pages] */
	bool tracking;			  /* cb, tracker and all books are there: changed under both mutexes */
	bool stopping;			  /* atomic: the pass that runs ends with its batch */
	bool by_itself;			  /* a work item runs the passes; tests run their own */
	bool armed;			  /* atomic: it is on its way */
	struct delayed_work work;
	struct wait_queue returned;	  /* those who wait for blocks to come back */
	uint32_t returns, waiters;	  /* atomic: batches that came back; who waits */
	uint64_t away_pages;		  /* atomic: with the backend */
	struct hinting_counters counters; /* written by passes, relaxed */
};

extern struct hinting page_hinting; /* the machine's */

/* @zones stay the caller's. No tracker, no backend, minimum order and delay as by default. */
void hinting_init(struct hinting *hinting, struct zone *const *zones, unsigned int nr_zones, bool by_itself);
int hinting_enable(struct hinting *hinting, struct page_hinting_cb *cb) MUST_CHECK;
void hinting_disable(struct hinting *hinting, struct page_hinting_cb *cb);
/* Another tracker (NULL: none) or minimum order, at any time. -ENOMEM: there is no tracker now. */
int hinting_configure(struct hinting *hinting, const struct hinting_tracker *tracker,
		      unsigned int min_order) MUST_CHECK;
/* One pass over all zones, now. True: there is more to do. */
bool hinting_pass(struct hinting *hinting);
/* Like page_hinting_wait(), without a hurry: true if blocks came back since @seen. */
bool hinting_wait(struct hinting *hinting, uint32_t *seen, uint64_t timeout_ns);
/* Books, tags and counters agree. 0 or -EINVAL with a line per fault. */
int hinting_check(struct hinting *hinting) MUST_CHECK;
