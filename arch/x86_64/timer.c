/*
 * The next timer interrupt of this CPU. Tickless: nothing is set, nothing comes.
 *
 * With TSC deadline the hardware compares the cycle counter itself. Else the one-shot counter is loaded with the
 * distance; what is beyond its 32 bits comes early (4 s at 1 GHz), and the timers' code just sets the rest.
 */
#include "arch/x86_64/timer.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu_internal.h"
#include "kernel/scheduler.h"
#include "kernel/time.h"

static bool uses_tsc_deadline;

void timer_init_cpu(void)
{
	uint32_t features[4];

	cpuid(1, 0, features);
	uses_tsc_deadline = features[ECX] & CPUID_1_ECX_TSC_DEADLINE;
	apic_timer_start(0);
	apic_timer_mode(uses_tsc_deadline ? APIC_TIMER_TSC_DEADLINE : APIC_TIMER_ONE_SHOT);
}

static uint32_t ticks_until(uint64_t deadline_ns)
{
	uint64_t now = time_ns(), ticks;

	if (deadline_ns <= now)
		return 1;
	ticks = clock_scale(deadline_ns - now, clock_apic_ticks_per_ns());
	/* One more: rounding down must not make it come just before the deadline, and then once more. */
	return ticks < UINT32_MAX ? (uint32_t)ticks + 1 : UINT32_MAX;
}

void arch_timer_set(uint64_t deadline_ns)
{
	struct cpu_block *block = this_cpu_block();

	if (deadline_ns == block->timer_deadline_ns)
		return;
	block->timer_deadline_ns = deadline_ns;
	if (uses_tsc_deadline)
		msr_write(MSR_TSC_DEADLINE, deadline_ns == UINT64_MAX ? 0 : clock_cycles_at(deadline_ns) + 1);
	else
		apic_timer_start(deadline_ns == UINT64_MAX ? 0 : ticks_until(deadline_ns));
}

void timer_expired(void)
{
	this_cpu_block()->timer_deadline_ns = UINT64_MAX;
}
