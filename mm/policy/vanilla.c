/*
 * vanilla: whoever finds his own lists empty takes from another type at once. What the other policies are measured by.
 */
#include "mm/policy/policy.h"

const struct frag_policy frag_policy_vanilla = {.name = "vanilla"};
