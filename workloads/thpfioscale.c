/*
 * thpfioscale: huge pages are faulted in while the page cache fills memory with small files.
 *
 * The mix of mmtests' workload of that name. First, writers create files of 64 KiB in steps of 4 KiB, in all 150 % of
 * memory, so that reclaim runs all the time; each file costs reclaimable kernel objects (the file, its tree), and each
 * write an unmovable one for a while, as a block request does; now and then there is a burst of these. Then readers go
 * on reading at random while other threads fault: mappings of 4 MiB over 75 % of a node, of which the first half is
 * touched. In mode madvise a huge page is worth reclaim and compaction to the faulting thread; in mode default it takes
 * one if there is one; in mode never there are single pages only.
 *
 * Counted is what the policies are about: fallbacks below a pageblock's order, stalls, and what a fault costs.
 */
#include "kernel/memory.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/policy/policy.h"
#include "mm/vm/mm.h"
#include "mm/vmstat.h"
#include "workloads/latency.h"
#include "workloads/workload.h"

#define MAX_THREADS	16u
#define PAGES_PER_FILE	16u
#define REQUESTS	4096u /* at most in flight, of each writer */
#define QUIET_REQUESTS	64u   /* while no data is written back */
#define FILES_PER_BURST 64u   /* then comes the write-back of all of it */
#define MAPPING_BYTES	(2 * HUGE_BYTES)
#define MAX_SAMPLES	120u
#define FIRST_FILE	1000000ull
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"

struct run;

struct worker {
	struct run *run;
	struct thread *thread;
	unsigned int number;
	struct rand rand;
	struct latency base, huge;
	uint64_t failed; /* faults that found no memory */
	uint64_t wrong;	 /* pages whose content was not theirs */
	unsigned int nr_requests;
	uint64_t nr_written, written[FILES_PER_BURST]; /* files that were not written back */
	void *requests[REQUESTS];
};

/* How it stood at a moment. */
struct sample {
	uint64_t ns, extfrag, free_pages, whole_pages;
};

struct run {
	struct sink *out;
	uint64_t files, mappings; /* in all */
	uint64_t files_done, mappings_done;
	uint64_t jobs, readers, threads, seed, burst;
	const char *mode;
	bool stop;
	uint64_t begin_ns;
	uint32_t nr_samples;
	struct sample samples[MAX_SAMPLES];
	struct worker workers[2 * MAX_THREADS];
};

static const enum vm_event counted[] = {
	VM_EVENT_fragmenting_fallback, VM_EVENT_fragment_stall,	 VM_EVENT_fragment_stall_us,
	VM_EVENT_pgscan_kswapd,	       VM_EVENT_pgscan_direct,	 VM_EVENT_pgsteal_kswapd,
	VM_EVENT_pgsteal_direct,       VM_EVENT_compact_stall,	 VM_EVENT_compact_success,
	VM_EVENT_pgmigrate_success,    VM_EVENT_thp_fault_alloc, VM_EVENT_thp_fault_fallback,
};
static const char *const counted_names[] = {
	"extfrag",	  "stalls",	   "stall_us",	      "pgscan_kswapd", "pgscan_direct",	  "pgsteal_kswapd",
	"pgsteal_direct", "compact_stall", "compact_success", "pgmigrate",     "thp_fault_alloc", "thp_fault_fallback",
};

static bool is_mode(const struct run *run, const char *mode)
{
	return strcmp(run->mode, mode) == 0;
}

static bool must_stop(const struct run *run)
{
	return load_relaxed(&run->stop) || shell_interrupted();
}

static void take_sample(struct run *run)
{
	uint32_t at = atomic_fetch_add(&run->nr_samples, 1);
	struct sample *sample = &run->samples[MIN(at, MAX_SAMPLES - 1)];

	*sample = (struct sample){.ns = time_ns() - run->begin_ns,
				  .extfrag = vm_event_read(VM_EVENT_fragmenting_fallback)};
	for_each_zone(zone)
	{
		sample->free_pages += zone_free_pages(zone);
		sample->whole_pages += zone_whole_pages(zone);
	}
}

