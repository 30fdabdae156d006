/*
 * Out of memory: when reclaim and compaction have found nothing, whoever keeps memory for a rainy day is asked for it
 * (the balloon), then there is a report of who holds what.
 */
#pragma once

#include "lib/list.h"
#include "mm/page_alloc.h"

struct oom_notifier {
	struct list_node node;
	const char *name;
	/* Frees about @wanted pages or what it can; returns how many. May sleep, must not wait for memory. */
	uint64_t (*give)(struct oom_notifier *notifier, uint64_t wanted);
};

void oom_notifier_register(struct oom_notifier *notifier);
/* On return it is not running. */
void oom_notifier_unregister(struct oom_notifier *notifier);
/*
 * Asks the notifiers, one caller at a time; the pages that came back (try again), or 0: nobody has any. Then a request
 * that may fail does; one that may not waits a while for others, and ends in the report and a panic. May sleep.
 */
uint64_t oom_give_back(unsigned int order);
