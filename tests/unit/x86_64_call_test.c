/*
 * Calling other CPUs: the right one runs it, in interrupt context, and callers that call each other do not wait for
 * ever.
 */
#include "kernel/cpu.h"
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

struct seen {
	uint32_t cpu, calls;
	bool interrupt, irqs;
};

static void look(void *argument)
{
	struct seen *seen = argument;

	seen->cpu = cpu_id();
	seen->interrupt = in_interrupt();
	seen->irqs = cpu_irqs_enabled();
	seen->calls++;
}

KTEST(cpu_call, each_cpu_runs_what_it_is_asked_once_before_the_call_returns)
{
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		struct seen seen = {.cpu = MAX_CPUS};

		cpu_call(cpu, look, &seen);
		EXPECT_EQ(t, seen.cpu, cpu);
		EXPECT_EQ(t, seen.calls, 1u);
		EXPECT(t, seen.interrupt);
		EXPECT(t, !seen.irqs);
		EXPECT(t, cpu_irqs_enabled());
		EXPECT(t, !in_interrupt());
	}
}

static void count_here(void *argument)
{
	uint32_t *counts = argument;

	atomic_inc(&counts[cpu_id()]);
}

KTEST(cpu_call, all_means_every_cpu_once_and_this_one_too)
{
	static uint32_t counts[MAX_CPUS];

	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		counts[cpu] = 0;
	cpu_call_all(count_here, counts);
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		EXPECT_EQ(t, counts[cpu], cpu < cpu_count() ? 1u : 0u);
}

/* Every CPU calls every CPU: each waits for others that wait for it. */
#define ROUNDS 4

static uint32_t storm_counts[MAX_CPUS];

static int storm(void *argument UNUSED)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
			cpu_call(cpu, count_here, storm_counts);
		cpu_call_all(count_here, storm_counts);
	}
	return 0;
}

KTEST(cpu_call, all_cpus_calling_each_other_come_to_an_end)
{
	struct thread *threads[MAX_CPUS];

	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		storm_counts[cpu] = 0;
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		threads[cpu] = thread_spawn_on((int)cpu, "storm", storm, NULL);
		REQUIRE(t, !IS_ERR(threads[cpu]));
	}
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		EXPECT_EQ(t, thread_join(threads[cpu]), 0);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		EXPECT_EQ(t, storm_counts[cpu], cpu_count() * ROUNDS * 2);
}