/* Says how far it is at every tenth, and takes a sample at every fiftieth, of each of the two parts. */
static void show_progress(struct run *run, const char *what, uint64_t done, uint64_t all)
{
	if (all >= 10 && done % (all / 10) == 0)
		sink_printf(run->out, "thpfioscale: %s, %lu %%\n", what, done * 100 / all);
	if (done % MAX(all / (MAX_SAMPLES / 2 - 10), 1ul) == 0)
		take_sample(run);
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

/* Requests in flight end, in any order, until @left are. */
static void complete_requests(struct worker *worker, unsigned int left)
{
	while (worker->nr_requests > left) {
		unsigned int at = (unsigned int)rand_below(&worker->rand, worker->nr_requests);

		kfree(worker->requests[at]);
		worker->requests[at] = worker->requests[--worker->nr_requests];
	}
}

static bool submit_request(struct worker *worker)
{
	void *request = kmalloc(128 + rand_below(&worker->rand, 897));

	if (request)
		worker->requests[worker->nr_requests++] = request;
	return request;
}

/* What was written since goes out in one burst. */
static void write_back(struct worker *worker)
{
	while (worker->nr_requests < worker->run->burst && submit_request(worker))
		;
	while (worker->nr_written) {
		struct cache_file *file = cache_file_open(worker->written[--worker->nr_written]);

		if (!file)
			continue;
		cache_file_write_back(file);
		cache_file_close(file);
	}
	complete_requests(worker, QUIET_REQUESTS);
}

static int write_file(struct worker *worker, uint64_t id)
{
	struct cache_file *file = cache_file_open(id);
	int error = file ? 0 : -ENOMEM;

	for (uint64_t index = 0; index < PAGES_PER_FILE && !error; index++) {
		struct page *page = cache_write_page(file, index, GFP_USER);

		if (page)
			page_put(page);
		else
			error = -ENOMEM;
		complete_requests(worker, QUIET_REQUESTS - 1);
		submit_request(worker);
	}
	if (file)
		cache_file_close(file);
	worker->written[worker->nr_written++] = id;
	if (worker->nr_written == FILES_PER_BURST)
		write_back(worker);
	return error;
}

static int write_files(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;
	uint64_t done;

	while (!must_stop(run) && (done = atomic_fetch_add(&run->files_done, 1)) < run->files) {
		if (write_file(worker, FIRST_FILE + done))
			worker->failed++;
		show_progress(run, "writing", done, run->files);
	}
	write_back(worker);
	complete_requests(worker, 0);
	return 0;
}

static int read_files(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;

	while (!must_stop(run)) {
		struct cache_file *file = cache_file_open(FIRST_FILE + rand_below(&worker->rand, run->files));
		struct page *page =
			file ? cache_get_page(file, rand_below(&worker->rand, PAGES_PER_FILE), GFP_USER) : NULL;

		if (page) {
			worker->wrong += !cache_page_is_right(page);
			page_put(page);
		}
		if (file)
			cache_file_close(file);
		thread_yield();
	}
	return 0;
}

/* ---- faults -------------------------------------------------------------------------------------------------------
 */

static int timed_fault(struct mm *mm, uint64_t address, uint64_t *ns)
{
	uint64_t start = time_ns();
	int error = mm_fault(mm, address, true);

	*ns = time_ns() - start;
	return error;
}

/* The first touch gets a huge page, or all the small ones are touched. */
static void fault_block(struct worker *worker, struct mm *mm, uint64_t start)
{
	int64_t huge = READ_ONCE(mm->counters[MM_HUGE]);
	uint64_t ns;

	if (timed_fault(mm, start, &ns)) {
		worker->failed++;
		return;
	}
	if (READ_ONCE(mm->counters[MM_HUGE]) > huge) {
		latency_add(&worker->huge, ns);
		return;
	}
	latency_add(&worker->base, ns);
	for (uint64_t at = start + PAGE_SIZE; at < start + HUGE_BYTES; at += PAGE_SIZE) {
		if (timed_fault(mm, at, &ns))
			worker->failed++;
		else
			latency_add(&worker->base, ns);
	}
}

static int fault_mappings(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;
	struct mm *mm = mm_new();
	uint64_t done;

	if (!mm)
		return -ENOMEM;
	while (!must_stop(run) && (done = atomic_fetch_add(&run->mappings_done, 1)) < run->mappings) {
		int64_t at = mm_map(mm, &(struct mapping_request){.start = MM_BASE + done * MAPPING_BYTES,
								  .bytes = MAPPING_BYTES,
								  .flags = AREA_READ | AREA_WRITE |
									   (is_mode(run, "madvise") ? AREA_HUGE : 0)});

		if (at < 0)
			worker->failed++;
		else
			fault_block(worker, mm, (uint64_t)at);
		show_progress(run, "faulting", done, run->mappings);
	}
	mm_put(mm);
	return 0;
}

/* ---- the run ------------------------------------------------------------------------------------------------------
 */

static void start(struct run *run, unsigned int first, uint64_t count, const char *name, int (*function)(void *))
{
	for (unsigned int at = first; at < first + count; at++) {
		struct worker *worker = &run->workers[at];

		worker->run = run;
		worker->number = at;
		rand_seed(&worker->rand, run->seed * 1000 + at);
		worker->thread = thread_spawn(name, function, worker);
		if (IS_ERR(worker->thread))
			worker->thread = NULL;
	}
}

static void join(struct run *run, unsigned int first, uint64_t count)
{
	for (unsigned int at = first; at < first + count; at++)
		if (run->workers[at].thread)
			thread_join(run->workers[at].thread);
}

static uint64_t node_pages(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) pages += zone->node == 0 ? zone->managed_pages : 0;
	return pages;
}

