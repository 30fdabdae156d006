/*
 * Everything that moves, shares, merges and takes apart pages of address spaces at once: four threads, each with a
 * space of its own and all with one in common, while ranges are emptied, zones compacted and given up pages reclaimed,
 * and threads go from group to group with what they are charged.
 *
 * What must be where is known exactly. A page of a thread's own space holds a word that names the thread, the page and
 * how often it was written, at both ends; some are equal on purpose, for KSM, and some 0, for reclaim. In the common
 * space each page has a word for each thread, which only that one writes. Between rounds all is read, and every page,
 * map count and reference is accounted for (vm_check()). The slow test goes on for as many minutes as `minutes=` says:
 * `make soak-vm`.
 */
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/compaction.h"
#include "mm/contig.h"
#include "mm/daemon.h"
#include "mm/memory.h"
#include "mm/reclaim.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device_ram.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "mm/vmstat.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/mm_fixture.h"
#include "tests/unit/vm_fixture.h"

#define WORKERS	    4u
#define PLACES	    2u /* of 2 MiB, in each space */
#define PAGES	    (PLACES * PTE_ENTRIES)
#define STEPS_A_RUN 32u /* in one space, before the thread goes to another */
#define LAST_WORD   (PAGE_SIZE - sizeof(uint64_t))
#define AT	    MM_BASE

struct worker {
	uint32_t number;
	struct rand rand;
	struct mm *mm;
	uint64_t versions[PAGES];	 /* 0: never written, or dropped */
	bool given_up[PAGES];		 /* may have become 0 */
	uint64_t common_versions[PAGES]; /* of our word in the common space */
};

static struct {
	struct worker workers[WORKERS];
	struct mm *common;
	struct device_memory *devices[2]; /* by kind */
	bool own_device[2];
	uint64_t wrong, steps_each, bad_entries, zeros;
	uint64_t steps, forks, moved, collapsed, split, pins, pushed, to_device, regrouped; /* that worked */
} stress;

static uint64_t address_of(uint64_t page)
{
	return AT + page * PAGE_SIZE;
}

/* The stretch of up to @most pages that something is done to. */
static uint64_t some_pages(struct worker *worker, uint64_t most, uint64_t *bytes)
{
	uint64_t first = rand_below(&worker->rand, PAGES), count = 1 + rand_below(&worker->rand, most);

	*bytes = MIN(count, PAGES - first) * PAGE_SIZE;
	return first;
}

static uint64_t some_place(struct worker *worker)
{
	return AT + rand_below(&worker->rand, PLACES) * HUGE_BYTES;
}

static void wrong(const struct worker *worker, const char *what, uint64_t page, uint64_t got, uint64_t expected)
{
	if (atomic_fetch_add(&stress.wrong, 1) < 10)
		pr_err("vm_stress: worker %u, %s, page %lu: 0x%lx, expected 0x%lx", worker->number, what, page, got,
		       expected);
}

static void must_be_0(const struct worker *worker, const char *what, int error)
{
	if (error)
		wrong(worker, what, 0, (uint64_t)(int64_t)error, 0);
}

/* ---- a space of one's own ---- */

/* Every fourth version is like that of others; some are nothing. */
static uint64_t word_of(const struct worker *worker, uint64_t page, uint64_t version)
{
	if (!version || version % 8 == 3)
		return 0;
	if (version % 4 == 0)
		return 0x65717561ul << 32 | version / 4 % 3;
	return (uint64_t)(worker->number + 1) << 56 | page << 40 | version;
}

static void check_word(struct worker *worker, const char *what, uint64_t page, uint64_t got)
{
	uint64_t expected = word_of(worker, page, worker->versions[page]);

	if (got != expected && !(worker->given_up[page] && got == 0))
		wrong(worker, what, page, got, expected);
}

static void read_own(struct worker *worker, uint64_t page)
{
	check_word(worker, "own page", page, peek(address_of(page)));
	check_word(worker, "own page's end", page, peek(address_of(page) + LAST_WORD));
}

