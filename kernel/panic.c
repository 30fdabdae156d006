/*
 * The end: stop the others, say why and where, leave with status 37.
 *
 * The first CPU to come here owns the panic. Another one that panics meanwhile stays here and is shown like the rest;
 * the owner panicking again (a fault while printing) prints one line and leaves at once.
 */
#include <arch/panic.h>

#include "arch/x86_64/platform.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

#define MAX_FRAMES 32

static uint32_t owner_cpu; /* index + 1, 0: no panic yet */

bool panicking(void)
{
	return load_relaxed(&owner_cpu) != 0;
}

/* Returns on the CPU that owns the panic, the first time. */
static void become_owner(void)
{
	uint32_t nobody = 0, me = cpu_id() + 1;

	(void)cpu_irq_save();
	if (atomic_cas(&owner_cpu, &nobody, me))
		return;
	if (nobody == me) {
		sink_printf(console_sink(), "\npanic: again, while panicking: giving up\n");
		machine_exit(EXIT_PANIC);
	}
	for (;;)
		cpu_relax();
}

void backtrace_show(struct sink *out, uint64_t frame_pointer)
{
	uint64_t addresses[MAX_FRAMES];
	size_t count = arch_backtrace(frame_pointer, addresses, MAX_FRAMES);
	char name[96];

	for (size_t i = 0; i < count; i++)
		sink_printf(out, "  [<%016llx>] %s\n", (unsigned long long)addresses[i],
			    symbol_format(name, sizeof(name), addresses[i]));
}

static void show_and_leave(void) NORETURN;
static void show_and_leave(void)
{
	struct sink *out = console_sink();
	struct thread *thread = thread_current();
	unsigned int silent = arch_stop_other_cpus();

	sink_printf(out, "panic: CPU %u, thread %s%s\n", cpu_id(), thread ? thread_name(thread) : "(none yet)",
		    in_interrupt() ? ", in an interrupt" : "");
	arch_show_registers(out);
	sink_printf(out, "Call trace:\n");
	backtrace_show(out, 0);
	arch_show_other_cpus(out);
	if (silent)
		sink_printf(out, "panic: %u CPUs did not stop\n", silent);
	sink_printf(out, "panic: end\n");
	machine_exit(EXIT_PANIC);
}

/* Printed before anything else is tried, so that the reason is out whatever happens next. */
static void say_reason(const char *place, const char *fmt, va_list args)
{
	struct sink *out = console_sink();

	log_begin_panic();
	sink_printf(out, "\npanic: %s", place);
	sink_printf_v(out, fmt, args);
	sink_printf(out, "\n");
}

void panic(const char *fmt, ...)
{
	va_list args;

	become_owner();
	va_start(args, fmt);
	say_reason("", fmt, args);
	va_end(args);
	show_and_leave();
}

void assertion_failed(const char *condition, const char *file, int line, const char *fmt, ...)
{
	char place[200];
	va_list args;

	become_owner();
	format(place, sizeof(place), "assertion failed: %s at %s:%d%s", condition, file, line, *fmt ? ": " : "");
	va_start(args, fmt);
	say_reason(place, fmt, args);
	va_end(args);
	show_and_leave();
}

void warn_with_backtrace(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	format_v(text, sizeof(text), fmt, args);
	va_end(args);
	pr_warn("warning at %s:%d: %s", file, line, text);
	backtrace_show(console_sink(), 0);
}