static void read_counters(uint64_t *values)
{
	for (size_t at = 0; at < ARRAY_SIZE(counted); at++)
		values[at] = vm_event_read(counted[at]);
}

static void show_samples(const struct run *run, uint64_t extfrag)
{
	sink_printf(run->out, ", \"samples\": [");
	for (uint32_t at = 0; at < MIN(run->nr_samples, MAX_SAMPLES); at++)
		sink_printf(run->out, "%s[%lu, %lu, %lu, %lu]", at ? ", " : "",
			    (unsigned long)(run->samples[at].ns / NS_PER_MS), run->samples[at].extfrag - extfrag,
			    run->samples[at].free_pages, run->samples[at].whole_pages);
	sink_printf(run->out, "]");
}

static void show_result(struct run *run, const uint64_t *before, uint64_t ns)
{
	struct latency *base = &run->workers[0].base, *huge = &run->workers[0].huge;
	uint64_t after[ARRAY_SIZE(counted)], failed = 0, wrong = 0, asked;

	read_counters(after);
	for (unsigned int at = 0; at < ARRAY_SIZE(run->workers); at++) {
		failed += run->workers[at].failed;
		wrong += run->workers[at].wrong;
		if (at) {
			latency_merge(base, &run->workers[at].base);
			latency_merge(huge, &run->workers[at].huge);
		}
	}
	asked = MIN(run->mappings_done, run->mappings);
	for (size_t at = 0; at < ARRAY_SIZE(counted); at++)
		sink_printf(run->out, "%-20s %12lu\n", counted_names[at], after[at] - before[at]);
	sink_printf(run->out, "%-16s %9s %11s %11s %11s %11s\n", "microseconds", "count", "mean", "p50", "p99", "max");
	latency_show(run->out, "base faults", base);
	latency_show(run->out, "huge faults", huge);
	sink_printf(run->out, "thpfioscale: policy %s: %lu of %lu huge, %lu fallbacks below pageblocks, %lu ms\n",
		    frag_policy_get()->name, huge->count, asked, after[0] - before[0], (unsigned long)(ns / NS_PER_MS));
	sink_printf(run->out,
		    "json {\"workload\": \"thpfioscale\", \"policy\": \"%s\", \"mode\": \"%s\", \"threads\": %lu, "
		    "\"nodes\": %u, \"seed\": %lu, \"ns\": %lu, \"asked\": %lu, \"failed\": %lu, \"wrong\": %lu, ",
		    frag_policy_get()->name, run->mode, run->threads, memory.nr_nodes, run->seed, ns, asked, failed,
		    wrong);
	for (size_t at = 0; at < ARRAY_SIZE(counted); at++)
		sink_printf(run->out, "\"%s\": %lu, ", counted_names[at], after[at] - before[at]);
	latency_json(run->out, "base", base);
	sink_printf(run->out, ", ");
	latency_json(run->out, "huge", huge);
	show_samples(run, before[0]);
	sink_printf(run->out, "}\n");
}

