/*
 * Time since boot, and timers.
 */
#pragma once

#include "lib/list.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* Monotonic, the same on all CPUs, since the first instruction. Callable anywhere, from the first line of C on. */
uint64_t time_ns(void);
/* The time at which the boot CPU's cpu_cycles() gave @cycles. Guest only. */
uint64_t time_of_cycles(uint64_t cycles);
/* Spins; for devices that need a short pause. */
void delay_ns(uint64_t ns);

/* @expire runs in interrupt context on the CPU that armed it. The caller owns the memory until cancelled or run. */
struct timer {
	struct list_node node;
	uint64_t deadline_ns;
	void (*expire)(struct timer *timer);
	int cpu; /* -1: not armed */
};

void timer_init(struct timer *timer, void (*expire)(struct timer *timer));
/* (Re)arms at an absolute time; one that has passed fires at once, from the interrupt. */
void timer_arm(struct timer *timer, uint64_t deadline_ns);
/* On return it is not armed and @expire does not run. True if it had been armed. */
bool timer_cancel(struct timer *timer);
/* A moment's truth: it may fire or be armed meanwhile. */
static inline bool timer_is_armed(const struct timer *timer)
{
	return __atomic_load_n(&timer->cpu, __ATOMIC_RELAXED) >= 0;
}
