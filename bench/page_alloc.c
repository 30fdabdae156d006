/*
 * What a page costs: order 0 and order 9, hosted at native speed, with the real locks, on 8 GiB; beside it, in the same
 * process, the naive thing: one list of free pages behind one lock.
 *
 *   build/host/bench-page_alloc [GiB]
 *
 * get: all memory is allocated in one go, once after the pairs and once right after put, when what it touches is as
 * warm as it is for put. put: freed in the same order; random put: in random order. pair: one page is freed as soon as
 * it was allocated. "64 a call": a page's share of alloc_pages_bulk() and free_pages_bulk(). Every figure is the best
 * of several rounds, in nanoseconds per operation; a first round, in which the host finds the memory, does not count.
 * The JSON is for machines: build/bench-page_alloc.json.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "lib/rand.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/slab.h"
#include "tests/host/host.h"

#define ROUNDS	    5
#define PAIRS	    500000u
#define MAX_THREADS 2

#define GFP_BENCH (GFP_MOVABLE | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD))

struct allocator {
	const char *name;
	struct page *(*get)(unsigned int order);
	void (*put)(struct page *page, unsigned int order);
};

struct costs {
	double get, put, pair, random_put;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the two contestants ------------------------------------------------------------------------------------------
 */

static struct page *ballonet_get(unsigned int order)
{
	return alloc_pages(GFP_BENCH, order);
}

static void ballonet_put(struct page *page, unsigned int order)
{
	free_pages(page, order);
}

static pthread_mutex_t naive_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list_node naive_free = LIST_INIT(naive_free);

static struct page *naive_get(unsigned int order UNUSED)
{
	struct page *page = NULL;

	pthread_mutex_lock(&naive_lock);
	if (!list_empty(&naive_free)) {
		page = list_first_entry(&naive_free, struct page, lru);
		list_del(&page->lru);
	}
	pthread_mutex_unlock(&naive_lock);
	if (page)
		page->refcount = 1;
	return page;
}

static void naive_put(struct page *page, unsigned int order UNUSED)
{
	pthread_mutex_lock(&naive_lock);
	list_add(&naive_free, &page->lru);
	pthread_mutex_unlock(&naive_lock);
}

static const struct allocator ballonet = {"ballonet", ballonet_get, ballonet_put};
static const struct allocator naive = {"one list, one lock", naive_get, naive_put};

/* ---- measuring ----------------------------------------------------------------------------------------------------
 */

static struct page **pages;
static size_t capacity;

static void keep_best(double *best, uint64_t ns, size_t operations)
{
	double each = (double)ns / (double)operations;

	if (*best == 0 || each < *best)
		*best = each;
}

static size_t get_all(const struct allocator *allocator, unsigned int order)
{
	size_t count = 0;

	while (count < capacity && (pages[count] = allocator->get(order)))
		count++;
	return count;
}

static void put_all(const struct allocator *allocator, unsigned int order, size_t count)
{
	for (size_t at = 0; at < count; at++)
		allocator->put(pages[at], order);
}

static void shuffle(size_t count)
{
	struct rand rand;

	rand_seed(&rand, count);
	for (size_t at = count; at > 1; at--) {
		size_t other = rand_below(&rand, at);
		struct page *page = pages[at - 1];

		pages[at - 1] = pages[other];
		pages[other] = page;
	}
}

static size_t timed_get_all(const struct allocator *allocator, unsigned int order, struct costs *costs)
{
	uint64_t start = now_ns();
	size_t count = get_all(allocator, order);

	keep_best(&costs->get, now_ns() - start, count);
	return count;
}

static void measure_round(const struct allocator *allocator, unsigned int order, struct costs *costs)
{
	size_t count = timed_get_all(allocator, order, costs);
	uint64_t start = now_ns();

	put_all(allocator, order, count);
	keep_best(&costs->put, now_ns() - start, count);

	count = timed_get_all(allocator, order, costs);
	shuffle(count);
	start = now_ns();
	put_all(allocator, order, count);
	keep_best(&costs->random_put, now_ns() - start, count);

	/* Short, and often, so that one of them is not disturbed. */
	for (unsigned int repeat = 0; repeat < 10; repeat++) {
		start = now_ns();
		for (unsigned int pair = 0; pair < PAIRS; pair++)
			allocator->put(allocator->get(order), order);
		keep_best(&costs->pair, now_ns() - start, PAIRS);
	}
}

