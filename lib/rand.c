/*
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its state
 * filled from the seed by splitmix64, as the authors advise: it never gives four zeros, the one state that
 * would stay. Bounded numbers by multiplication (Lemire, "Fast random integer generation in an interval",
 * 2019): the upper half of a 128-bit product, rejecting the few values that would favour some results.
 */
#include "lib/rand.h"

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline uint64_t rotate_left(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

void rand_seed(struct rand *rand, uint64_t seed)
{
	for (size_t i = 0; i < ARRAY_SIZE(rand->state); i++)
		rand->state[i] = splitmix64(&seed);
}

uint64_t rand_u64(struct rand *rand)
{
	uint64_t *s = rand->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t rand_below(struct rand *rand, uint64_t bound)
{
	unsigned __int128 product = (unsigned __int128)rand_u64(rand) * bound;

	if (unlikely((uint64_t)product < bound)) {
		uint64_t unfair = -bound % bound; /* 2^64 mod bound */

		while ((uint64_t)product < unfair)
			product = (unsigned __int128)rand_u64(rand) * bound;
	}
	return (uint64_t)(product >> 64);
}
