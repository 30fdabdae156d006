/*
 * hints: takes and frees blocks at a given rate, under each tracker in turn, and says what hinting made of it: how many
 * of the blocks it looked at were free (hit rate), blocks a second while it told, how long after the last free until
 * all was told, and what taking and freeing cost the threads, beside the same with no tracker.
 *
 * Reads the figures where any user would: /sys/kernel/mm/page_hinting/stats.
 */
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "workloads/latency.h"
#include "workloads/workload.h"

#define FOLDER	    "/sys/kernel/mm/page_hinting/"
#define MAX_THREADS 8u
#define SLOTS	    256u
#define QUIET_NS    NS_PER_S /* nothing told for so long: all was told */
#define WAIT_NS	    (20 * NS_PER_S)

struct worker {
	struct thread *thread;
	struct rand rand;
	uint64_t deadline_ns, interval_ns; /* between two operations; 0: as fast as it goes */
	unsigned int order;
	struct page *slots[SLOTS];
	struct latency take, free;
};

struct figures {
	uint64_t free, taken, small, blocks, bytes, away_ns, passes;
};

struct result {
	const char *tracker;
	struct figures did;
	uint64_t to_report_ns, blocks_per_s, hit_permille;
	struct latency take, free;
};

/* ---- what hinting says --------------------------------------------------------------------------------------------
 */

