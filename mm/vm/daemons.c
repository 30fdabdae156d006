/*
 * khugepaged, ksmd and NUMA balancing: threads that go over all address spaces a little at a time.
 *
 * Each remembers where it was by the number of a space and an address, never by a reference, so that no space lives
 * longer for being looked at. A setting that changes wakes its daemon.
 */
#include "mm/vm/daemons.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "mm/daemon.h"
#include "mm/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"

#define HUGE_DIR "/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define KSM_DIR	 "/sys/kernel/mm/ksm/"

struct scanner {
	const char *name;
	bool (*enabled)(void);
	void (*pass)(void);
	bool always_timed; /* looks whether it is enabled by itself; else a setting tells it */
	struct vfile_int sleep_ms;
	struct wait_queue wait;
	struct thread *thread;
	bool poked;
};

static void poke(struct scanner *scanner)
{
	store_release(&scanner->poked, true);
	wake_up(&scanner->wait);
}

/* ---- khugepaged ---- */

static struct vfile_int huge_pages_to_scan = {.value = 8 * PTE_ENTRIES, .min = 1, .max = INT32_MAX};
static struct {
	struct vm_cursor cursor;
	uint64_t collapsed, full_scans;
} khugepaged;

static void collapse_some(void)
{
	uint64_t left = DIV_ROUND_UP((uint64_t)load_relaxed(&huge_pages_to_scan.value), PTE_ENTRIES);

	while (left) {
		struct mm *mm = vm_cursor_mm(&khugepaged.cursor);
		int made;

		if (!mm) {
			atomic_inc(&khugepaged.full_scans);
			break;
		}
		made = huge_collapse_next(mm, &khugepaged.cursor.address);
		if (made > 0)
			atomic_inc(&khugepaged.collapsed);
		if (made == -ENOENT)
			vm_cursor_next_mm(&khugepaged.cursor);
		else
			left--;
		mm_put(mm);
	}
}

/* ---- ksmd ---- */

static void ksm_changed(struct vfile_int *setting);
static struct vfile_int ksm_run = {.value = KSM_STOP, .min = KSM_STOP, .max = KSM_UNMERGE, .changed = ksm_changed};
static struct vfile_int ksm_pages_to_scan = {.value = 100, .min = 1, .max = INT32_MAX};

static bool ksm_enabled(void)
{
	return load_relaxed(&ksm_run.value) == KSM_RUN;
}

static void merge_some(void)
{
	(void)ksm_scan_some((uint64_t)load_relaxed(&ksm_pages_to_scan.value));
}

/* ---- NUMA balancing ---- */

#define NUMA_SCAN_BYTES MIB(256)

static void numa_changed(struct vfile_int *setting);
static struct vfile_int numa_balancing = {.max = 1, .changed = numa_changed};

static bool numa_enabled(void)
{
	return load_relaxed(&numa_balancing.value);
}

static void mark_some(void)
{
	struct vm_cursor cursor = {0};
	struct mm *mm;

	while ((mm = vm_cursor_mm(&cursor))) {
		numa_mark_next(mm, NUMA_SCAN_BYTES);
		vm_cursor_next_mm(&cursor);
		mm_put(mm);
	}
}

/* ---- the threads ---- */

static struct scanner scanners[] = {
	{.name = "khugepaged",
	 .enabled = thp_is_enabled,
	 .pass = collapse_some,
	 .always_timed = true,
	 .sleep_ms = {.value = 10000, .max = INT32_MAX}},
	{.name = "ksmd", .enabled = ksm_enabled, .pass = merge_some, .sleep_ms = {.value = 20, .max = INT32_MAX}},
	{.name = "numa_balancing", .enabled = numa_enabled, .pass = mark_some, .sleep_ms = {.value = 1000}},
};
enum { KHUGEPAGED, KSMD, NUMA_BALANCING };

static void ksm_changed(struct vfile_int *setting)
{
	if (load_relaxed(&setting->value) == KSM_UNMERGE) {
		daemons_hold(); /* or a pass that has begun merges again behind us */
		ksm_unmerge_all();
		daemons_release();
	}
	poke(&scanners[KSMD]);
}

