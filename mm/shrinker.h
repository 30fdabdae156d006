/*
 * Shrinkers: caches of objects that can be made again, which give up some when memory is short.
 */
#pragma once

#include "lib/list.h"

struct shrinker {
	const char *name;
	/* Objects that could be freed now, about. Never sleeps. */
	uint64_t (*count)(struct shrinker *shrinker);
	/* Looks at up to @wanted objects, the longest unused first, and frees what it can; how many it freed. */
	uint64_t (*scan)(struct shrinker *shrinker, uint64_t wanted);
	struct list_node node;
	uint64_t owed; /* private: objects that earlier passes left to this one */
};

void shrinker_register(struct shrinker *shrinker);
/* On return it is not running and will not be called again. */
void shrinker_unregister(struct shrinker *shrinker);
/*
 * Asks each for 2^-priority of what it has, twice over, for an object is cheaper to make again than a page; less than a
 * batch is left for a later pass, unless @priority is 0: then everything goes that can, empty slabs too. The objects
 * freed; their slabs' pages are credited (memalloc_credit()). May sleep.
 */
uint64_t shrink_all(unsigned int priority);
