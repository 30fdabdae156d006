/*
 * The guest's scheduler: preemption, pinning, fair slices, and CPUs that help each other.
 */
#include <arch/cpu.h>

#include "kernel/cpu.h"
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"

#define LIMIT_NS (10 * NS_PER_S)

static int last_cpu(void)
{
	return (int)cpu_count() - 1;
}

static int spin_until_set(void *flag)
{
	uint64_t end = time_ns() + LIMIT_NS;

	while (!load_acquire((uint32_t *)flag))
		if (time_ns() > end)
			return -ETIMEDOUT;
	return 0;
}

static int set(void *flag)
{
	store_release((uint32_t *)flag, 1u);
	return 0;
}

KTEST(scheduler, a_thread_that_spins_is_preempted)
{
	uint32_t flag = 0;
	struct thread *spinner = thread_spawn_on(last_cpu(), "spinner", spin_until_set, &flag), *setter;

	REQUIRE(t, !IS_ERR(spinner));
	sleep_ns(NS_PER_MS);
	setter = thread_spawn_on(last_cpu(), "setter", set, &flag);
	EXPECT(t, !IS_ERR(setter));
	EXPECT_OK(t, thread_join(spinner));
	if (!IS_ERR(setter))
		thread_join(setter);
}

static int count_strays(void *argument)
{
	unsigned int home = (unsigned int)(uintptr_t)argument;
	int strays = 0;

	for (int i = 0; i < 200; i++) {
		strays += cpu_id() != home;
		if (i % 20 == 0)
			sleep_ns(50 * NS_PER_US);
		else
			thread_yield();
	}
	return strays;
}

KTEST(scheduler, pinned_threads_stay)
{
	struct thread *threads[MAX_CPUS][2];
	unsigned int count = cpu_count();

	for (unsigned int cpu = 0; cpu < count; cpu++)
		for (int i = 0; i < 2; i++)
			threads[cpu][i] = thread_spawn_on((int)cpu, "pinned", count_strays, (void *)(uintptr_t)cpu);
	for (unsigned int cpu = 0; cpu < count; cpu++)
		for (int i = 0; i < 2; i++) {
			EXPECT(t, !IS_ERR(threads[cpu][i]));
			if (!IS_ERR(threads[cpu][i]))
				EXPECT_EQ(t, thread_join(threads[cpu][i]), 0);
		}
}

struct spinner {
	uint32_t *stop;
	uint32_t cpu; /* where it was last */
	uint64_t ran_ns, longest_ns;
};

/* Adds up the time in which it ran: a gap of more than a moment is somebody else's. */
static int measure_share(void *argument)
{
	struct spinner *spinner = argument;
	uint64_t last = time_ns(), end = last + LIMIT_NS;

	while (!load_acquire(spinner->stop) && last < end) {
		uint64_t now = time_ns();

		if (now - last < 500 * NS_PER_US)
			spinner->ran_ns += now - last;
		last = now;
		store_relaxed(&spinner->cpu, cpu_id());
	}
	return 0;
}

KTEST(scheduler, two_that_spin_on_one_cpu_share_it)
{
	uint32_t stop = 0;
	struct spinner spinners[2] = {{.stop = &stop}, {.stop = &stop}};
	struct thread *threads[2];
	uint64_t total;

	for (int i = 0; i < 2; i++) {
		threads[i] = thread_spawn_on(last_cpu(), "spinner", measure_share, &spinners[i]);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	sleep_ns(100 * NS_PER_MS);
	store_release(&stop, 1u);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	total = spinners[0].ran_ns + spinners[1].ran_ns;
	for (int i = 0; i < 2; i++)
		EXPECT(t, spinners[i].ran_ns * 5 >= total);
}

static bool all_on_different_cpus(struct spinner *spinners, unsigned int count)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < count; i++)
		seen |= 1ull << load_relaxed(&spinners[i].cpu);
	return bitmap_count(&seen, 0, MAX_CPUS) == count;
}

