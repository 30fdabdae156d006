/*
 * How fast the cycle counter and the local APIC's timer run (calibrate.c), for clock.c.
 */
#pragma once

#include "kernel/machine.h"

struct clock_rates {
	uint64_t cycles_hz;
	uint64_t apic_hz;      /* the local timer's counter */
	const char *reference; /* what said so */
};

/* Takes at most 2 ms where there is a working reference. The local APIC must be readable. */
struct clock_rates calibrate(const struct machine *machine);