static void numa_changed(struct vfile_int *setting UNUSED)
{
	poke(&scanners[NUMA_BALANCING]);
}

static void sleep_changed(struct vfile_int *setting)
{
	poke(container_of(setting, struct scanner, sleep_ms));
}

static int scan(void *argument)
{
	struct scanner *scanner = argument;

	while (!thread_should_stop()) {
		uint64_t sleep_ns = (uint64_t)load_relaxed(&scanner->sleep_ms.value) * NS_PER_MS;

		wait_event_timeout(&scanner->wait, atomic_exchange(&scanner->poked, false) || thread_should_stop(),
				   scanner->always_timed || scanner->enabled() ? sleep_ns : WAIT_FOREVER);
		if (thread_should_stop() || !scanner->enabled() || !daemon_work_begin())
			continue;
		if (scanner->enabled()) /* still, if it had to wait */
			scanner->pass();
		daemon_work_end();
	}
	return 0;
}

int vm_daemons_start(void)
{
	numa_balancing.value = memory.nr_nodes > 1;
	for (size_t at = 0; at < ARRAY_SIZE(scanners); at++) {
		struct scanner *scanner = &scanners[at];

		wait_queue_init(&scanner->wait);
		scanner->sleep_ms.changed = sleep_changed;
		scanner->thread = thread_spawn(scanner->name, scan, scanner);
		if (IS_ERR(scanner->thread)) {
			scanner->thread = NULL;
			vm_daemons_stop();
			return -ENOMEM;
		}
	}
	return 0;
}

void vm_daemons_stop(void)
{
	for (size_t at = 0; at < ARRAY_SIZE(scanners); at++) {
		if (!scanners[at].thread)
			continue;
		thread_stop(scanners[at].thread);
		thread_join(scanners[at].thread);
		scanners[at].thread = NULL;
	}
}

/* ---- files ---- */

static int figure_show(struct sink *out, void *context)
{
	sink_printf(out, "%lu\n", load_relaxed((uint64_t *)context));
	return 0;
}

static int ksm_figure_show(struct sink *out, void *context)
{
	struct ksm_stats stats = ksm_stats();

	sink_printf(out, "%lu\n", *(uint64_t *)((char *)&stats + (uintptr_t)context));
	return 0;
}

static const struct vfile_ops figure_ops = {.show = figure_show};
static const struct vfile_ops ksm_figure_ops = {.show = ksm_figure_show};

#define KSM_FIGURE(name)                                                \
	{                                                               \
		KSM_DIR #name, (void *)offsetof(struct ksm_stats, name) \
	}

static int figures_init(void)
{
	static const struct {
		const char *path;
		void *offset;
	} ksm_figures[] = {KSM_FIGURE(pages_shared), KSM_FIGURE(pages_sharing), KSM_FIGURE(full_scans)};
	int error = vfile_add(HUGE_DIR "pages_collapsed", &figure_ops, &khugepaged.collapsed);

	if (!error)
		error = vfile_add(HUGE_DIR "full_scans", &figure_ops, &khugepaged.full_scans);
	for (size_t at = 0; at < ARRAY_SIZE(ksm_figures) && !error; at++)
		error = vfile_add(ksm_figures[at].path, &ksm_figure_ops, ksm_figures[at].offset);
	return error;
}

int vm_daemons_files_init(void)
{
	static const struct {
		const char *path;
		struct vfile_int *setting;
	} settings[] = {
		{HUGE_DIR "scan_sleep_millisecs", &scanners[KHUGEPAGED].sleep_ms},
		{HUGE_DIR "pages_to_scan", &huge_pages_to_scan},
		{KSM_DIR "run", &ksm_run},
		{KSM_DIR "sleep_millisecs", &scanners[KSMD].sleep_ms},
		{KSM_DIR "pages_to_scan", &ksm_pages_to_scan},
		{"/proc/sys/kernel/numa_balancing", &numa_balancing},
	};
	int error = 0;

	for (size_t at = 0; at < ARRAY_SIZE(settings) && !error; at++)
		error = vfile_add_int(settings[at].path, settings[at].setting);
	return error ? error : figures_init();
}