KTEST(scheduler, as_many_as_there_are_cpus_spread_over_all)
{
	unsigned int count = cpu_count();
	struct spinner spinners[MAX_CPUS] = {0};
	struct thread *threads[MAX_CPUS];
	uint32_t stop = 0;
	uint64_t end = time_ns() + LIMIT_NS;

	for (unsigned int i = 0; i < count; i++) {
		spinners[i].stop = &stop;
		threads[i] = thread_spawn("spinner", measure_share, &spinners[i]);
	}
	sleep_ns(NS_PER_MS);
	while (!all_on_different_cpus(spinners, count) && time_ns() < end)
		sleep_ns(NS_PER_MS);
	EXPECT(t, all_on_different_cpus(spinners, count));
	store_release(&stop, 1u);
	for (unsigned int i = 0; i < count; i++) {
		EXPECT(t, !IS_ERR(threads[i]));
		if (!IS_ERR(threads[i]))
			thread_join(threads[i]);
	}
}

struct crowd {
	uint32_t stop, started, nr_threads;
	struct thread *threads[MAX_CPUS + 2];
};

static int spin_in_crowd(void *argument)
{
	struct crowd *crowd = argument;

	atomic_inc(&crowd->started);
	return spin_until_set(&crowd->stop);
}

/* A thread that spins on each CPU, and @more on the last. */
static void crowd_gathers(struct ktest *t, struct crowd *crowd, unsigned int more)
{
	for (unsigned int at = 0; at < cpu_count() + more; at++) {
		int cpu = MIN((int)at, last_cpu());
		struct thread *thread = thread_spawn_on(cpu, "spinner", spin_in_crowd, crowd);

		EXPECT(t, !IS_ERR(thread));
		if (!IS_ERR(thread))
			crowd->threads[crowd->nr_threads++] = thread;
	}
	while (load_acquire(&crowd->started) < crowd->nr_threads)
		sleep_ns(NS_PER_MS);
}

static int tell_cpu(void *argument UNUSED)
{
	return (int)cpu_id();
}

/* The CPU on which a thread begins that may run anywhere. */
static int spawn_newcomer(void *argument UNUSED)
{
	struct thread *newcomer = thread_spawn("newcomer", tell_cpu, NULL);

	return IS_ERR(newcomer) ? -ENOMEM : thread_join(newcomer);
}

/* Spawned on the last CPU, where @waiting wait, while none wait on the others and no CPU idles. */
static int newcomer_begins_on(struct ktest *t, unsigned int waiting)
{
	struct crowd crowd = {0};
	struct thread *spawner;
	int cpu;

	crowd_gathers(t, &crowd, waiting - 1);
	spawner = thread_spawn_on(last_cpu(), "spawner", spawn_newcomer, NULL);
	cpu = IS_ERR(spawner) ? -ENOMEM : thread_join(spawner);
	store_release(&crowd.stop, 1u);
	for (unsigned int at = 0; at < crowd.nr_threads; at++)
		EXPECT_OK(t, thread_join(crowd.threads[at]));
	return cpu;
}

/* A daemon may wait there, too, for a moment: then it would not stay. */
KTEST(scheduler, who_finds_no_idle_cpu_goes_where_two_fewer_wait)
{
	unsigned int tries = 1;
	int cpu;

	if (cpu_count() == 1)
		return;
	cpu = newcomer_begins_on(t, 3);
	EXPECT(t, cpu >= 0 && cpu != last_cpu());
	while (newcomer_begins_on(t, 1) != last_cpu() && tries < 10)
		tries++;
	EXPECT(t, tries < 10);
}

static uint32_t rival_ran;

/* On a CPU of its own choice, with a rival in the queue: 0 if the rival did not run while preemption was off. */
static int hold_the_cpu(void *argument)
{
	int cpu = *(int *)argument;

	for (int attempt = 0; attempt < 10; attempt++) {
		struct thread *rival;
		uint32_t before, meanwhile;
		uint64_t end;

		store_release(&rival_ran, 0u);
		rival = thread_spawn_on(cpu, "rival", set, &rival_ran);
		if (IS_ERR(rival))
			return -ENOMEM;
		preempt_disable();
		before = load_acquire(&rival_ran);
		for (end = time_ns() + 10 * NS_PER_MS; time_ns() < end;)
			cpu_relax();
		meanwhile = load_acquire(&rival_ran);
		preempt_enable();
		thread_join(rival);
		if (!before) /* else it ran before preemption was off: again */
			return meanwhile ? -EINVAL : 0;
	}
	return -EAGAIN;
}

