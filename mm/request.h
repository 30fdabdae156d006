/*
 * A request for pages on its way through the allocator: what mm/page_alloc.c, the per-CPU lists, fallback and the
 * policies know of it. For mm/ itself.
 *
 * A request is tried in stages, each with less to lose: twice in the fast path, above the low marks; then in the slow
 * path, above a part of the min marks, first as it came, then again after memory was got back, at last with nothing
 * held back. The policy says at each stage what the walk through the zones may not do.
 */
#pragma once

#include "mm/memory.h"

enum alloc_stage { ALLOC_FAST, ALLOC_FAST_AGAIN, ALLOC_SLOW, ALLOC_SLOW_AGAIN, ALLOC_LAST };

enum alloc_restriction {
	ALLOC_LOCAL = 1,	/* the walk ends where the node's own zones end */
	ALLOC_NOFRAGMENT = 2,	/* no fallback to a block below a pageblock's order */
	ALLOC_NOSMALL = 4,	/* no fallback to a block below fragment_stall_order */
	ALLOC_KEEP_WHOLE = 8,	/* no breaking up of pageblocks that the policy wants to keep free as a whole */
	ALLOC_HIGHATOMIC = 16,	/* the reserve for atomic requests may be used (a permission, not the policy's) */
	ALLOC_MAY_RESERVE = 32, /* its pageblock may join that reserve (likewise) */
};

struct frag_policy;

struct alloc_request {
	uint32_t gfp;
	unsigned int order;
	enum migratetype mt;
	enum page_owner owner;
	enum zone_type highest;
	struct node *node;
	const struct frag_policy *policy; /* NULL: no restrictions, nobody is told */
	enum alloc_stage stage;
	uint32_t flags; /* enum alloc_restriction */
};

static inline bool request_may_reclaim(const struct alloc_request *request)
{
	return request->gfp & GFP_DIRECT_RECLAIM;
}
