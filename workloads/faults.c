/*
 * faults: what a page costs in an address space: a first touch, a copy on write, unmapping; small and huge.
 *
 * A thread makes a space, touches a word per page, forks, writes again, and unmaps, all timed by the page. The best of
 * some rounds counts: what else the machine does only adds.
 */
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/vm/mm.h"
#include "workloads/workload.h"

struct faults {
	uint64_t bytes, rounds;
	bool huge;
	uint64_t touch_ns, copy_ns, unmap_ns, fork_ns; /* for all pages, the best round */
	uint64_t blocks;			       /* huge pages of the last round */
};

static int touch_all(uint64_t start, uint64_t bytes, uint64_t step)
{
	uint64_t value = 1;
	int error = 0;

	for (uint64_t at = start; at < start + bytes && !error; at += step)
		error = user_write(at, &value, sizeof(value));
	return error;
}

static void keep_best(uint64_t *best, uint64_t start)
{
	uint64_t took = time_ns() - start;

	if (!*best || took < *best)
		*best = took;
}

/* Writes to what a fork shares; only for small pages, huge ones are taken apart first. */
static int copy_round(struct faults *faults, struct mm *mm, uint64_t at)
{
	uint64_t start = time_ns();
	struct mm *child = mm_fork(mm);
	int error;

	if (IS_ERR(child))
		return (int)PTR_ERR(child);
	keep_best(&faults->fork_ns, start);
	start = time_ns();
	error = touch_all(at, faults->bytes, PAGE_SIZE);
	keep_best(&faults->copy_ns, start);
	mm_put(child);
	return error;
}

static int one_round(struct faults *faults, struct mm *mm)
{
	uint64_t step = faults->huge ? HUGE_BYTES : PAGE_SIZE, start;
	int64_t at =
		mm_map_anon(mm, 0, faults->bytes, AREA_READ | AREA_WRITE | (faults->huge ? AREA_HUGE : AREA_NOHUGE));
	int error;

	if (at < 0)
		return (int)at;
	start = time_ns();
	error = touch_all((uint64_t)at, faults->bytes, step);
	keep_best(&faults->touch_ns, start);
	faults->blocks = (uint64_t)mm->counters[MM_HUGE];
	if (!error && !faults->huge)
		error = copy_round(faults, mm, (uint64_t)at);
	start = time_ns();
	if (mm_unmap(mm, (uint64_t)at, faults->bytes))
		error = -ENOMEM;
	keep_best(&faults->unmap_ns, start);
	return error;
}

/* In a thread of its own, which lives in the space. */
static int measure(void *argument)
{
	struct faults *faults = argument;
	struct mm *mm = mm_new();
	int error = mm ? 0 : -ENOMEM;

	if (!mm)
		return error;
	mm_use(mm);
	for (uint64_t round = 0; round < faults->rounds && !error && !shell_interrupted(); round++)
		error = one_round(faults, mm);
	mm_use(NULL);
	mm_put(mm);
	return error;
}

static int measure_in_thread(struct faults *faults)
{
	struct thread *thread = thread_spawn("faults", measure, faults);

	return IS_ERR(thread) ? (int)PTR_ERR(thread) : thread_join(thread);
}

static void show(struct sink *out, const char *what, uint64_t ns, uint64_t pages)
{
	if (ns && pages)
		sink_printf(out, "%-26s %9lu ns\n", what, ns / pages);
}

static int faults_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t bytes = ALIGN_DOWN(workload_number(out, parameters, "size", MIB(32)), HUGE_BYTES);
	uint64_t rounds = workload_number(out, parameters, "rounds", 5);
	struct faults small = {bytes, rounds, false}, huge = {bytes, rounds, true};
	int error = workload_parameters_end(out, parameters);

	if (!error && !bytes)
		error = -EINVAL;
	if (!error)
		error = measure_in_thread(&small);
	if (!error)
		error = measure_in_thread(&huge);
	if (error)
		return error;
	show(out, "base fault", small.touch_ns, bytes / PAGE_SIZE);
	show(out, "fork, per page", small.fork_ns, bytes / PAGE_SIZE);
	show(out, "copy on write", small.copy_ns, bytes / PAGE_SIZE);
	show(out, "unmap, per page", small.unmap_ns, bytes / PAGE_SIZE);
	show(out, "huge fault", huge.touch_ns, bytes / HUGE_BYTES);
	show(out, "huge unmap, per huge page", huge.unmap_ns, bytes / HUGE_BYTES);
	sink_printf(out, "faults: %lu MiB, %lu rounds, %lu of %lu huge\n", bytes >> 20, rounds, huge.blocks,
		    bytes / HUGE_BYTES);
	return 0;
}
WORKLOAD(faults, "size=32M rounds=5", "what a page costs: first touch, copy, unmap; small and huge", faults_run);
