/*
 * patterns: takes and frees blocks on all CPUs, each page in use filled with words that name it, and checks them all
 * the time. Whoever takes away, moves, forgets or spoils a page that is in use is found out: free page hinting, live
 * migration, reclaim, compaction.
 *
 * Each thread has slots, and again and again picks one: an empty one gets a block of a random order, a full one is
 * checked and then freed, or named anew.
 */
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "mm/page_alloc.h"
#include "workloads/workload.h"

#define SLOTS	    1024u
#define MAX_THREADS 64u
#define WORDS	    (PAGE_SIZE / sizeof(uint64_t))

struct shared {
	uint64_t deadline_ns, most_pages;
	uint64_t pages;	     /* atomic: in use */
	uint64_t wrong;	     /* atomic: pages */
	uint64_t checked;    /* atomic: pages */
	uint64_t operations; /* atomic */
};

struct slot {
	uint64_t pfn, name; /* name 0: empty */
	unsigned int order;
};

struct worker {
	struct shared *shared;
	struct thread *thread;
	struct rand rand;
	struct slot slots[SLOTS];
};

/* Two words a page, which differ from page to page, from time to time and from end to end. */
static uint64_t word_of(const struct slot *slot, uint64_t page, bool last)
{
	return slot->name ^ (slot->pfn + page) * 0x9e3779b97f4a7c15ull ^ (last ? 0x5555 : 0);
}

static uint64_t *words_of(const struct slot *slot, uint64_t page)
{
	return phys_to_virt((slot->pfn + page) << PAGE_SHIFT);
}

static void name_pages(struct worker *worker, struct slot *slot)
{
	slot->name = rand_u64(&worker->rand) | 1;
	for (uint64_t page = 0; page < 1ull << slot->order; page++) {
		words_of(slot, page)[0] = word_of(slot, page, false);
		words_of(slot, page)[WORDS - 1] = word_of(slot, page, true);
	}
}

static void check_pages(struct worker *worker, const struct slot *slot)
{
	for (uint64_t page = 0; page < 1ull << slot->order; page++) {
		uint64_t first = READ_ONCE(words_of(slot, page)[0]), last = READ_ONCE(words_of(slot, page)[WORDS - 1]);

		if (first == word_of(slot, page, false) && last == word_of(slot, page, true))
			continue;
		if (atomic_fetch_add(&worker->shared->wrong, 1) < 5)
			pr_err("patterns: pfn 0x%lx (of a block of order %u) holds 0x%lx ... 0x%lx, expected 0x%lx ... "
			       "0x%lx",
			       slot->pfn + page, slot->order, first, last, word_of(slot, page, false),
			       word_of(slot, page, true));
	}
	atomic_add_relaxed(&worker->shared->checked, 1ull << slot->order);
}

static void fill(struct worker *worker, struct slot *slot)
{
	static const uint8_t orders[] = {0, 0, 0, 1, 2, 3, 5, PAGEBLOCK_ORDER, PAGEBLOCK_ORDER, MAX_ORDER};
	struct page *page;

	slot->order = orders[rand_below(&worker->rand, ARRAY_SIZE(orders))];
	if (load_relaxed(&worker->shared->pages) + (1ull << slot->order) > worker->shared->most_pages)
		return;
	page = alloc_pages(GFP_USER | GFP_NORETRY | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_WORKLOAD), slot->order);
	if (!page)
		return;
	atomic_add_relaxed(&worker->shared->pages, 1ull << slot->order);
	slot->pfn = page_to_pfn(page);
	name_pages(worker, slot);
}

static void empty(struct worker *worker, struct slot *slot)
{
	check_pages(worker, slot);
	free_pages(pfn_to_page(slot->pfn), slot->order);
	atomic_add_relaxed(&worker->shared->pages, -(1ull << slot->order));
	slot->name = 0;
}

static int work(void *argument)
{
	struct worker *worker = argument;

	while (time_ns() < worker->shared->deadline_ns && !shell_interrupted()) {
		struct slot *slot = &worker->slots[rand_below(&worker->rand, SLOTS)];

		atomic_add_relaxed(&worker->shared->operations, 1);
		if (!slot->name) {
			fill(worker, slot);
		} else if (rand_below(&worker->rand, 4)) {
			empty(worker, slot);
		} else {
			check_pages(worker, slot);
			name_pages(worker, slot);
		}
	}
	for (unsigned int at = 0; at < SLOTS; at++)
		if (worker->slots[at].name)
			empty(worker, &worker->slots[at]);
	return 0;
}

static unsigned int start(struct worker **workers, unsigned int count, struct shared *shared, uint64_t seed)
{
	unsigned int started = 0;

	for (; started < count; started++) {
		struct worker *worker = kzalloc(sizeof(*worker));

		if (!worker)
			break;
		workers[started] = worker;
		worker->shared = shared;
		rand_seed(&worker->rand, seed + started);
		worker->thread = thread_spawn("patterns", work, worker);
		if (IS_ERR(worker->thread)) {
			kfree(worker);
			break;
		}
	}
	return started;
}

static int patterns_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t seconds = workload_number(out, parameters, "seconds", 5);
	uint64_t bytes = workload_number(out, parameters, "size", MIB(64));
	uint64_t seed = workload_number(out, parameters, "seed", 1);
	unsigned int count = (unsigned int)workload_number(out, parameters, "threads", cpu_count()), started;
	struct shared shared = {.deadline_ns = time_ns() + seconds * NS_PER_S, .most_pages = bytes >> PAGE_SHIFT};
	struct worker *workers[MAX_THREADS];
	int error = workload_parameters_end(out, parameters);

	if (error)
		return error;
	started = start(workers, MIN(count, MAX_THREADS), &shared, seed);
	for (unsigned int at = 0; at < started; at++) {
		thread_join(workers[at]->thread);
		kfree(workers[at]);
	}
	sink_printf(out, "patterns: %u threads, %lu operations, %lu pages checked, %lu wrong\n", started,
		    shared.operations, shared.checked, shared.wrong);
	if (started < MIN(count, MAX_THREADS))
		return -ENOMEM;
	return shared.wrong ? -EIO : 0;
}
WORKLOAD(patterns, "seconds=5 size=64M threads= seed=1", "takes, names, checks and frees pages on all CPUs",
	 patterns_run);
