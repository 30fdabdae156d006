/*
 * touch-faults MIB ROUNDS: what a page costs, for the Linux guest, as Ballonet's `run faults` says it: a first touch
 * and unmapping, by the page, small and huge. The best of some rounds, in nanoseconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define SMALL 4096ul
#define HUGE  (2ul << 20)

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static void keep_best(uint64_t *best, uint64_t start)
{
	uint64_t took = now() - start;

	if (!*best || took < *best)
		*best = took;
}

/* Huge pages begin where they can: a little more is reserved than is used. */
static int one_round(size_t bytes, int advice, size_t step, uint64_t *touch, uint64_t *unmap)
{
	char *area =
		mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *first = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	uint64_t start;

	if (area == MAP_FAILED || madvise(area, bytes + HUGE, advice))
		return -1;
	start = now();
	for (size_t at = 0; at < bytes; at += step)
		*(volatile uint64_t *)(first + at) = 1;
	keep_best(touch, start);
	start = now();
	if (munmap(first, bytes))
		return -1;
	keep_best(unmap, start);
	return munmap(area, bytes + HUGE); /* the edges: holes are fine */
}

static int measure(const char *fault, const char *gone, size_t bytes, int advice, size_t step, unsigned long rounds)
{
	uint64_t touch = 0, unmap = 0;

	for (; rounds; rounds--)
		if (one_round(bytes, advice, step, &touch, &unmap))
			return perror("touch-faults"), 1;
	printf("%-26s %9llu ns\n%-26s %9llu ns\n", fault, (unsigned long long)(touch / (bytes / step)), gone,
	       (unsigned long long)(unmap / (bytes / step)));
	return 0;
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 32) << 20;
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;

	return measure("base fault", "unmap, per page", bytes, MADV_NOHUGEPAGE, SMALL, rounds) ||
	       measure("huge fault", "huge unmap, per huge page", bytes, MADV_HUGEPAGE, HUGE, rounds);
}
