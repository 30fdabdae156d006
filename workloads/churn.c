/*
 * churn: blocks of random orders, types and lifetimes, by several threads, each block with a pattern that names it.
 *
 * A thread holds up to its share of `fill` percent of memory. It allocates with the odds of a busy system: mostly
 * single movable pages, some unmovable and reclaimable ones, few large blocks; and frees at random. Every page of a
 * block is marked with its own number and the holder's, and looked at when the block is freed: a page that somebody
 * else got or wrote to is found out. What is wrong is counted, said once, and makes the run fail.
 */
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "mm/memory.h"
#include "mm/policy/policy.h"
#include "mm/vmstat.h"
#include "workloads/latency.h"
#include "workloads/page_array.h"
#include "workloads/workload.h"

#define MAX_THREADS 16u

struct churn;

struct churner {
	struct churn *churn;
	struct thread *thread;
	struct rand rand;
	struct page_array held;
	uint64_t held_pages, allocations, failures, wrong;
	struct latency latency;
};

struct churn {
	struct sink *out;
	uint64_t share; /* pages that each thread holds at most */
	uint64_t operations, done;
	struct churner churners[MAX_THREADS];
};

static uint64_t pattern(const struct churner *owner, uint64_t pfn)
{
	return pfn << 16 ^ (uintptr_t)owner;
}

/* The first and the last word of each page. */
static void mark(const struct churner *owner, struct page *page, unsigned int order)
{
	for (uint64_t at = 0; at < 1ull << order; at++) {
		uint64_t *words = page_address(page + at), value = pattern(owner, page_to_pfn(page) + at);

		words[0] = words[PAGE_SIZE / sizeof(*words) - 1] = value;
	}
}

static void check(struct churner *owner, struct page *page, unsigned int order)
{
	for (uint64_t at = 0; at < 1ull << order; at++) {
		const uint64_t *words = page_address(page + at), value = pattern(owner, page_to_pfn(page) + at);

		if (words[0] == value && words[PAGE_SIZE / sizeof(*words) - 1] == value)
			continue;
		if (!owner->wrong++)
			pr_err("churn: pfn 0x%lx holds 0x%lx and 0x%lx, expected 0x%lx", page_to_pfn(page) + at,
			       words[0], words[PAGE_SIZE / sizeof(*words) - 1], value);
	}
}

/* Of 64: 40 single movable pages, 12 unmovable, 8 reclaimable, the rest of any order and type. */
static uint32_t choose(struct rand *rand, unsigned int *order)
{
	static const uint32_t types[] = {GFP_MOVABLE, 0, GFP_RECLAIMABLE};
	uint64_t dice = rand_below(rand, 64);

	*order = 0;
	if (dice < 40)
		return GFP_MOVABLE;
	if (dice < 60) {
		*order = (unsigned int)rand_below(rand, 3);
		return dice < 52 ? 0 : GFP_RECLAIMABLE;
	}
	*order = (unsigned int)rand_below(rand, NR_ORDERS);
	return types[rand_below(rand, 3)];
}

static void free_one(struct churner *churner)
{
	struct page *page = page_array_take(&churner->held, rand_below(&churner->rand, churner->held.count));
	unsigned int order = page_order(page);

	check(churner, page, order);
	churner->held_pages -= 1u << order;
	free_pages(page, order);
}

static void allocate_one(struct churner *churner)
{
	unsigned int order;
	uint32_t gfp = choose(&churner->rand, &order) | GFP_KERNEL | GFP_NOWARN | GFP_NORETRY;
	uint64_t start = time_ns();
	struct page *page = alloc_pages(gfp | GFP_OWNER(PAGE_OWNER_WORKLOAD), order);

	latency_add(&churner->latency, time_ns() - start);
	churner->allocations++;
	if (!page || !page_array_push(&churner->held, page)) {
		churner->failures++;
		if (page)
			free_pages(page, order);
		return;
	}
	mark(churner, page, order);
	churner->held_pages += 1u << order;
}