static uint64_t figure(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	uint64_t value = 0;

	for (at = at ? at + strlen(name) : ""; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

static int read_figures(struct figures *figures)
{
	char buffer[1024];
	struct text text;
	int error;

	text_init(&text, buffer, sizeof(buffer));
	error = vfile_read(FOLDER "stats", &text.sink);
	*figures = (struct figures){
		.free = figure(buffer, "blocks_free "),
		.taken = figure(buffer, "blocks_taken "),
		.small = figure(buffer, "blocks_too_small "),
		.blocks = figure(buffer, "blocks_reported "),
		.bytes = figure(buffer, "bytes_reported "),
		.away_ns = figure(buffer, "away_ns "),
		.passes = figure(buffer, "\npasses "),
	};
	return error;
}

static struct figures since(const struct figures *before)
{
	struct figures now;

	if (read_figures(&now))
		return (struct figures){0};
	return (struct figures){now.free - before->free,     now.taken - before->taken, now.small - before->small,
				now.blocks - before->blocks, now.bytes - before->bytes, now.away_ns - before->away_ns,
				now.passes - before->passes};
}

/* Waits until nothing is told any more; when the last was. */
static uint64_t wait_until_told(void)
{
	uint64_t start = time_ns(), last = start;
	struct figures before, now;

	for (int error = read_figures(&before); !error && time_ns() - last < QUIET_NS && time_ns() - start < WAIT_NS;) {
		sleep_ns(5 * NS_PER_MS);
		error = read_figures(&now);
		if (now.bytes != before.bytes)
			last = time_ns();
		before = now;
	}
	return last;
}

/* ---- taking and freeing -------------------------------------------------------------------------------------------
 */

static void operate(struct worker *worker)
{
	struct page **slot = &worker->slots[rand_below(&worker->rand, SLOTS)];
	uint64_t start = time_ns();

	if (*slot) {
		free_pages(*slot, worker->order);
		*slot = NULL;
		latency_add(&worker->free, time_ns() - start);
		return;
	}
	*slot = alloc_pages(GFP_USER | GFP_NORETRY | GFP_NOWARN | GFP_NOSTRUCT | GFP_OWNER(PAGE_OWNER_WORKLOAD),
			    worker->order);
	latency_add(&worker->take, time_ns() - start);
	for (uint64_t page = 0; *slot && page < 1ull << worker->order; page++)
		*(volatile uint64_t *)((char *)page_address(*slot) + page * PAGE_SIZE) = page;
}

static int work(void *argument)
{
	struct worker *worker = argument;
	uint64_t next = time_ns();

	while (time_ns() < worker->deadline_ns && !shell_interrupted()) {
		operate(worker);
		next += worker->interval_ns;
		if (time_ns() < next)
			sleep_ns(next - time_ns());
	}
	for (unsigned int at = 0; at < SLOTS; at++)
		if (worker->slots[at])
			free_pages(worker->slots[at], worker->order);
	return 0;
}

static int run_workers(struct worker *workers, unsigned int threads, struct result *result)
{
	unsigned int started = 0;

	for (; started < threads; started++) {
		workers[started].thread = thread_spawn("hints", work, &workers[started]);
		if (IS_ERR(workers[started].thread))
			break;
	}
	for (unsigned int at = 0; at < started; at++) {
		thread_join(workers[at].thread);
		latency_merge(&result->take, &workers[at].take);
		latency_merge(&result->free, &workers[at].free);
	}
	return started < threads ? -ENOMEM : 0;
}

/* ---- one tracker --------------------------------------------------------------------------------------------------
 */

struct setting {
	uint64_t rate, seconds, order, threads, seed;
};

static int choose(const char *tracker)
{
	return vfile_write(FOLDER "tracker", tracker, strlen(tracker));
}

static int measure(const char *tracker, const struct setting *setting, struct result *result)
{
	struct worker *workers = kzalloc(setting->threads * sizeof(*workers));
	struct figures before;
	uint64_t end;
	int error = workers ? choose(tracker) : -ENOMEM;

	result->tracker = tracker;
	/* What was free before is not what is measured. */
	(void)wait_until_told();
	if (!error)
		error = read_figures(&before);
	for (unsigned int at = 0; !error && at < setting->threads; at++) {
		workers[at].order = (unsigned int)setting->order;
		workers[at].interval_ns = setting->rate ? NS_PER_S * setting->threads / setting->rate : 0;
		workers[at].deadline_ns = time_ns() + setting->seconds * NS_PER_S;
		rand_seed(&workers[at].rand, setting->seed + at);
	}
	if (!error)
		error = run_workers(workers, (unsigned int)setting->threads, result);
	kfree(workers);
	if (error)
		return error;
	end = time_ns();
	result->to_report_ns = wait_until_told() - end;
	result->did = since(&before);
	if (result->did.away_ns)
		result->blocks_per_s = result->did.blocks * NS_PER_S / result->did.away_ns;
	if (result->did.free + result->did.taken + result->did.small)
		result->hit_permille =
			result->did.free * 1000 / (result->did.free + result->did.taken + result->did.small);
	return 0;
}

/* ---- results ------------------------------------------------------------------------------------------------------
 */

static void show(struct sink *out, const struct result *result)
{
	sink_printf(out, "%-9s %8lu %6lu.%lu %8lu %10lu %10lu %7lu %9lu %9lu %9lu\n", result->tracker,
		    result->did.blocks, result->hit_permille / 10, result->hit_permille % 10, result->did.bytes >> 20,
		    result->blocks_per_s, (uint64_t)(result->to_report_ns / NS_PER_MS), result->did.passes,
		    latency_mean(&result->take), latency_mean(&result->free), latency_percentile(&result->take, 990));
}

static void show_json(struct sink *out, const struct result *result, const struct setting *setting)
{
	sink_printf(
		out,
		"json {\"workload\": \"hints\", \"tracker\": \"%s\", \"rate\": %lu, \"order\": %lu, \"threads\": %lu, "
		"\"seed\": %lu, \"blocks\": %lu, \"bytes\": %lu, \"hit_permille\": %lu, \"blocks_per_s\": %lu, "
		"\"to_report_ns\": %lu, \"passes\": %lu, ",
		result->tracker, setting->rate, setting->order, setting->threads, setting->seed, result->did.blocks,
		result->did.bytes, result->hit_permille, result->blocks_per_s, result->to_report_ns,
		result->did.passes);
	latency_json(out, "take", &result->take);
	sink_printf(out, ", ");
	latency_json(out, "free", &result->free);
	sink_printf(out, "}\n");
}

static int hints_run(struct sink *out, struct workload_parameters *parameters)
{
	static const char *const trackers[] = {"none", "bitmap", "freelist"};
	struct setting setting = {
		.rate = workload_number(out, parameters, "rate", 2000),
		.seconds = workload_number(out, parameters, "seconds", 3),
		.order = workload_number(out, parameters, "order", PAGEBLOCK_ORDER),
		.threads = workload_number(out, parameters, "threads", MIN(cpu_count(), MAX_THREADS)),
		.seed = workload_number(out, parameters, "seed", 1),
	};
	int error = workload_parameters_end(out, parameters);
	struct result *results = kzalloc(ARRAY_SIZE(trackers) * sizeof(*results));
	bool sane = setting.order <= MAX_ORDER && setting.threads && setting.threads <= MAX_THREADS;

	if (!error && !sane)
		sink_printf(out, "hints: order is at most %u, threads 1 to %u\n", MAX_ORDER, MAX_THREADS);
	if (!error && !results)
		error = -ENOMEM;
	for (unsigned int at = 0; !error && sane && at < ARRAY_SIZE(trackers); at++)
		error = measure(trackers[at], &setting, &results[at]);
	if (!error && sane) {
		sink_printf(out, "%-9s %8s %8s %8s %10s %10s %7s %9s %9s %9s\n", "tracker", "blocks", "hits %", "MiB",
			    "blocks/s", "to tell ms", "passes", "take ns", "free ns", "take p99");
		for (unsigned int at = 0; at < ARRAY_SIZE(trackers); at++)
			show(out, &results[at]);
		for (unsigned int at = 0; at < ARRAY_SIZE(trackers); at++)
			show_json(out, &results[at], &setting);
	}
	kfree(results);
	if (!error)
		error = choose("none");
	return error ? error : sane ? 0 : -EINVAL;
}
WORKLOAD(hints, "rate=2000 seconds=3 order=9 threads= seed=1", "takes and frees blocks at a rate, under each tracker",
	 hints_run);