static void write_own(struct worker *worker, uint64_t page)
{
	uint64_t word = word_of(worker, page, ++worker->versions[page]);

	must_be_0(worker, "write", poke(address_of(page), word));
	must_be_0(worker, "write", poke(address_of(page) + LAST_WORD, word));
	worker->given_up[page] = false;
}

static void forget(struct worker *worker, uint64_t first, uint64_t bytes)
{
	for (uint64_t page = first; page < first + bytes / PAGE_SIZE; page++) {
		worker->versions[page] = 0;
		worker->given_up[page] = false;
	}
}

/* As a device would: through the page, while it is pinned. */
static void write_pinned(struct worker *worker, uint64_t page)
{
	uint64_t word = word_of(worker, page, worker->versions[page] + 1), *words;
	struct page *pinned;

	if (get_user_pages(worker->mm, address_of(page), 1, FOLL_WRITE | FOLL_PIN | FOLL_LONGTERM, &pinned) != 1)
		return;
	if (!page_is_huge(pinned)) {
		words = page_bytes(pinned);
		words[0] = words[LAST_WORD / sizeof(*words)] = word;
		worker->versions[page]++;
		worker->given_up[page] = false;
		atomic_inc(&stress.pins);
	}
	unpin_user_page(pinned);
}

/* The child keeps what the parent had; one of the two goes on as the worker's. */
static void fork_own(struct worker *worker)
{
	uint64_t page = rand_below(&worker->rand, PAGES), word = word_of(worker, page, worker->versions[page]), got;
	bool maybe_0 = worker->given_up[page];
	struct mm *child = mm_fork(worker->mm), *parent = worker->mm;

	if (IS_ERR(child))
		return;
	atomic_inc(&stress.forks);
	write_own(worker, page);
	got = peek_in(child, address_of(page));
	if (got != word && !(maybe_0 && got == 0))
		wrong(worker, "child's page", page, got, word);
	must_be_0(worker, "child's write", poke_in(child, address_of(page), 1));
	read_own(worker, page);
	if (rand_below(&worker->rand, 2)) {
		worker->mm = child;
		mm_use(child);
		child = parent;
		write_own(worker, page);
	}
	mm_put(child);
}

static void take_rights(struct worker *worker)
{
	uint64_t bytes, first = some_pages(worker, 100, &bytes), rights = rand_below(&worker->rand, 2) ? AREA_READ : 0;

	if (mm_protect(worker->mm, address_of(first), bytes, (uint32_t)rights))
		return;
	if (poke(address_of(first), 1) != -EFAULT)
		wrong(worker, "write without a right", first, 0, 0);
	if (rights)
		read_own(worker, first);
	must_be_0(worker, "mprotect", mm_protect(worker->mm, AT, PAGES * PAGE_SIZE, RW));
}

static void map_anew(struct worker *worker)
{
	uint64_t bytes, first = some_pages(worker, 80, &bytes), at = address_of(first);
	uint32_t flags = RW | AREA_MERGEABLE | (rand_below(&worker->rand, 2) ? AREA_HUGE : 0);

	if (mm_unmap(worker->mm, at, bytes))
		return;
	forget(worker, first, bytes);
	if (mm_map_anon(worker->mm, at, bytes, flags) != (int64_t)at)
		wrong(worker, "mapping", first, 0, at);
}

static void advise(struct worker *worker)
{
	uint64_t bytes, first = some_pages(worker, 80, &bytes);

	if (rand_below(&worker->rand, 2)) {
		must_be_0(worker, "DONTNEED", mm_madvise(worker->mm, address_of(first), bytes, MADV_DONTNEED));
		forget(worker, first, bytes);
		return;
	}
	must_be_0(worker, "FREE", mm_madvise(worker->mm, address_of(first), bytes, MADV_FREE));
	for (uint64_t page = first; page < first + bytes / PAGE_SIZE; page++)
		worker->given_up[page] = true;
	if (rand_below(&worker->rand, 4) == 0)
		(void)mm_madvise(worker->mm, address_of(first), bytes, MADV_PAGEOUT);
}