static int churn_thread(void *argument)
{
	struct churner *churner = argument;
	struct churn *churn = churner->churn;
	uint64_t tenth = MAX(churn->operations / 10, 1ull), done;

	while (!shell_interrupted() && (done = atomic_fetch_add(&churn->done, 1)) < churn->operations) {
		bool full = churner->held_pages >= churn->share;

		if (churner->held.count && (full || rand_below(&churner->rand, 8) < 3))
			free_one(churner);
		else
			allocate_one(churner);
		if (done % tenth == 0)
			sink_printf(churn->out, "churn: %lu %%\n", done / tenth * 10);
	}
	while (churner->held.count)
		free_one(churner);
	return 0;
}

static int start(struct churn *churn, uint64_t threads, uint64_t seed)
{
	for (uint64_t at = 0; at < threads; at++) {
		struct churner *churner = &churn->churners[at];

		churner->churn = churn;
		rand_seed(&churner->rand, seed * 1000 + at);
		if (!page_array_init(&churner->held, churn->share))
			return -ENOMEM;
		churner->thread = thread_spawn("churner", churn_thread, churner);
		if (IS_ERR(churner->thread)) {
			churner->thread = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

static uint64_t finish(struct churn *churn, uint64_t threads)
{
	struct churner *first = &churn->churners[0];

	for (uint64_t at = 0; at < threads; at++) {
		struct churner *churner = &churn->churners[at];

		if (churner->thread)
			thread_join(churner->thread);
		page_array_destroy(&churner->held);
		if (!at)
			continue;
		first->allocations += churner->allocations;
		first->failures += churner->failures;
		first->wrong += churner->wrong;
		latency_merge(&first->latency, &churner->latency);
	}
	return first->wrong;
}

static int churn_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t threads = workload_number(out, parameters, "threads", 4);
	uint64_t fill = workload_number(out, parameters, "fill", 80),
		 seed = workload_number(out, parameters, "seed", 1);
	uint64_t operations = workload_number(out, parameters, "operations", 200000), begin = time_ns();
	uint64_t events = vm_event_read(VM_EVENT_fragmenting_fallback);
	struct churn *churn = kzalloc(sizeof(*churn));
	int error = workload_parameters_end(out, parameters);
	struct memory_info info;

	if (!error && churn && (!threads || threads > MAX_THREADS || fill > 100)) {
		sink_printf(out, "churn: wants 1 to %u threads and fill up to 100\n", MAX_THREADS);
		error = -EINVAL;
	}
	if (error || !churn) {
		kfree(churn);
		return error ? error : -ENOMEM;
	}
	memory_info_get(&info);
	churn->out = out;
	churn->operations = operations;
	churn->share = info.free * fill / 100 / threads;
	error = start(churn, threads, seed);
	if (error)
		atomic_fetch_add(&churn->done, operations);
	if (finish(churn, threads))
		error = -EIO;
	events = vm_event_read(VM_EVENT_fragmenting_fallback) - events;
	sink_printf(out, "%-16s %9s %11s %11s %11s %11s\n", "microseconds", "count", "mean", "p50", "p99", "max");
	latency_show(out, "allocations", &churn->churners[0].latency);
	sink_printf(out, "churn: %lu allocations, %lu failed, %lu pages wrong, %lu fallbacks below pageblocks\n",
		    churn->churners[0].allocations, churn->churners[0].failures, churn->churners[0].wrong, events);
	sink_printf(
		out,
		"json {\"workload\": \"churn\", \"policy\": \"%s\", \"threads\": %lu, \"seed\": %lu, \"failed\": %lu, "
		"\"wrong\": %lu, \"extfrag\": %lu, \"ns\": %llu, ",
		frag_policy_get()->name, threads, seed, churn->churners[0].failures, churn->churners[0].wrong, events,
		(unsigned long long)(time_ns() - begin));
	latency_json(out, "latency", &churn->churners[0].latency);
	sink_printf(out, "}\n");
	kfree(churn);
	return error;
}
WORKLOAD(churn, "threads=4 fill=80 operations=200000 seed=1", "blocks of random orders, types and lifetimes, checked",
	 churn_run);
