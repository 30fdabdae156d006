/*
 * Pseudo-random numbers for tests and workloads: seeded, repeatable, equal in both worlds. Not for secrets.
 */
#pragma once

#include "lib/compiler.h"

struct rand {
	uint64_t state[4];
};

/* Any seed is good, 0 too. */
void rand_seed(struct rand *rand, uint64_t seed);
uint64_t rand_u64(struct rand *rand);
/* Uniform in [0, @bound), without bias; @bound > 0. */
uint64_t rand_below(struct rand *rand, uint64_t bound);
