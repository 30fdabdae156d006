/*
 * The composition root: the only file that knows everybody.
 *
 * Brings the parts up in the order in which they need each other, then does what the command line asks for: run tests,
 * run shell lines, or give a shell.
 */
#include "kernel/init.h"

#include "arch/x86_64/mmu.h"
#include "arch/x86_64/platform.h"
#include "cgroup/gpu.h"
#include "cgroup/memory.h"
#include "drivers/acpi.h"
#include "drivers/dma_heap.h"
#include "drivers/fw_cfg.h"
#include "drivers/ivshmem.h"
#include "drivers/ivshmem_memory.h"
#include "drivers/pci.h"
#include "drivers/serial.h"
#include "drivers/virtio/balloon.h"
#include "drivers/virtio/gpu.h"
#include "init/files.h"
#include "init/memory.h"
#include "init/script.h"
#include "kernel/cmdline.h"
#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sanitizer.h"
#include "kernel/scheduler.h"
#include "kernel/shell.h"
#include "kernel/work.h"
#include "lib/errno.h"
#include "mm/cma.h"
#include "mm/compaction.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/vm/daemons.h"
#include "mm/vm/files.h"
#include "mm/vm/mm.h"
#include "workloads/alloc_record.h"

static struct machine machine;

static void read_machine(const struct boot_info *info)
{
	acpi_read_machine(info->rsdp, boot_map_physical, NULL, &machine);
	if (fw_cfg_init() == 0 && !machine.has_acpi)
		machine.cpus_expected = fw_cfg_nr_cpus();
}

static void pci_start(const struct boot_info *info)
{
	int error = pci_init(&machine, info);

	if (!error)
		error = pci_files_init();
	if (error && error != -ENODEV)
		pr_err("pci: %s: only part of the devices is there", error_name(error));
}

static void cgroup_start(void)
{
	static const struct cgroup_controller *const controllers[] = {&gpu_controller, &memory_controller, NULL};
	int error = cgroup_init(controllers, cmdline_value("cgroup_disable"));

	if (error)
		panic("cgroup: %s", error_name(error));
}

static void fw_cfg_start(void)
{
	int error = fw_cfg_files_init();

	if (error && error != -ENODEV)
		pr_err("fw_cfg: %s: its files are not all there", error_name(error));
}

/* Files and names first, so that the command line can set parameters before a device is probed. */
static void virtio_start(void)
{
	int error;

	if (virtio_init() != 0 || balloon_init() != 0)
		panic("no memory for the virtio files");
	virtio_mmio_find(&machine);
	ivshmem_probe(pci_devices());
	ivshmem_memory_start();
	error = dma_buf_init();
	if (!error)
		error = dma_heaps_of_devices();
	if (!error)
		error = virtio_gpu_init();
	if (error)
		pr_err("dma-buf: %s: not all heaps are there", error_name(error));
}

static void address_spaces_start(void)
{
	mmu_init();
	if (mm_vm_init() != 0 || vm_files_init() != 0)
		panic("no memory for address spaces");
}

/* Whose pages can be had back, and the threads that get them. */
static void reclaim_start(void)
{
	page_cache_init();
	cma_init();
	if (kswapd_start() != 0 || compaction_init() != 0 || vm_daemons_start() != 0 || alloc_record_init() != 0)
		panic("no memory for kswapd and its like");
}

/* Ends the run if the command line says so; else the shell. */
static NORETURN void do_what_is_asked(void)
{
	const char *tests = cmdline_value("test"), *lines = cmdline_value("run");

	fw_cfg_start();
	boot_stamp("fw_cfg");
	ktest_configure(cmdline_u64("seed", 1), cmdline_bool("slow", false));
	shell_configure();
	(void)cmdline_bool("device_misbehave", false); /* test=device.* reads it, */
	(void)cmdline_u64("minutes", 0);	       /* and vm_stress.slow_* this */
	cmdline_apply();
	if (virtio_pci_probe() + virtio_mmio_probe())
		boot_stamp("virtio");
	boot_stamp("shell");
	if (tests)
		machine_exit(ktest_run(tests, console_sink()).failed ? EXIT_FAILED : EXIT_PASSED);
	script_run();
	if (lines)
		shell_run_line(console_sink(), lines);
	console_end_line();
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
	ubsan_init();
	log_set_console_level((enum log_level)MIN(cmdline_u64("loglevel", LOG_DEBUG), (uint64_t)LOG_DEBUG + 1));
	error = boot_info_sanitise(info);
	boot_report(info);
	if (error)
		panic("no usable memory in the firmware's map");
	boot_stamp("console");
	read_machine(info);
	boot_stamp("firmware tables");
	clock_init(info->entry_cycles, &machine);
	boot_stamp("clock");
	memory_init(info, &machine);
	boot_stamp("memory");
	irq_init(&machine);
	boot_stamp("interrupts");
	scheduler_init();
	boot_stamp("scheduler");
	smp_init(&machine);
	boot_stamp("all CPUs");
	cgroup_start(); /* before any thread that may be moved */
	work_start_workers();
	address_spaces_start();
	reclaim_start();
	serial_use_interrupt();
	files_init();
	pci_start(info);
	boot_stamp("PCI");
	virtio_start();
	do_what_is_asked();
}