static int run_all(struct run *run)
{
	uint64_t before[ARRAY_SIZE(counted)], begin = time_ns();
	uint64_t wrong = 0;

	run->begin_ns = begin;
	read_counters(before);
	start(run, 0, run->jobs, "writer", write_files);
	join(run, 0, run->jobs);
	start(run, 0, run->readers, "reader", read_files);
	start(run, MAX_THREADS, run->threads, "faulter", fault_mappings);
	join(run, MAX_THREADS, run->threads);
	store_relaxed(&run->stop, true);
	join(run, 0, run->readers);
	show_result(run, before, time_ns() - begin);
	page_cache_drop();
	page_cache_drop_files();
	for (unsigned int at = 0; at < ARRAY_SIZE(run->workers); at++)
		wrong += run->workers[at].wrong;
	return wrong ? -EIO : 0;
}

static int thpfioscale_run(struct sink *out, struct workload_parameters *parameters)
{
	const char *policy = workload_word(parameters, "policy", frag_policy_get()->name);
	uint64_t written = workload_number(out, parameters, "written", 150); /* percent of memory */
	uint64_t mapped = workload_number(out, parameters, "mapped", 75);    /* percent of a node */
	const char *previous = frag_policy_get()->name, *enabled;
	struct memory_info info;
	struct run *run = kzalloc(sizeof(*run));
	int error;

	if (!run)
		return -ENOMEM;
	memory_info_get(&info);
	run->out = out;
	run->jobs = workload_number(out, parameters, "jobs", 4);
	run->readers = workload_number(out, parameters, "readers", 4);
	run->threads = workload_number(out, parameters, "threads", 1);
	run->burst = MIN(workload_number(out, parameters, "burst", 1024), (uint64_t)REQUESTS);
	run->seed = workload_number(out, parameters, "seed", 1);
	run->mode = workload_word(parameters, "mode", "default");
	run->files = info.total * written / 100 / PAGES_PER_FILE;
	run->mappings = node_pages() * mapped / 100 * PAGE_SIZE / MAPPING_BYTES;
	error = workload_parameters_end(out, parameters);
	if (!error && (run->jobs > MAX_THREADS || run->readers > MAX_THREADS || run->threads > MAX_THREADS ||
		       !run->files || !(is_mode(run, "default") || is_mode(run, "madvise") || is_mode(run, "never")) ||
		       frag_policy_set(policy))) {
		sink_printf(out,
			    "thpfioscale: wants mode=default, madvise or never, up to %u jobs, readers and threads, "
			    "written at least 1, and a policy of /proc/sys/vm/frag_policy\n",
			    MAX_THREADS);
		error = -EINVAL;
	}
	enabled = is_mode(run, "never") ? "never" : "always";
	if (!error && !vfile_write(THP_ENABLED, enabled, strlen(enabled))) {
		error = run_all(run);
		if (vfile_write(THP_ENABLED, "madvise", 7))
			error = -EIO;
	}
	if (frag_policy_set(previous))
		error = -EINVAL;
	kfree(run);
	return error;
}
WORKLOAD(thpfioscale, "policy= mode=default|madvise|never threads=1 seed=1 ...",
	 "huge pages are faulted in while small files fill memory", thpfioscale_run);
