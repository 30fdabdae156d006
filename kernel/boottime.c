/*
 * /proc/boottime: when each part of the boot was done.
 *
 * Stamps are kept as cycles, since the first ones come before the clock knows its rate, and turned into time when
 * shown.
 */
#include "kernel/init.h"

#include "kernel/time.h"
#include "lib/atomic.h"

#include <arch/cpu.h>

#define MAX_STAMPS 32

struct stamp {
	uint64_t cycles;
	const char *what;
};

static struct stamp stamps[MAX_STAMPS];
static uint32_t nr_stamps;

void boot_stamp(const char *what)
{
	uint32_t index = atomic_fetch_add(&nr_stamps, 1);

	if (index < MAX_STAMPS)
		stamps[index] = (struct stamp){cpu_cycles(), what};
}

void boot_stamps_show(struct sink *out)
{
	for (uint32_t i = 0; i < MIN(load_relaxed(&nr_stamps), MAX_STAMPS); i++)
		sink_printf(out, "%llu %s\n", time_of_cycles(stamps[i].cycles) / NS_PER_US, stamps[i].what);
}
