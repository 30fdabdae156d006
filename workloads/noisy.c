/*
 * noisy: threads that keep allocating and freeing the same few blocks, as fast as they can.
 *
 * What such a thread costs others shows in what runs beside it: hinting that reports each of these blocks again and
 * again, per-CPU lists that are filled and drained, locks. Each thread holds `blocks` blocks of `order`, frees the
 * oldest and takes another, `rounds` times; a block carries the thread's mark until it is freed.
 */
#include "kernel/memory.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "mm/memory.h"
#include "workloads/latency.h"
#include "workloads/workload.h"

#define MAX_THREADS 16u
#define MAX_BLOCKS  64u

struct noisy {
	uint64_t blocks, order, rounds;
};

struct noise {
	const struct noisy *noisy;
	struct thread *thread;
	struct page *held[MAX_BLOCKS];
	uint64_t done, failed, wrong;
	struct latency latency; /* of a free and an allocation */
};

static void give(struct noise *noise, struct page **slot)
{
	if (!*slot)
		return;
	noise->wrong += *(uintptr_t *)page_address(*slot) != ((uintptr_t)noise ^ page_to_pfn(*slot));
	free_pages(*slot, (unsigned int)noise->noisy->order);
	*slot = NULL;
}

static void take(struct noise *noise, struct page **slot)
{
	*slot = alloc_pages(GFP_USER | GFP_NOWARN | GFP_NORETRY | GFP_OWNER(PAGE_OWNER_WORKLOAD),
			    (unsigned int)noise->noisy->order);
	if (*slot)
		*(uintptr_t *)page_address(*slot) = (uintptr_t)noise ^ page_to_pfn(*slot);
	else
		noise->failed++;
}

static int make_noise(void *argument)
{
	struct noise *noise = argument;
	const struct noisy *noisy = noise->noisy;

	for (; noise->done < noisy->rounds && !shell_interrupted(); noise->done++) {
		struct page **slot = &noise->held[noise->done % noisy->blocks];
		uint64_t start = time_ns();

		give(noise, slot);
		take(noise, slot);
		latency_add(&noise->latency, time_ns() - start);
	}
	for (uint64_t at = 0; at < noisy->blocks; at++)
		give(noise, &noise->held[at]);
	return 0;
}

/* Adds all up in the first; -EIO if a mark was wrong, -ENOMEM if a thread did not start. */
static int run_threads(const struct noisy *noisy, struct noise *noises, uint64_t threads)
{
	int error = 0;

	for (uint64_t at = 0; at < threads; at++) {
		noises[at].noisy = noisy;
		noises[at].thread = thread_spawn("noise", make_noise, &noises[at]);
	}
	for (uint64_t at = 0; at < threads; at++) {
		if (IS_ERR(noises[at].thread))
			error = -ENOMEM;
		else
			thread_join(noises[at].thread);
		if (!at)
			continue;
		noises->done += noises[at].done;
		noises->failed += noises[at].failed;
		noises->wrong += noises[at].wrong;
		latency_merge(&noises->latency, &noises[at].latency);
	}
	return noises->wrong ? -EIO : error;
}

static int noisy_run(struct sink *out, struct workload_parameters *parameters)
{
	struct noisy noisy = {.blocks = workload_number(out, parameters, "blocks", 4),
			      .order = workload_number(out, parameters, "order", 0),
			      .rounds = workload_number(out, parameters, "rounds", 100000)};
	uint64_t threads = workload_number(out, parameters, "threads", 1);
	int error = workload_parameters_end(out, parameters);
	struct noise *noises;

	if (error)
		return error;
	if (!threads || threads > MAX_THREADS || !noisy.blocks || noisy.blocks > MAX_BLOCKS ||
	    noisy.order >= NR_ORDERS) {
		sink_printf(out, "noisy: wants 1 to %u threads, 1 to %u blocks, and order below %u\n", MAX_THREADS,
			    MAX_BLOCKS, (unsigned int)NR_ORDERS);
		return -EINVAL;
	}
	noises = kzalloc(threads * sizeof(*noises));
	if (!noises)
		return -ENOMEM;
	error = run_threads(&noisy, noises, threads);
	sink_printf(out, "%-16s %9s %11s %11s %11s %11s\n", "microseconds", "count", "mean", "p50", "p99", "max");
	latency_show(out, "free and take", &noises->latency);
	sink_printf(out, "noisy: %lu rounds, %lu failed, %lu blocks wrong\n", noises->done, noises->failed,
		    noises->wrong);
	sink_printf(out, "json {\"workload\": \"noisy\", \"threads\": %lu, \"failed\": %lu, \"wrong\": %lu, ", threads,
		    noises->failed, noises->wrong);
	latency_json(out, "latency", &noises->latency);
	sink_printf(out, "}\n");
	kfree(noises);
	return error;
}
WORKLOAD(noisy, "threads=1 blocks=4 order=0 rounds=100000", "threads that free and take the same few blocks, checked",
	 noisy_run);
