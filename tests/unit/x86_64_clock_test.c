/*
 * The clock: never backwards, not from one CPU to the next either, and as fast as the host's.
 */
#include "arch/x86_64/calibrate.h"
#include "arch/x86_64/clock.h"
#include "kernel/cpu.h"
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"

#include <arch/io.h>

KTEST(clock, time_goes_on_and_never_back)
{
	uint64_t last = time_ns(), first = last;

	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t now = time_ns();

		REQUIRE(t, now >= last);
		last = now;
	}
	EXPECT(t, last > first);
}

static void note_time(void *argument)
{
	*(uint64_t *)argument = time_ns();
}

/* What one CPU reads, asked by another, lies between what that one reads before and after. */
KTEST(clock, cpus_agree)
{
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
			uint64_t before = time_ns(), there = 0, after;

			cpu_call(cpu, note_time, &there);
			after = time_ns();
			REQUIRE(t, before <= there);
			REQUIRE(t, there <= after);
		}
	}
}

/* The turn goes round; each CPU's time must be later than that which the last one left. */
#define TURNS 48

static struct {
	uint32_t turn, disorder;
	uint64_t last_ns;
} baton;

static int run_with_baton(void *argument)
{
	uint32_t me = (uint32_t)(uint64_t)argument;

	for (uint32_t turn = me; turn < TURNS; turn += cpu_count()) {
		uint64_t now;

		while (load_acquire(&baton.turn) != turn)
			thread_yield();
		now = time_ns();
		baton.disorder += now < baton.last_ns;
		baton.last_ns = now;
		store_release(&baton.turn, turn + 1);
	}
	return 0;
}

KTEST(clock, time_handed_from_cpu_to_cpu_does_not_run_back)
{
	struct thread *threads[MAX_CPUS] = {NULL};

	baton.turn = baton.disorder = 0;
	baton.last_ns = 0;
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		threads[cpu] = thread_spawn_on((int)cpu, "baton", run_with_baton, (void *)(uint64_t)cpu);
		REQUIRE(t, !IS_ERR(threads[cpu]));
	}
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		EXPECT_EQ(t, thread_join(threads[cpu]), 0);
	EXPECT_EQ(t, baton.disorder, 0u);
}

KTEST(clock, delay_takes_at_least_what_it_says)
{
	uint64_t start = time_ns();

	delay_ns(200 * NS_PER_US);
	EXPECT(t, time_ns() - start >= 200 * NS_PER_US);
}

KTEST(clock, sleep_takes_what_it_says_and_not_much_more)
{
	uint64_t shortest = UINT64_MAX;

	/* The shortest of some: the host may take its CPU away at any time. */
	for (unsigned int i = 0; i < 5 || (i < 500 && shortest >= 20 * NS_PER_MS); i++) {
		uint64_t start = time_ns(), slept;

		sleep_ns(2 * NS_PER_MS);
		slept = time_ns() - start;
		EXPECT(t, slept >= 2 * NS_PER_MS);
		shortest = MIN(shortest, slept);
	}
	ktest_note(t, "2 ms took %llu us", shortest / NS_PER_US);
	EXPECT(t, shortest < 20 * NS_PER_MS);
}

/* Rounded down once for the ratio and once for the result. */
KTEST(clock, ratios_lose_next_to_nothing_and_do_not_overflow)
{
	struct clock_ratio third = clock_ratio(1, 3), up = clock_ratio(5000000000ull, NS_PER_S);

	EXPECT_EQ(t, clock_scale(3000000000ull, third), 999999999ull);
	EXPECT_EQ(t, clock_scale(1ull << 62, clock_ratio(1, 1)), 1ull << 62);
	EXPECT_EQ(t, clock_scale(1ull << 60, up), 5ull << 60);
	EXPECT_EQ(t, clock_scale(NS_PER_S, clock_ratio(2600000000ull, NS_PER_S)), 2599999999ull);
}

KTEST(clock, a_difference_counts_only_if_the_exchange_cannot_explain_it)
{
	/* Asked at 1000, answered at 1200: true readings of an equal counter lie between. */
	EXPECT_EQ(t, clock_difference(1000, 1200, 1000), 0);
	EXPECT_EQ(t, clock_difference(1000, 1200, 1199), 0);
	EXPECT_EQ(t, clock_difference(1000, 1200, 1300), 200);
	EXPECT_EQ(t, clock_difference(1000, 1200, 900), -200);
	EXPECT_EQ(t, clock_difference(1ull << 40, (1ull << 40) + 2, 10), 10 - (1ll << 40) - 1);
}

static int answer(void *sync)
{
	clock_sync_serve(sync);
	return 0;
}

KTEST(clock, the_exchange_finds_no_difference_where_there_is_none)
{
	static struct clock_sync sync;
	struct thread *other;

	if (cpu_count() < 2) {
		ktest_skip(t, "one CPU");
		return;
	}
	sync = (struct clock_sync){0};
	other = thread_spawn_on((int)(cpu_id() + 1) % (int)cpu_count(), "sync", answer, &sync);
	REQUIRE(t, !IS_ERR(other));
	preempt_disable();
	clock_sync_ap(&sync);
	preempt_enable();
	thread_join(other);
	EXPECT_EQ(t, sync.finished, 1u);
	EXPECT(t, sync.answered >= 1);
	EXPECT(t, time_ns() < NS_PER_S * 3600); /* an offset would have put it anywhere */
}

/* ---- against a clock that had no part in it: the PIT counts 1.193182 MHz ---- */

static uint32_t read_pit(void)
{
	uint32_t low;

	outb(0x43, 0x80);
	low = inb(0x42);
	return (uint32_t)inb(0x42) << 8 | low;
}

/* How long @ns is by the PIT; 0: there is none. */
static uint64_t by_the_pit(uint64_t *ns)
{
	uint64_t start, wanted = *ns;
	uint32_t from;

	outb(0x61, (inb(0x61) & ~2u) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	from = read_pit();
	start = time_ns();
	while (time_ns() - start < wanted)
		cpu_relax();
	*ns = time_ns() - start;
	return (uint64_t)(from - read_pit()) * NS_PER_S / 1193182;
}

KTEST(clock, a_second_is_as_long_as_the_pit_says)
{
	uint64_t ours = 0, pit = 0;

	/* The host may take the CPU away between two readings: one try of ten must fit, to 2 %. */
	for (unsigned int i = 0; i < 10; i++) {
		ours = 10 * NS_PER_MS;
		pit = by_the_pit(&ours);
		if (pit == 0) {
			ktest_skip(t, "no PIT");
			return;
		}
		if (ours < pit + pit / 50 && pit < ours + ours / 50)
			break;
	}
	ktest_note(t, "%llu us by our clock, %llu us by the PIT", ours / NS_PER_US, pit / NS_PER_US);
	EXPECT(t, ours < pit + pit / 50);
	EXPECT(t, pit < ours + ours / 50);
}
