/*
 * Hinting over zones of a test's own, and a backend that notes what it is told.
 */
#pragma once

#include "kernel/ktest.h"
#include "mm/hinting_internal.h"

#define HINTING_WAIT_NS	   (20 * NS_PER_S)
#define HINTING_MOST_PAGES (128u * PAGEBLOCK_PAGES)

static const struct hinting_tracker *const hinting_trackers[] = {&hinting_tracker_bitmap, &hinting_tracker_freelist};
#define for_each_hinting_tracker(tracker) \
	for (unsigned int _at = 0; _at < ARRAY_SIZE(hinting_trackers) && (tracker = hinting_trackers[_at]); _at++)

/* Notes what it is told, page by page, and does what a test wants in the meantime. */
struct hinting_backend {
	struct page_hinting_cb cb;
	struct ktest *t;
	uint64_t calls, pages; /* atomic */
	uint64_t told[HINTING_MOST_PAGES / 64];
	int prepare_result, hint_result;
	unsigned int prepares, cleanups;
	uint64_t most_away; /* pages of one call */
	bool block, inside; /* atomic: do not return; a call is under way */
	void (*during)(struct hinting_backend *backend);
	struct zone *zone; /* for during */
	void *data;
};

/* Released by the harness: before it the hinting that uses it, which is deferred later. */
struct hinting_backend *hinting_backend(struct ktest *t, unsigned int max_pages);
/* Over @nr zones, enabled with @backend; disabled and released by the harness. @by_itself: passes begin by themselves.
 */
struct hinting *hinting_over(struct ktest *t, struct zone *const *zones, unsigned int nr, bool by_itself,
			     const struct hinting_tracker *tracker, struct hinting_backend *backend);
/* Over one zone, which the backend knows; passes begin when the test says so. */
struct hinting *hinting_of(struct ktest *t, struct zone *zone, const struct hinting_tracker *tracker,
			   struct hinting_backend *backend);
void hinting_expect_sound(struct ktest *t, struct hinting *hinting);
/* How many pageblocks were told whole. */
unsigned int hinting_told_pageblocks(const struct hinting_backend *backend);
/* Waits until the figure is at least @wanted; whether it is just that. */
bool hinting_becomes(const uint64_t *figure, uint64_t wanted);