static void to_device_and_back(struct worker *worker)
{
	uint64_t bytes, first = some_pages(worker, 16, &bytes);

	struct device_memory *device = stress.devices[rand_below(&worker->rand, 2)];

	if (device)
		(void)atomic_fetch_add(&stress.to_device,
				       device_migrate_to(worker->mm, address_of(first), bytes, device));
	read_own(worker, first);
	if (rand_below(&worker->rand, 4)) /* else who touches them has them fetched, one by one */
		return;
	(void)device_migrate_back(worker->mm, AT, PAGES * PAGE_SIZE);
}

/* ---- what may be done to any space ---- */

static void move_some(struct worker *worker, struct mm *mm)
{
	struct page *page = follow_page(mm, address_of(rand_below(&worker->rand, PAGES)), FOLL_LRU);

	if (page && migrate_found_page(page, NODE_ANY) == 0)
		atomic_inc(&stress.moved);
}

static void push_some_away(struct worker *worker, struct mm *mm)
{
	struct page *page = follow_page(mm, address_of(rand_below(&worker->rand, PAGES)), FOLL_LRU);
	uint64_t pfn = page ? page_to_pfn(page) : 0;

	if (page)
		page_put(page);
	if (!page || alloc_contig_range(pfn, pfn + 1, GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST)))
		return;
	free_contig_range(pfn, 1);
	atomic_inc(&stress.pushed);
}

static void lock_and_unlock(struct worker *worker, struct mm *mm)
{
	uint64_t bytes, at = address_of(some_pages(worker, 20, &bytes));

	(void)mm_mlock_on_fault(mm, at, bytes);
	must_be_0(worker, "munlock", mm_munlock(mm, AT, PAGES * PAGE_SIZE));
}

static void change_any(struct worker *worker, struct mm *mm)
{
	uint64_t bytes, at;

	switch (rand_below(&worker->rand, 12)) {
	case 0:
		if (mm_madvise(mm, some_place(worker), HUGE_BYTES, MADV_COLLAPSE) == 0)
			atomic_inc(&stress.collapsed);
		return;
	case 1:
		at = address_of(some_pages(worker, 2, &bytes));
		(void)atomic_fetch_add(&stress.split, huge_split_range(mm, at, bytes));
		return;
	case 2:
		at = address_of(some_pages(worker, 200, &bytes));
		(void)numa_mark_range(mm, at, bytes);
		return;
	case 3:
		lock_and_unlock(worker, mm);
		return;
	case 4:
		push_some_away(worker, mm);
		return;
	default:
		move_some(worker, mm);
	}
}

static void reclaim_some(struct worker *worker)
{
	struct reclaim reclaim = {.node = &memory.nodes[rand_below(&worker->rand, memory.nr_nodes)],
				  .highest = NR_ZONE_TYPES - 1,
				  .wanted = 32};

	(void)reclaim_node(&reclaim);
}

/* What goes over everything. */
static void change_all(struct worker *worker)
{
	switch (rand_below(&worker->rand, 16)) {
	case 0:
		compaction_whole_zone(&memory.zones[rand_below(&worker->rand, memory.nr_zones)]);
		return;
	case 1:
	case 2:
		reclaim_some(worker);
		return;
	default:
		(void)ksm_scan_some(200);
	}
}

static void change_own(struct worker *worker)
{
	switch (rand_below(&worker->rand, 8)) {
	case 0:
		fork_own(worker);
		return;
	case 1:
		take_rights(worker);
		return;
	case 2:
		map_anew(worker);
		return;
	case 3:
		advise(worker);
		return;
	case 4:
		to_device_and_back(worker);
		return;
	case 5:
		write_pinned(worker, rand_below(&worker->rand, PAGES));
		return;
	default:
		change_any(worker, worker->mm);
	}
}

static void own_step(struct worker *worker)
{
	uint64_t page = rand_below(&worker->rand, PAGES);

	if (rand_below(&worker->rand, 8) == 0)
		change_own(worker);
	else if (rand_below(&worker->rand, 2))
		write_own(worker, page);
	else
		read_own(worker, page);
}

/* ---- the common space ---- */

static uint64_t common_address(const struct worker *worker, uint64_t page)
{
	return address_of(page) + worker->number * 512;
}