KTEST(scheduler, nobody_else_runs_while_preemption_is_off)
{
	int cpu = last_cpu();
	struct thread *holder = thread_spawn_on(cpu, "holder", hold_the_cpu, &cpu);

	REQUIRE(t, !IS_ERR(holder));
	EXPECT_OK(t, thread_join(holder));
}

struct arrival {
	struct wait_queue *queue;
	uint32_t *go, *arrived;
	bool urgent;
	uint32_t place;
};

static int wait_and_arrive(void *argument)
{
	struct arrival *arrival = argument;

	if (arrival->urgent)
		thread_be_urgent();
	atomic_inc(arrival->arrived);
	wait_event(arrival->queue, load_acquire(arrival->go));
	arrival->place = atomic_fetch_add(arrival->arrived, 1);
	return 0;
}

/* On the CPU where they wait: none of them can run before preemption is on again. */
static int wake_arrivals(void *argument)
{
	struct arrival *arrival = argument;

	preempt_disable();
	store_release(arrival->go, 1u);
	wake_up_all(arrival->queue);
	preempt_enable();
	return 0;
}

static bool urgent_arrives_first(struct ktest *t)
{
	static struct wait_queue queue;
	uint32_t go = 0, arrived = 0;
	struct arrival arrivals[3];
	struct thread *threads[3], *waker;

	wait_queue_init(&queue);
	for (unsigned int at = 0; at < 3; at++) {
		arrivals[at] = (struct arrival){&queue, &go, &arrived, at == 2, UINT32_MAX};
		threads[at] = thread_spawn_on(last_cpu(), "arrival", wait_and_arrive, &arrivals[at]);
		EXPECT(t, !IS_ERR(threads[at]));
		/* One after the other, so that they wait in this order. */
		while (load_acquire(&arrived) <= at)
			sleep_ns(NS_PER_MS);
		sleep_ns(NS_PER_MS);
	}
	waker = thread_spawn_on(last_cpu(), "waker", wake_arrivals, &arrivals[0]);
	EXPECT(t, !IS_ERR(waker));
	thread_join(waker);
	for (unsigned int at = 0; at < 3; at++)
		thread_join(threads[at]);
	return arrivals[2].place == 3;
}

/* It is the last that is woken. If the host takes the CPU away for a slice just then, that is its slice: so again. */
KTEST(scheduler, who_is_urgent_runs_before_those_who_wait)
{
	unsigned int tries = 1;

	while (!urgent_arrives_first(t) && tries < 10)
		tries++;
	EXPECT(t, tries < 10);
}

/* How many of those that it wakes on its CPU had their turn when it has its next. */
static int work_urgently(void *argument)
{
	struct arrival *arrival = argument;
	uint32_t waiting = 2, now;

	thread_be_urgent();
	while (load_acquire(arrival->arrived) < waiting)
		sleep_ns(NS_PER_MS);
	wake_arrivals(arrival);
	while ((now = load_acquire(arrival->arrived)) == waiting)
		cpu_relax();
	return (int)(now - waiting);
}

/* Regression: kswapd waited for all others at the end of a slice, and memory ran out meanwhile. */
KTEST(scheduler, who_is_urgent_waits_for_one_other_after_a_slice)
{
	static struct wait_queue queue;
	uint32_t go = 0, arrived = 0;
	struct arrival arrivals[3];
	struct thread *threads[3];

	wait_queue_init(&queue);
	for (unsigned int at = 0; at < 3; at++) {
		arrivals[at] = (struct arrival){&queue, &go, &arrived, false, UINT32_MAX};
		threads[at] = thread_spawn_on(last_cpu(), "arrival", at == 2 ? work_urgently : wait_and_arrive,
					      &arrivals[at]);
		REQUIRE(t, !IS_ERR(threads[at]));
	}
	EXPECT_EQ(t, thread_join(threads[2]), 1);
	thread_join(threads[0]);
	thread_join(threads[1]);
}
