/*
 * time_ns(): the cycle counter, scaled.
 *
 * Time is 0 until clock_init() knows the rate, then counts from the first instruction, so it never runs backwards. The
 * counters of all CPUs are taken to run at one rate (any 64-bit machine worth testing on; QEMU by construction). If
 * one of them stands elsewhere than the boot CPU's, its block holds the difference; most machines have no such CPU,
 * and then time_ns() does not even look.
 */
#include "arch/x86_64/clock.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/calibrate.h"
#include "arch/x86_64/percpu_internal.h"
#include "arch/x86_64/platform.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"

/* Exchanges between two CPUs, until one was quick: what is taken for equal may differ by half of that. */
#define SYNC_ROUNDS	  8
#define SYNC_QUICK_CYCLES 10000

static struct {
	uint64_t base_cycles; /* when time was 0 */
	struct clock_ratio ns_per_cycle, cycles_per_ns, apic_ticks_per_ns;
	uint64_t cycles_hz;
	const char *reference;
	bool offsets; /* some CPU has a cycle_offset */
} clock;

/* Not before what precedes it in the program: a time read after a message arrived is after the time in the message. */
static ALWAYS_INLINE uint64_t ordered_cycles(void)
{
	__asm__ volatile("lfence" ::: "memory");
	return cpu_cycles();
}

static NOINLINE uint64_t corrected_cycles(void)
{
	unsigned long flags = cpu_irq_save(); /* counter and offset of the same CPU */
	uint64_t cycles = ordered_cycles() + (uint64_t)this_cpu_block()->cycle_offset;

	cpu_irq_restore(flags);
	return cycles;
}

uint64_t time_of_cycles(uint64_t cycles)
{
	return clock_scale(cycles - clock.base_cycles, clock.ns_per_cycle);
}

uint64_t time_ns(void)
{
	uint64_t cycles = unlikely(READ_ONCE(clock.offsets)) ? corrected_cycles() : ordered_cycles();

	return time_of_cycles(cycles);
}

void delay_ns(uint64_t ns)
{
	uint64_t end = time_ns() + ns;

	while (time_ns() < end)
		cpu_relax();
}

void clock_init(uint64_t entry_cycles, const struct machine *machine)
{
	struct clock_rates rates;

	apic_early_init(machine->local_apic);
	rates = calibrate(machine);
	clock.base_cycles = entry_cycles;
	clock.cycles_hz = rates.cycles_hz;
	clock.reference = rates.reference;
	clock.cycles_per_ns = clock_ratio(rates.cycles_hz, NS_PER_S);
	clock.apic_ticks_per_ns = clock_ratio(rates.apic_hz, NS_PER_S);
	clock.ns_per_cycle = clock_ratio(NS_PER_S, rates.cycles_hz);
	pr_debug("clock: %lu MHz by %s", rates.cycles_hz / 1000000, rates.reference);
}

uint64_t clock_cycles_at(uint64_t ns)
{
	return clock.base_cycles + clock_scale(ns, clock.cycles_per_ns) - (uint64_t)this_cpu_block()->cycle_offset;
}

struct clock_ratio clock_apic_ticks_per_ns(void)
{
	return clock.apic_ticks_per_ns;
}

uint64_t clock_cycles_per_second(void)
{
	return clock.cycles_hz;
}

const char *clock_reference(void)
{
	return clock.reference;
}

/* Taking the middle errs by half the exchange at most, so a larger difference is a real one. */
int64_t clock_difference(uint64_t before, uint64_t after, uint64_t boot_cycles)
{
	uint64_t half = (after - before) / 2;
	int64_t difference = (int64_t)(boot_cycles - (before + half));

	return (uint64_t)(difference < 0 ? -difference : difference) > half ? difference : 0;
}

void clock_sync_ap(struct clock_sync *sync)
{
	uint64_t shortest = UINT64_MAX;
	int64_t difference = 0;

	for (uint32_t round = 1; round <= SYNC_ROUNDS && shortest > SYNC_QUICK_CYCLES; round++) {
		uint64_t before = ordered_cycles(), after;

		store_release(&sync->asked, round);
		while (load_acquire(&sync->answered) != round)
			cpu_relax();
		after = ordered_cycles();
		if (after - before < shortest) {
			shortest = after - before;
			difference = clock_difference(before, after, sync->boot_cycles);
		}
	}
	this_cpu_block()->cycle_offset = difference;
	if (difference)
		WRITE_ONCE(clock.offsets, true);
	store_release(&sync->finished, 1);
}

void clock_sync_serve(struct clock_sync *sync)
{
	while (!load_acquire(&sync->finished)) {
		uint32_t asked = load_acquire(&sync->asked);

		if (asked != load_relaxed(&sync->answered)) {
			sync->boot_cycles = ordered_cycles();
			store_release(&sync->answered, asked);
		}
		cpu_relax();
	}
}