static uint64_t common_word(const struct worker *worker, uint64_t page)
{
	uint64_t version = worker->common_versions[page];

	return version ? (uint64_t)(worker->number + 1) << 56 | page << 40 | version : 0;
}

static void read_common(struct worker *worker, uint64_t page)
{
	uint64_t got = peek(common_address(worker, page));

	if (got != common_word(worker, page))
		wrong(worker, "common page", page, got, common_word(worker, page));
}

static void write_common(struct worker *worker, uint64_t page)
{
	worker->common_versions[page]++;
	must_be_0(worker, "common write", poke(common_address(worker, page), common_word(worker, page)));
}

static void fork_common(struct worker *worker)
{
	uint64_t page = rand_below(&worker->rand, PAGES), word = common_word(worker, page), got;
	struct mm *child = mm_fork(stress.common);

	if (IS_ERR(child))
		return;
	write_common(worker, page);
	got = peek_in(child, common_address(worker, page));
	if (got != word)
		wrong(worker, "common child's page", page, got, word);
	mm_put(child);
}

static void common_step(struct worker *worker)
{
	uint64_t page = rand_below(&worker->rand, PAGES);

	switch (rand_below(&worker->rand, 32)) {
	case 0:
		fork_common(worker);
		return;
	case 1:
	case 2:
		change_any(worker, stress.common);
		return;
	default:
		(rand_below(&worker->rand, 2) ? write_common : read_common)(worker, page);
	}
}

/* ---- rounds ---- */

static const char *const groups[] = {"vm_stress", "vm_stress/a", "vm_stress/b"};

/* With the space that it lives in. */
static void change_group(struct worker *worker)
{
	uint64_t to = rand_below(&worker->rand, ARRAY_SIZE(groups) + 1);

	must_be_0(worker, "cgroup.procs",
		  cgroup_move_thread(to < ARRAY_SIZE(groups) ? groups[to] : "", thread_id(thread_current())));
	atomic_inc(&stress.regrouped);
}

static void run_in(struct worker *worker, struct mm *mm, void (*step)(struct worker *worker))
{
	mm_use(mm);
	if (rand_below(&worker->rand, 4) == 0)
		change_group(worker);
	for (uint32_t i = 0; i < STEPS_A_RUN; i++)
		step(worker);
}

static int work(void *argument)
{
	struct worker *worker = argument;

	for (uint64_t done = 0; done < stress.steps_each; done += 2 * STEPS_A_RUN) {
		run_in(worker, worker->mm, own_step);
		run_in(worker, stress.common, common_step);
		change_all(worker);
		atomic_fetch_add(&stress.steps, 2 * STEPS_A_RUN);
	}
	mm_use(stress.common);
	for (uint64_t page = 0; page < PAGES; page++)
		read_common(worker, page);
	mm_use(worker->mm);
	for (uint64_t page = 0; page < PAGES; page++)
		read_own(worker, page);
	mm_use(NULL);
	return 0;
}

static void run_round(struct ktest *t)
{
	struct thread *threads[WORKERS];
	uint32_t started = 0;

	for (; started < WORKERS; started++) {
		threads[started] = thread_spawn("worker", work, &stress.workers[started]);
		if (IS_ERR(threads[started]))
			break;
	}
	EXPECT_EQ(t, started, WORKERS);
	while (started)
		thread_join(threads[--started]);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, memory_check());
	EXPECT_EQ(t, load_relaxed(&stress.wrong), 0u);
}

static struct mm *new_space(struct ktest *t)
{
	struct mm *mm = mm_new();

	if (!mm || mm_map_anon(mm, AT, PAGES * PAGE_SIZE, RW | AREA_HUGE | AREA_MERGEABLE) < 0)
		ktest_fail(t, __FILE__, __LINE__, "no space");
	return mm;
}

static void make_groups(struct ktest *t)
{
	EXPECT_OK(t, ensure_cgroups());
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		char path[96];

		EXPECT_OK(t, new_group(t, groups[i]));
		format(path, sizeof(path), ROOT "/%s/memory.move_charge_at_immigrate", groups[i]);
		if (css_root(CGROUP_MEMORY))
			EXPECT_OK(t, write_file(path, i == 1 ? "0" : "1"));
	}
}

