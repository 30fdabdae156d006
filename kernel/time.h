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

/*
 * @expire runs in interrupt context on the CPU that armed it. The caller owns the memory until cancelled or run;
 * @expire itself may arm the timer again or hand its memory back. All calls from anywhere, interrupts too; arming and
 * cancelling may race.
 */
struct timer {
	struct list_node node;
	uint64_t deadline_ns;
	void (*expire)(struct timer *timer);
	int cpu;  /* private to timer.c: whose queue it is in, or none */
	int home; /* private to timer.c: whose queue it was in last */
};

void timer_init(struct timer *timer, void (*expire)(struct timer *timer));
/* (Re)arms at an absolute time; one that has passed fires at once, from the interrupt. */
void timer_arm(struct timer *timer, uint64_t deadline_ns);
/*
 * On return it is not armed and @expire does not run; waits for one that runs on another CPU, so never hold a lock that
 * @expire takes. From @expire itself: only disarms. True if it had been armed.
 */
bool timer_cancel(struct timer *timer);
/* It will fire. A moment's truth, unless a lock of the caller's keeps others from arming it. */
bool timer_is_armed(const struct timer *timer);
