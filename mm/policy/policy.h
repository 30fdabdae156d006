/*
 * Fragmentation policies: when a request may take pages from pageblocks of another type, and what happens then.
 *
 * The mechanism is in mm/fallback.c and mm/page_alloc.c; a policy is a table of a few functions, each of which may be
 * NULL. It is chosen by name in /proc/sys/vm/frag_policy, at any time: a request keeps the policy it began with. How to
 * write one: docs/prototyping.md.
 */
#pragma once

#include "mm/request.h"

struct frag_policy {
	const char *name;
	/* What a walk at @request->stage may not do (enum alloc_restriction). NULL: anything. No locks held. */
	uint32_t (*restrictions)(const struct alloc_request *request);
	/*
	 * A block below a pageblock's order is about to be taken from another type, or would be but for ALLOC_NOSMALL.
	 * zone->lock is held. NULL: nobody cares.
	 */
	void (*fragmenting)(struct zone *zone, const struct alloc_request *request);
	/* The walk at ALLOC_SLOW ended with nothing, and was restricted. May sleep. NULL: go on at once. */
	void (*stall)(const struct alloc_request *request);
	/* Pages in wholly free pageblocks that kswapd and kcompactd keep ready in @zone. NULL: none in particular. */
	uint64_t (*whole_pages_wanted)(const struct zone *zone);
};

/* Behind a policy's table: makes it one of those that can be chosen. */
#define FRAG_POLICY(policy) \
	static const struct frag_policy *const policy##_entry TABLE_ENTRY(kfrag_policies) = &(policy)

/* The one to begin with. */
extern const struct frag_policy frag_policy_stall;

/* The one in force. */
const struct frag_policy *frag_policy_get(void);
/* By name; -EINVAL if there is none. */
int frag_policy_set(const char *name) MUST_CHECK;
/* /proc/sys/vm/frag_policy and the policies' sysctls. 0 or -errno. */
int frag_policy_files_init(void) MUST_CHECK;

/* @policy (or NULL) wants more whole free pageblocks in @zone than there are. */
bool frag_policy_lacks_whole(const struct frag_policy *policy, const struct zone *zone);

/* ---- what several policies share --------------------------------------------------------------------------------- */

/* Sysctl: blocks below this order are not worth stealing for who can wait. 0: off. */
unsigned int fragment_stall_order(void);
/* nofragment's: within the node first, and first without mixing. */
uint32_t frag_restrict_first_walk(const struct alloc_request *request);
/* boost's: the zone's mark rises, kswapd is woken. */
void frag_boost(struct zone *zone, const struct alloc_request *request);
