/*
 * nofragment: use another zone of the same node rather than mix types within a pageblock (patches 1 to 3).
 *
 * The first walk of the fast path stays on the local node and falls back to whole pageblocks only; the second may do
 * both. So a remote node is not preferred to mixing: locality wins.
 */
#include "mm/policy/policy.h"

uint32_t frag_restrict_first_walk(const struct alloc_request *request)
{
	return request->stage == ALLOC_FAST ? ALLOC_NOFRAGMENT | ALLOC_LOCAL : 0;
}

static const struct frag_policy nofragment = {
	.name = "nofragment",
	.restrictions = frag_restrict_first_walk,
};
FRAG_POLICY(nofragment);
