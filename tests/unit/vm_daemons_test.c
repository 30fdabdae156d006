/*
 * The daemons of address spaces, by their files: they do their work, stand still while they are held, and stop.
 */
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "mm/daemon.h"
#include "mm/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/daemons.h"
#include "mm/vm/ksm.h"
#include "mm/vmstat.h"
#include "tests/unit/vm_fixture.h"

#define HUGE_DIR   "/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define KSM_DIR	   "/sys/kernel/mm/ksm/"
#define NUMA_FILE  "/proc/sys/kernel/numa_balancing"
#define PATIENT_NS (60 * NS_PER_S)

static int set(const char *path, const char *value)
{
	return vfile_write(path, value, strlen(value));
}

static uint64_t figure(struct ktest *t, const char *path)
{
	char buffer[32] = "";
	struct text text;
	uint64_t value = 0;

	text_init(&text, buffer, sizeof(buffer));
	EXPECT_OK(t, vfile_read(path, &text.sink));
	for (const char *at = buffer; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

static bool comes_true(bool (*is_true)(void *context), void *context)
{
	uint64_t deadline = wait_deadline(PATIENT_NS);

	while (!is_true(context)) {
		if (time_ns() > deadline)
			return false;
		sleep_ns(NS_PER_MS);
	}
	return true;
}

/* A daemon counts what it has done a little after one can see it. */
static bool comes_to(struct ktest *t, const char *path, uint64_t least)
{
	uint64_t deadline = wait_deadline(PATIENT_NS);

	while (figure(t, path) < least) {
		if (time_ns() > deadline)
			return false;
		sleep_ns(NS_PER_MS);
	}
	return true;
}

static void stop(void *nothing UNUSED)
{
	vm_daemons_stop();
}

static void settle(void *nothing UNUSED)
{
	(void)!set(HUGE_DIR "scan_sleep_millisecs", "10000");
	(void)!set(KSM_DIR "run", "0");
	(void)!set(KSM_DIR "sleep_millisecs", "20");
	(void)!set(NUMA_FILE, memory.nr_nodes > 1 ? "1" : "0");
	daemons_hold(); /* as the fixture left them */
}

/* A space in which the daemons may work; in the guest they run already. */
static struct mm *space_for_daemons(struct ktest *t)
{
	static bool has_files;
	struct mm *mm = fixture_mm(t);

	if (ktest_hosted() && !has_files) {
		EXPECT_OK(t, vm_daemons_files_init());
		has_files = true;
	}
	if (ktest_hosted()) {
		EXPECT_OK(t, vm_daemons_start());
		ktest_defer(t, stop, NULL);
	}
	EXPECT_OK(t, set(NUMA_FILE, "0"));
	daemons_release();
	ktest_defer(t, settle, NULL);
	return mm;
}

struct place {
	struct mm *mm;
	uint64_t at, bits;
};

static bool has_bits(void *context)
{
	const struct place *place = context;

	return (entry_of(place->mm, place->at) & place->bits) == place->bits;
}

KTEST(vm_daemons, khugepaged_makes_blocks_of_small_pages)
{
	struct mm *mm = space_for_daemons(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_NOHUGE), before = figure(t, HUGE_DIR "pages_collapsed");
	struct place place = {mm, at, PTE_HUGE | PTE_PRESENT};

	for (uint64_t i = 0; i < 512; i += 2)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_HUGEPAGE));
	EXPECT_OK(t, set(HUGE_DIR "scan_sleep_millisecs", "1"));
	EXPECT(t, comes_true(has_bits, &place));
	for (uint64_t i = 0; i < 512; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), i % 2 ? 0 : i + 1);
	EXPECT(t, comes_to(t, HUGE_DIR "pages_collapsed", before + 1));
	EXPECT_EQ(t, set(HUGE_DIR "pages_to_scan", "0"), -EINVAL);
}

static bool all_shared(void *context)
{
	const struct place *place = context;

	for (uint64_t i = 1; i < 4; i++)
		if (pte_pfn(entry_of(place->mm, place->at)) != pte_pfn(entry_of(place->mm, place->at + i * PAGE_SIZE)))
			return false;
	return true;
}

