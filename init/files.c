/*
 * Files for the parts that do not know of files: a name and a function that shows.
 */
#include "init/files.h"

#include "kernel/cmdline.h"
#include "kernel/init.h"
#include "kernel/irq.h"
#include "kernel/lock_order.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/scheduler.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/vfile.h"
#include "mm/memory.h"

struct shown_file {
	const char *path;
	void (*show)(struct sink *out);
};

static void show_cmdline(struct sink *out)
{
	sink_printf(out, "%s\n", cmdline_text());
}

/* Seconds since the first instruction, and all CPUs' idle seconds: as Linux. */
static void show_uptime(struct sink *out)
{
	uint64_t up = time_ns() / (10 * NS_PER_MS), idle = scheduler_idle_ns() / (10 * NS_PER_MS);

	sink_printf(out, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100), (unsigned long long)(up % 100),
		    (unsigned long long)(idle / 100), (unsigned long long)(idle % 100));
}

static void show_version(struct sink *out)
{
	sink_printf(out, "Ballonet x86_64, %s build, gcc %s\n", BALLONET_MODE, __VERSION__);
}

static const struct shown_file shown_files[] = {
	{"/proc/boottime", boot_stamps_show}, {"/proc/cmdline", show_cmdline},
	{"/proc/interrupts", irq_show},	      {"/proc/kmsg", log_show},
	{"/proc/lockdep", lock_order_show},   {"/proc/threads", thread_show_all},
	{"/proc/uptime", show_uptime},	      {"/proc/version", show_version},
};

static int show(struct sink *out, void *context)
{
	((const struct shown_file *)context)->show(out);
	return 0;
}

void files_init(void)
{
	static const struct vfile_ops ops = {.show = show};

	for (size_t i = 0; i < ARRAY_SIZE(shown_files); i++)
		if (vfile_add(shown_files[i].path, &ops, (void *)&shown_files[i]) != 0)
			panic("no memory for %s", shown_files[i].path);
	if (trace_init() != 0)
		panic("no memory for the trace files");
	if (memory_files_init() != 0 || memory_sysctls_init() != 0)
		panic("no memory for the memory files");
}
