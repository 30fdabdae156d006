/*
 * kswapd: a thread per node that frees memory before anybody has to wait for it.
 *
 * It is woken when a zone falls below its low mark or its mark is boosted, and works until the zones are above the high
 * ones (and the boost is worked off), then wakes kcompactd. Those who wait for it sleep on pfmemalloc_wait.
 */
#pragma once

#include "kernel/wait.h"
#include "mm/zone.h"

struct alloc_request;
struct node;
struct thread;

struct kswapd {
	struct thread *thread; /* NULL: not started; wake-ups are then no-ops */
	struct wait_queue wait, pfmemalloc_wait;
	struct spinlock lock; /* of what is asked for */
	unsigned int order;
	enum zone_type highest;
	bool asked;
	uint32_t failures; /* runs in a row that freed nothing; after 16 it waits for somebody else to free something */
	uint64_t rest_until_ns; /* nothing is to be had gently before: not woken for what is only out of place */
	uint64_t progress;	/* changes whenever sleepers should look again */
};

void kswapd_init(struct kswapd *kswapd);
/* A thread for each node. 0 or -ENOMEM. */
int kswapd_start(void) MUST_CHECK;
/* Ends the threads: for tests. */
void kswapd_stop(void);
/* Asks for free memory up to @highest, in blocks of @order, for a request with @gfp. Callable with zone->lock held. */
void kswapd_wake(struct node *node, uint32_t gfp, unsigned int order, enum zone_type highest);
/*
 * @request, a movable one, is about to take pages from @zone: kswapd is woken if the policy minds mixing and what is
 * free in place is below the low mark in all zones of the node. All that is free would say so only when there is
 * nothing left.
 */
void kswapd_before_taking(const struct zone *zone, const struct alloc_request *request);