/* Pages of one content in an area that may be merged. */
static uint64_t equal_pages(struct ktest *t, struct mm *mm, uint64_t pages)
{
	uint64_t at = fixture_area(t, mm, pages, RW | AREA_MERGEABLE);

	for (uint64_t i = 0; i < pages; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 55));
	return at;
}

KTEST(vm_daemons, ksmd_merges_while_told_to_and_takes_apart)
{
	struct mm *mm = space_for_daemons(t);
	uint64_t at = equal_pages(t, mm, 4);
	struct place place = {mm, at, 0};

	EXPECT_EQ(t, figure(t, KSM_DIR "pages_sharing"), 0u);
	EXPECT_EQ(t, set(KSM_DIR "run", "3"), -EINVAL);
	EXPECT_OK(t, set(KSM_DIR "sleep_millisecs", "1"));
	EXPECT_OK(t, set(KSM_DIR "pages_to_scan", "3")); /* so that equal ones come in different steps */
	EXPECT_OK(t, set(KSM_DIR "run", "1"));
	EXPECT(t, comes_true(all_shared, &place));
	EXPECT(t, comes_to(t, KSM_DIR "pages_sharing", 3));
	EXPECT_EQ(t, figure(t, KSM_DIR "pages_shared"), 1u);
	EXPECT_EQ(t, figure(t, KSM_DIR "pages_sharing"), 3u);
	EXPECT_OK(t, set(KSM_DIR "run", "2"));
	EXPECT_EQ(t, figure(t, KSM_DIR "pages_sharing"), 0u);
	EXPECT(t, !all_shared(&place));
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), 55u);
	EXPECT_OK(t, set(KSM_DIR "pages_to_scan", "100"));
}

/* Regression: what had been taken apart already was merged again by the pass under way. */
KTEST(vm_daemons, nothing_is_merged_behind_who_takes_apart)
{
	struct mm *mm = space_for_daemons(t);
	struct place place = {mm, equal_pages(t, mm, 64), 0};

	EXPECT_OK(t, set(KSM_DIR "sleep_millisecs", "0"));
	for (int round = 0; round < 20; round++) {
		EXPECT_OK(t, set(KSM_DIR "run", "1"));
		EXPECT(t, comes_true(all_shared, &place));
		EXPECT_OK(t, set(KSM_DIR "run", "2"));
		EXPECT_EQ(t, figure(t, KSM_DIR "pages_sharing"), 0u);
	}
}

KTEST(vm_daemons, numa_balancing_marks_what_is_then_faulted)
{
	struct mm *mm = space_for_daemons(t);
	uint64_t at = fixture_area(t, mm, 2, RW), before = vm_event_read(VM_EVENT_numa_hint_faults);
	struct place place = {mm, at, PTE_HINT};

	EXPECT_OK(t, poke(at, 5));
	EXPECT_OK(t, set(NUMA_FILE, "1"));
	EXPECT(t, comes_true(has_bits, &place));
	EXPECT_EQ(t, peek(at), 5u);
	EXPECT(t, vm_event_read(VM_EVENT_numa_hint_faults) > before);
	EXPECT_EQ(t, set(NUMA_FILE, "2"), -EINVAL);
}

static bool has_scanned(void *context)
{
	return ksm_stats().full_scans > *(uint64_t *)context;
}

KTEST(vm_daemons, stand_still_while_held)
{
	uint64_t scans;

	(void)!space_for_daemons(t);
	scans = ksm_stats().full_scans;
	EXPECT_OK(t, set(KSM_DIR "sleep_millisecs", "0"));
	EXPECT_OK(t, set(KSM_DIR "run", "1"));
	EXPECT(t, comes_true(has_scanned, &scans));
	daemons_hold();
	daemons_hold();
	daemons_release();
	scans = ksm_stats().full_scans;
	sleep_ns(20 * NS_PER_MS);
	EXPECT_EQ(t, ksm_stats().full_scans, scans);
	daemons_release();
	EXPECT(t, comes_true(has_scanned, &scans));
}
