/*
 * Page counters: hierarchical usage with limits that hold exactly, whoever charges at once.
 *
 * A charge counts in the counter and in all its ancestors, or in none. The sum of what is charged below a limit never
 * exceeds it, not even for a moment: each level is taken with a compare-and-swap that refuses to pass the limit.
 *
 * What was uncharged lately stays with the CPU that uncharged it (a *stock*: one counter and a few pages per CPU), so
 * that a task that allocates and frees in turn, and CPUs in different branches, leave the common ancestors' cache
 * lines alone. A stock is never filled ahead of need, so a figure is too high by at most what lies in stocks;
 * page_counter_drain() empties them, and whatever shows a figure or finds a limit in the way drains first.
 *
 * Nothing here sleeps or allocates; callable with spin locks held, not from interrupts.
 */
#pragma once

#include "lib/compiler.h"

#define PAGE_COUNTER_MAX   (UINT64_MAX / 2) /* "no limit", in pages */
#define PAGE_COUNTER_STOCK 64u		    /* pages that a CPU may keep */

struct page_counter {
	uint64_t usage;		     /* pages, stocks included */
	uint64_t max;		     /* the limit; may be below usage: then every charge fails */
	uint64_t min, low;	     /* protection, for eviction policies; not enforced here */
	uint64_t peak;		     /* the highest usage */
	uint64_t failed;	     /* charges that this counter's limit refused */
	struct page_counter *parent; /* NULL at the root; a parent outlives its children */
};

void page_counter_init(struct page_counter *counter, struct page_counter *parent);

/* 0, or -ENOMEM with *@full (if given) the counter whose limit was in the way; then nothing changed. @pages > 0. */
int page_counter_try_charge(struct page_counter *counter, uint64_t pages, struct page_counter **full) MUST_CHECK;
/* The reverse. The caller has charged at least as much to this very counter. */
void page_counter_uncharge(struct page_counter *counter, uint64_t pages);
/* From @from to @to: their common ancestors never see it. 0, or -ENOMEM (a limit on @to's side; nothing changed). */
int page_counter_transfer(struct page_counter *from, struct page_counter *to, uint64_t pages) MUST_CHECK;
/*
 * The same in two steps, for pages that change hands one by one in between: both have them, then those that @moved are
 * no longer @from's, the rest no longer @to's. NULL: nobody counts there. @full as above.
 */
int page_counter_move_begin(struct page_counter *from, struct page_counter *to, uint64_t pages,
			    struct page_counter **full) MUST_CHECK;
void page_counter_move_end(struct page_counter *from, struct page_counter *to, uint64_t moved, uint64_t rest);

/* Gives back what all CPUs keep in stock: before figures are shown. */
void page_counter_drain(void);
/*
 * Before a counter is freed: gives back stocks, and waits for those who are on their way through it. Nothing may be
 * charged any more but what somebody is uncharging right now, with preemption off.
 */
void page_counter_settle(struct page_counter *counter);
/* Drained; exact if nothing is charged meanwhile. */
uint64_t page_counter_read(const struct page_counter *counter);
void page_counter_set_max(struct page_counter *counter, uint64_t pages);
/* "max", or bytes with K, M, G, T, rounded down to pages: no more than was said can be charged. 0 or -EINVAL. */
int page_counter_parse_max(const char *text, uint64_t *pages) MUST_CHECK;
