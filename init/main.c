/*
 * The composition root: the only file that knows everybody.
 *
 * Brings the parts up in the order in which they need each other, then does what the command line asks for: run tests,
 * run shell lines, or give a shell.
 */
#include "kernel/init.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/platform.h"
#include "drivers/acpi.h"
#include "drivers/fw_cfg.h"
#include "drivers/serial.h"
#include "init/early_memory.h"
#include "init/files.h"
#include "kernel/cmdline.h"
#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/scheduler.h"
#include "kernel/shell.h"
#include "kernel/work.h"

#include <arch/page.h>

static struct machine machine;

static uint64_t alloc_page(enum paging_purpose purpose UNUSED)
{
	return early_memory_take(PAGE_SIZE, PAGE_SIZE);
}

static void release_page(uint64_t phys UNUSED)
{
}

static void read_machine(const struct boot_info *info)
{
	acpi_read_machine(info->rsdp, boot_map_physical, NULL, &machine);
	if (!machine.has_acpi && fw_cfg_init() == 0)
		machine.cpus_expected = fw_cfg_nr_cpus();
}

static void memory_init(const struct boot_info *info)
{
	if (!smp_reserve_low_page(info))
		pr_warn("no page below 640 KiB: other CPUs cannot be started");
	early_memory_init(info);
	paging_init(info, early_memory_take);
	boot_stamp("page tables");
	paging_use_allocator(alloc_page, release_page);
}

/* Ends the run if the command line says so; else the shell. */
static NORETURN void do_what_is_asked(void)
{
	const char *tests = cmdline_value("test"), *lines = cmdline_value("run");

	cmdline_apply();
	boot_stamp("shell");
	if (tests)
		machine_exit(ktest_run(tests, console_sink()).failed ? EXIT_FAILED : EXIT_PASSED);
	if (lines)
		shell_run_line(console_sink(), lines);
	serial_on_control_c(shell_interrupt);
	shell_loop(serial_read);
}

void kernel_main(struct boot_info *info)
{
	int error;

	boot_stamp("first line of C");
	cpu_early_init();
	serial_init();
	cmdline_init(info->cmdline);
	error = boot_info_sanitise(info);
	boot_report(info);
	if (error)
		panic("no usable memory in the firmware's map");
	boot_stamp("console");
	read_machine(info);
	boot_stamp("firmware tables");
	clock_init(info->entry_cycles, &machine);
	boot_stamp("clock");
	memory_init(info);
	boot_stamp("memory");
	irq_init(&machine);
	boot_stamp("interrupts");
	scheduler_init();
	boot_stamp("scheduler");
	smp_init(&machine);
	boot_stamp("all CPUs");
	work_start_workers();
	serial_use_interrupt();
	files_init();
	do_what_is_asked();
}
