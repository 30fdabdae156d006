/*
 * The CPU's part of a panic: stop the others, and show where they were.
 *
 * Others are stopped by NMI, which reaches them with interrupts off, in a spin lock, or halted, and runs on a stack
 * of its own. Each notes where it was, says so, and halts for ever; so their stacks hold still while the panic
 * walks them. The first CPU to ask wins; a second one that panics at the same time is stopped like all others.
 */
#include "arch/x86_64/stop.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/percpu_internal.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

#include <arch/panic.h>

/* A CPU that does not come within this many turns (a second or so) is shown as not answering. */
#define STOP_TURNS 10000000u

static uint32_t stopper; /* index + 1 of the CPU that stops the others; 0: nobody does */

static NORETURN void halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void stop_if_asked(const struct trap_frame *frame)
{
	struct stopped_at *at = &this_cpu_block()->stopped;

	if (load_acquire(&stopper) == 0 || load_relaxed(&stopper) == cpu_id() + 1)
		return;
	if (!at->stopped) {
		at->rip = frame->rip;
		at->rbp = frame->rbp;
		store_release(&at->stopped, true);
	}
	halt_forever();
}

static bool wait_until_stopped(const struct cpu_block *block)
{
	for (uint32_t turn = 0; turn < STOP_TURNS; turn++) {
		if (load_acquire(&block->stopped.stopped))
			return true;
		cpu_relax();
	}
	return false;
}

unsigned int arch_stop_other_cpus(void)
{
	uint32_t nobody = 0, me = cpu_id() + 1;
	unsigned int missing = 0;

	if (!atomic_cas(&stopper, &nobody, me)) {
		if (nobody == me)
			return 0; /* a panic within the panic: they are stopped already */
		halt_forever();	  /* until the NMI of the first comes */
	}
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		if (cpu != cpu_id())
			apic_send_nmi(cpu_blocks[cpu]->public.apic_id);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		if (cpu != cpu_id() && !wait_until_stopped(cpu_blocks[cpu]))
			missing++;
	return missing;
}

static void show_cpu(struct sink *out, const struct cpu_block *block)
{
	const struct thread *thread = block->public.thread;
	char where[64];

	if (!block->stopped.stopped) {
		sink_printf(out, "CPU %u does not answer\n", block->public.cpu);
		return;
	}
	sink_printf(out, "CPU %u in thread \"%s\" at %s\n", block->public.cpu, thread ? thread_name(thread) : "boot",
		    symbol_format(where, sizeof(where), block->stopped.rip));
	backtrace_show(out, block->stopped.rbp);
}

void arch_show_other_cpus(struct sink *out)
{
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		if (cpu != cpu_id())
			show_cpu(out, cpu_blocks[cpu]);
}