static struct costs measure(const struct allocator *allocator, unsigned int order)
{
	struct costs costs = {0};

	put_all(allocator, order, get_all(allocator, order));
	for (unsigned int round = 0; round < ROUNDS; round++)
		measure_round(allocator, order, &costs);
	return costs;
}

/* ---- many at once -------------------------------------------------------------------------------------------------
 */

#define BULK 64u

static size_t get_all_in_bulk(void)
{
	size_t count = 0, got;

	while ((got = alloc_pages_bulk(NODE_ANY, GFP_BENCH, 0, MIN((size_t)BULK, capacity - count), pages + count)))
		count += got;
	return count;
}

static void put_all_in_bulk(size_t count)
{
	for (size_t at = 0; at < count; at += BULK)
		free_pages_bulk(pages + at, MIN((size_t)BULK, count - at));
}

static struct costs measure_bulk(void)
{
	struct costs costs = {0};

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();
		size_t count = get_all_in_bulk();

		keep_best(&costs.get, now_ns() - start, count);
		start = now_ns();
		put_all_in_bulk(count);
		keep_best(&costs.put, now_ns() - start, count);
		count = get_all_in_bulk();
		shuffle(count);
		start = now_ns();
		put_all_in_bulk(count);
		keep_best(&costs.random_put, now_ns() - start, count);
		for (unsigned int repeat = 0; repeat < 10; repeat++) {
			start = now_ns();
			for (unsigned int pair = 0; pair < PAIRS; pair += BULK)
				put_all_in_bulk(alloc_pages_bulk(NODE_ANY, GFP_BENCH, 0, BULK, pages));
			keep_best(&costs.pair, now_ns() - start, PAIRS);
		}
	}
	return costs;
}

/* ---- threads ------------------------------------------------------------------------------------------------------
 */

#define BURST 256u

static void *work_in_bursts(void *argument)
{
	const struct allocator *allocator = argument;
	struct page *held[BURST];

	for (unsigned int round = 0; round < PAIRS / BURST; round++) {
		for (unsigned int at = 0; at < BURST; at++)
			held[at] = allocator->get(0);
		for (unsigned int at = 0; at < BURST; at++)
			allocator->put(held[at], 0);
	}
	return NULL;
}

/* Operations per second of @threads threads, each allocating and freeing 256 pages at a time. */
static double throughput(const struct allocator *allocator, unsigned int threads)
{
	pthread_t running[MAX_THREADS];
	double best = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();
		double rate;

		for (unsigned int at = 0; at < threads; at++)
			if (pthread_create(&running[at], NULL, work_in_bursts, (void *)allocator))
				exit(2);
		for (unsigned int at = 0; at < threads; at++)
			pthread_join(running[at], NULL);
		rate = 2.0 * threads * PAIRS / (double)(now_ns() - start) * 1e9;
		best = rate > best ? rate : best;
	}
	return best;
}

/* ---- objects: what a pair costs each of some threads ----------------------------------------------------------------
 */

static struct slab_cache objects;

static void *pair_objects(void *unused UNUSED)
{
	for (unsigned int pair = 0; pair < PAIRS; pair++)
		slab_free(&objects, slab_alloc(&objects, GFP_KERNEL));
	return NULL;
}

static double object_pair_ns(unsigned int threads)
{
	pthread_t running[MAX_THREADS];
	double best = 0;

	for (unsigned int round = 0; round < 4 * ROUNDS; round++) {
		uint64_t start = now_ns();

		for (unsigned int at = 0; at < threads; at++)
			if (pthread_create(&running[at], NULL, pair_objects, NULL))
				exit(2);
		for (unsigned int at = 0; at < threads; at++)
			pthread_join(running[at], NULL);
		keep_best(&best, now_ns() - start, PAIRS);
	}
	return best;
}