/* A BAR, where there is one. */
static void take_device(const char *name, enum device_kind kind)
{
	stress.devices[kind] = device_find(NULL, kind);
	stress.own_device[kind] = !stress.devices[kind];
	if (!stress.devices[kind])
		stress.devices[kind] = device_from_ram(name, kind, 64);
}

static void set(struct ktest *t, const char *path, const char *value)
{
	EXPECT_OK(t, vfile_write(path, value, strlen(value)));
}

static void begin(struct ktest *t, uint64_t steps)
{
	uint64_t seed = ktest_seed(t);

	make_groups(t);
	memset(&stress, 0, sizeof(stress));
	stress.steps_each = steps;
	stress.bad_entries = vm_bad_entries();
	stress.common = new_space(t);
	for (uint32_t i = 0; i < WORKERS; i++) {
		stress.workers[i].number = i;
		stress.workers[i].mm = new_space(t);
		rand_seed(&stress.workers[i].rand, seed * WORKERS + i);
	}
	take_device("stress-coherent", DEVICE_COHERENT);
	take_device("stress-private", DEVICE_PRIVATE);
	fixture_memory_files(t);
	set(t, "/proc/sys/vm/reclaim_zero_pages", "1");
	stress.zeros = vm_event_read(VM_EVENT_swpout_zero);
}

static void end(struct ktest *t, const struct memory_info *before)
{
	struct memory_info after;

	mm_put(stress.common);
	for (uint32_t i = 0; i < WORKERS; i++)
		mm_put(stress.workers[i].mm);
	for (size_t kind = 0; kind < ARRAY_SIZE(stress.devices); kind++) {
		if (stress.devices[kind])
			EXPECT_EQ(t, stress.devices[kind]->used, 0u);
		if (stress.devices[kind] && stress.own_device[kind])
			EXPECT_OK(t, device_ram_free(stress.devices[kind]));
	}
	set(t, "/proc/sys/vm/reclaim_zero_pages", "0");
	daemons_hold();
	memory_info_get(&after);
	EXPECT_EQ(t, after.by_owner[PAGE_OWNER_ANON], before->by_owner[PAGE_OWNER_ANON]);
	EXPECT_OK(t, vm_check());
	daemons_release();
	EXPECT_EQ(t, vm_bad_entries(), stress.bad_entries);
	ktest_note(t,
		   "%lu steps, %lu forks, %lu moved, %lu pushed away, %lu collapsed, %lu split, %lu pinned, "
		   "%lu to devices, %lu dropped as zeros, %lu regrouped",
		   stress.steps, stress.forks, stress.moved, stress.pushed, stress.collapsed, stress.split, stress.pins,
		   stress.to_device, vm_event_read(VM_EVENT_swpout_zero) - stress.zeros, stress.regrouped);
}

KTEST(vm_stress, every_page_is_where_it_should_be)
{
	struct memory_info before;

	memory_info_get(&before);
	begin(t, ktest_hosted() ? 4000 : 600);
	if (stress.common && stress.workers[WORKERS - 1].mm)
		run_round(t);
	end(t, &before);
	EXPECT(t, stress.forks && stress.moved && stress.pins && stress.to_device && stress.regrouped);
}

/* Here the daemons work, too. */
KTEST(vm_stress, slow_minutes_of_it)
{
	uint64_t minutes = cmdline_u64("minutes", 10), end_ns = time_ns() + minutes * 60 * NS_PER_S;
	struct memory_info before;

	memory_info_get(&before);
	set(t, "/sys/kernel/mm/ksm/run", "1");
	set(t, "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "20");
	set(t, "/proc/sys/kernel/numa_balancing", "1");
	begin(t, 4000);
	do
		run_round(t);
	while (time_ns() < end_ns && !stress.wrong);
	set(t, "/sys/kernel/mm/ksm/run", "0");
	set(t, "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "10000");
	set(t, "/proc/sys/kernel/numa_balancing", memory.nr_nodes > 1 ? "1" : "0");
	end(t, &before);
}
