/*
 * Between compaction's mechanism (compaction.c) and its scans (compact_linear.c, compact_fullest.c). A run belongs to
 * one thread; what it shares is under the zone's lock.
 */
#pragma once

#include "kernel/vfile.h"
#include "mm/compaction.h"
#include "mm/migrate.h"

#define COMPACT_ALL    UINT32_MAX /* as order: whatever can be had */
#define COMPACT_NONE   UINT32_MAX
#define COMPACT_RANKED 32u
#define COMPACT_VISITS 64u /* pageblocks looked at before the lock is let go */

/* The best pageblocks of a survey, best first. */
struct compact_ranking {
	uint32_t count, next;
	struct {
		uint32_t number, rank;
	} entries[COMPACT_RANKED];
};

struct compact_run {
	struct zone *zone;
	unsigned int order; /* wanted, or COMPACT_ALL */
	enum zone_type highest;
	bool sync, by_daemon, ignore_hints;
	uint32_t wanted;     /* pageblocks after which a run of order COMPACT_ALL may end; 0: as many as there can be */
	uint64_t score_goal; /* or the score at which it may */
	const struct compact_scan *scan;
	struct compact_capture *capture; /* NULL: nobody waits for the block */

	bool contended;
	uint32_t emptied; /* pageblocks that became whole */
	uint64_t free_scanned;
	struct migrate migrate;

	struct {
		uint32_t source, target[PAGEBLOCK_ORDER]; /* the free scanner, for blocks of each order */
		bool from_start;
	} linear;
	struct {
		struct compact_ranking sources, targets;
		uint64_t spare; /* free pages of pageblocks that are not whole */
	} fullest;
};

struct compact_scan {
	const char *name;
	bool whole_or_nothing; /* a pageblock is given up when something in it stays */
	void (*begin)(struct compact_run *run);
	/* The pageblock to empty next; COMPACT_NONE: there is none. */
	uint32_t (*next_source)(struct compact_run *run);
	/* Takes a block to move to off the lists; ZONE_INDEX_NONE: there is none. */
	uint32_t (*take_target)(struct compact_run *run, unsigned int order);
	/* @found: something to move was in it. */
	void (*source_done)(struct compact_run *run, uint32_t number, bool found);
	void (*end)(struct compact_run *run);
};

extern const struct compact_scan compact_linear, compact_fullest;

/* Not sync: a lock that somebody holds ends the run. False: not taken. */
bool compact_lock(struct compact_run *run) MUST_CHECK;
/* All pageblocks may be looked at again. Takes the lock. */
void compact_forget_hints(struct zone *zone);
/* Pageblock @number has become whole: the block that is waited for comes from it. Under the lock. */
void compact_capture_from_locked(struct compact_run *run, uint32_t number);
/* A pageblock that has both, free pages and others. Under the lock. */
static inline bool compact_is_partial(const struct pageblock *pageblock)
{
	return (pageblock->flags & PAGEBLOCK_MAPPED) && !pageblock->whole_order;
}
/* One run from begin to end; @run has zone, order, sync, by_daemon, ignore_hints and scan, the rest cleared. */
enum compact_result compact_zone(struct compact_run *run);

/* What the trace says about where the scanners are. */
static inline uint32_t compact_source_index(const struct compact_run *run)
{
	return run->linear.source * PAGEBLOCK_PAGES;
}

static inline uint64_t compact_target_index(const struct compact_run *run)
{
	return run->scan == &compact_linear ? run->linear.target[0] * PAGEBLOCK_PAGES : run->zone->spanned_pages;
}

/* A failure at @order turns the next requests for it, or larger ones, away. */
bool compaction_deferred(struct zone *zone, unsigned int order);
/* One zone for one request, if it is suitable; failures are remembered. */
enum compact_result compact_zone_for(struct zone *zone, unsigned int order, enum zone_type highest, bool sync,
				     struct compact_capture *capture, bool by_daemon);
/* kcompactd's: until the fragmentation policy has the whole pageblocks that it wants; until the score is low. */
void compaction_keep_whole(struct zone *zone);
void compaction_proactive(struct zone *zone);
/* Percent of the free memory that is not in whole pageblocks; and where a proactive run ends. */
uint64_t compaction_score(const struct zone *zone);
uint64_t compaction_score_target(void);

/* Sysctls. */
struct compaction_settings {
	struct vfile_int extfrag_threshold, proactiveness;
	struct vfile_choice scan;
};
extern struct compaction_settings compaction_settings;
int compaction_files_init(void) MUST_CHECK;
