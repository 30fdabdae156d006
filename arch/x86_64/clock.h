/*
 * The clock's inner side: cycles and nanoseconds, and CPUs whose counters disagree. kernel/time.h is the outer one.
 */
#pragma once

#include "lib/compiler.h"

struct machine;

/* Fixed point with 32 fractional bits: results = counts * ratio >> 32. */
struct clock_ratio {
	uint64_t per_2_32;
};

static inline uint64_t clock_scale(uint64_t counts, struct clock_ratio ratio)
{
	return (uint64_t)(((unsigned __int128)counts * ratio.per_2_32) >> 32);
}

/* @numerator / @denominator; the quotient is below 2^32. */
static inline struct clock_ratio clock_ratio(uint64_t numerator, uint64_t denominator)
{
	return (struct clock_ratio){(numerator / denominator << 32) + ((numerator % denominator) << 32) / denominator};
}

/* The cycle counter's value on this CPU at a time of time_ns(); for the TSC deadline. */
uint64_t clock_cycles_at(uint64_t ns);
/* Ticks of the local APIC timer per ns. */
struct clock_ratio clock_apic_ticks_per_ns(void);
uint64_t clock_cycles_per_second(void);
/* What it was measured against, for messages. */
const char *clock_reference(void);

/*
 * Comparing an application processor's counter with the boot CPU's, for those that do not agree. The AP calls
 * clock_sync_ap() while the boot CPU is in clock_sync_serve(), which returns when the AP is done. A difference that the
 * exchange's own time cannot explain is corrected.
 */
struct clock_sync {
	uint32_t wanted, finished; /* wanted: for the callers, to agree on the exchange */
	uint32_t asked, answered;
	uint64_t boot_cycles;
};
void clock_sync_ap(struct clock_sync *sync);
void clock_sync_serve(struct clock_sync *sync);
/*
 * The difference to the boot CPU's counter, which was read as @boot_cycles somewhere between @before and @after of
 * ours: 0 if that can be the truth.
 */
int64_t clock_difference(uint64_t before, uint64_t after, uint64_t boot_cycles);