static void measure_objects(FILE *json)
{
	double one, two;

	slab_cache_init(&objects, "bench", 64);
	one = object_pair_ns(1);
	two = object_pair_ns(2);
	printf("slab, objects of 64 bytes, a pair: 1 thread %.1f ns, each of 2 threads %.1f ns\n", one, two);
	fprintf(json, "  \"object_pair\": %.1f,\n  \"object_pair_two_threads\": %.1f,\n", one, two);
	slab_cache_destroy(&objects);
}

/* ---- set-up -------------------------------------------------------------------------------------------------------
 */

static void set_up(uint64_t bytes)
{
	static const struct machine machine = {.nr_cpus = 4, .nr_nodes = 1};

	memblock_init(&memblock);
	ASSERT(!memblock_add(&memblock, MIB(1), GIB(3), 0));
	ASSERT(!memblock_add(&memblock, GIB(4), GIB(1) + bytes, 0));
	mm_init(&memblock, &machine, NULL);
}

static double set_up_ms(uint64_t bytes)
{
	double best = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();

		set_up(bytes);
		keep_best(&best, now_ns() - start, 1000000);
	}
	return best;
}

/* ---- report -------------------------------------------------------------------------------------------------------
 */

static void show(FILE *json, const char *name, const char *key, const struct costs *costs)
{
	printf("%-28s %8.1f %8.1f %8.1f %8.1f\n", name, costs->get, costs->put, costs->pair, costs->random_put);
	fprintf(json, "  \"%s\": {\"get\": %.1f, \"put\": %.1f, \"pair\": %.1f, \"random_put\": %.1f},\n", key,
		costs->get, costs->put, costs->pair, costs->random_put);
}

int main(int argc, char **argv)
{
	uint64_t bytes = GIB(argc > 1 ? strtoull(argv[1], NULL, 0) : 8);
	FILE *json = fopen("build/bench-page_alloc.json", "w");
	struct costs costs;
	double setup, one, two;

	if (bytes < GIB(4) || bytes > GIB(60) || !json) {
		fprintf(stderr, "bench-page_alloc: wants 4 to 60 GiB, and a directory build/\n");
		return 2;
	}
	host_init();
	/* As in the guest, which maps memory and page structures in large pages. */
	madvise(phys_to_virt(0), bytes, MADV_HUGEPAGE);
	madvise((void *)ALIGN_UP(PAGE_STRUCT_BASE, LARGE_PAGE_SIZE), bytes / PAGE_SIZE * sizeof(struct page) * 2,
		MADV_HUGEPAGE);
	setup = set_up_ms(bytes);
	capacity = bytes / PAGE_SIZE;
	pages = malloc(capacity * sizeof(*pages));

	printf("%-28s %8s %8s %8s %8s   ns per operation, %llu GiB\n", "", "get", "put", "pair", "random",
	       (unsigned long long)(bytes >> 30));
	fprintf(json, "{\n");
	costs = measure(&ballonet, 0);
	show(json, "ballonet, order 0", "order0", &costs);
	costs = measure_bulk();
	show(json, "ballonet, order 0, 64 a call", "bulk", &costs);
	costs = measure(&ballonet, PAGEBLOCK_ORDER);
	show(json, "ballonet, order 9", "order9", &costs);
	one = throughput(&ballonet, 1);
	two = throughput(&ballonet, 2);
	printf("ballonet, bursts of %u: 1 thread %.1f M/s, 2 threads %.1f M/s, %.2fx\n", BURST, one / 1e6, two / 1e6,
	       two / one);
	printf("ballonet, set-up of %llu GiB: %.3f ms\n", (unsigned long long)(bytes >> 30), setup);
	fprintf(json, "  \"two_threads\": %.2f,\n  \"setup_ms\": %.3f,\n", two / one, setup);

	measure_objects(json);
	for (size_t count = get_all(&ballonet, 0); count--;)
		naive_put(pages[count], 0);
	costs = measure(&naive, 0);
	show(json, "one list, one lock, order 0", "naive", &costs);
	one = throughput(&naive, 1);
	two = throughput(&naive, 2);
	printf("one list, bursts of %u: 1 thread %.1f M/s, 2 threads %.1f M/s, %.2fx\n", BURST, one / 1e6, two / 1e6,
	       two / one);
	fprintf(json, "  \"naive_two_threads\": %.2f\n}\n", two / one);
	fclose(json);
	return 0;
}
