/*
 * What a panic needs of the CPU: stopping the others, showing where everybody was, walking stacks. kernel/panic.c uses
 * it (tests/host/ has the hosted one). All of it works with any lock held, interrupts off, and damaged stacks.
 */
#pragma once

#include "lib/format.h"

/*
 * Stops all other CPUs wherever they are (NMI) and waits a little for them. Returns how many did not stop. They never
 * run again. If two CPUs do this at once, the second one stops here for ever.
 */
unsigned int arch_stop_other_cpus(void);
/* After that: for every other CPU its thread, where it was, and its backtrace; "does not answer" for the rest. */
void arch_show_other_cpus(struct sink *out);
/* The registers of the exception that this CPU is handling; nothing if it is not handling one. */
void arch_show_registers(struct sink *out);

/*
 * The calling chain, innermost first: into @addresses what would be returned to, at most @max; how many. From the frame
 * pointer given; 0: from the exception being handled on this CPU (its first address is then where it happened), or
 * from here if there is none. Never faults: a damaged chain just ends.
 */
size_t arch_backtrace(uint64_t frame_pointer, uint64_t *addresses, size_t max);
/* The 8 bytes at any address; false if nothing is mapped there. Never faults. */
bool arch_read_safely(uint64_t address, uint64_t *value);
