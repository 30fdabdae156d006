/*
 * vanilla: whoever finds his own lists empty takes from another type at once. What the other policies are measured by.
 */
#include "mm/policy/policy.h"

static const struct frag_policy vanilla = {.name = "vanilla"};
FRAG_POLICY(vanilla);
