/*
 * The memory controller over real address spaces: what is charged, when it is given back, and what happens at a limit.
 * Each test ends with vm_check(), which holds every page's group against what the groups say.
 */
#include "cgroup/memory_internal.h"

#include "kernel/memory.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/contig.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/vm_fixture.h"

#define FILE_ID 7700001u

/* A number in @group's file, of a line with @key (NULL: the file is that number); in pages. */
static uint64_t pages_of(const char *group, const char *name, const char *key)
{
	char path[128];
	const char *text;
	uint64_t bytes = 0;

	format(path, sizeof(path), ROOT "/%s/%s", group, name);
	text = key ? value(path, key) : file(path);
	for (; *text >= '0' && *text <= '9'; text++)
		bytes = bytes * 10 + (uint64_t)(*text - '0');
	return bytes / PAGE_SIZE;
}

static uint64_t used(const char *group)
{
	return pages_of(group, "memory.current", NULL);
}

static const char *event(const char *group, const char *key)
{
	char path[128];

	format(path, sizeof(path), ROOT "/%s/memory.events", group);
	return value(path, key);
}

static int set(const char *group, const char *name, const char *text)
{
	char path[128];

	format(path, sizeof(path), ROOT "/%s/%s", group, name);
	return write_file(path, text);
}

static void leave_group(void *argument UNUSED)
{
	(void)!write_file(ROOT "/cgroup.procs", "0");
}

/* The test's thread is in @group until it ends. */
static int enter(struct ktest *t, const char *group)
{
	int error = ensure_cgroups();

	if (!error)
		error = new_group(t, group);
	if (!error)
		error = set(group, "cgroup.procs", "0");
	if (!error)
		ktest_defer(t, leave_group, NULL);
	return error;
}

/* ---- what is charged ---- */

KTEST(memcg, every_page_is_charged_when_it_is_needed_and_given_back)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_base"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_EQ(t, peek(at), 0u); /* the zero page is nobody's */
	EXPECT_EQ(t, used("mem_base"), 0u);
	for (uint64_t i = 0; i < 10; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, used("mem_base"), 10u);
	EXPECT_EQ(t, pages_of("mem_base", "memory.stat", "anon"), 10u);
	EXPECT_STR(t, value(ROOT "/mem_base/memory.stat", "pgfault"), "11");
	EXPECT_OK(t, mm_madvise(mm, at, 3 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, used("mem_base"), 7u);
	EXPECT_OK(t, mm_madvise(mm, at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_FREE));
	EXPECT_EQ(t, used("mem_base"), 7u);
	EXPECT_OK(t, mm_madvise(mm, at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(t, used("mem_base"), 5u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, 16 * PAGE_SIZE));
	EXPECT_EQ(t, used("mem_base"), 0u);
	EXPECT_EQ(t, pages_of("mem_base", "memory.peak", NULL), 10u);
}

KTEST(memcg, copies_are_charged_and_merged_pages_are_not_twice)
{
	struct mm *mm, *child;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_cow"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 4, RW | AREA_MERGEABLE);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 5));
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, used("mem_cow"), 4u);
	EXPECT_OK(t, poke(at, 6));
	EXPECT_EQ(t, used("mem_cow"), 5u);
	EXPECT_OK(t, mm_unmap(child, at, 4 * PAGE_SIZE));
	EXPECT_EQ(t, used("mem_cow"), 4u);
	(void)ksm_scan();
	(void)ksm_scan();
	EXPECT_EQ(t, used("mem_cow"), 2u); /* 6, and one for three 5s */
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, ksm_unmerge(mm, at, 4 * PAGE_SIZE));
	EXPECT_EQ(t, used("mem_cow"), 4u);
}

KTEST(memcg, a_huge_page_is_512_before_and_after_a_split)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_huge"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 512, RW | AREA_HUGE);
	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, used("mem_huge"), 512u);
	EXPECT_EQ(t, pages_of("mem_huge", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, huge_split_range(mm, at, PAGE_SIZE), 1u);
	EXPECT_EQ(t, used("mem_huge"), 512u);
	EXPECT_EQ(t, pages_of("mem_huge", "memory.stat", "anon_thp"), 0u);
	EXPECT_OK(t, mm_madvise(mm, at, 100 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, used("mem_huge"), 412u);
	EXPECT_OK(t, huge_collapse(mm, at));
	EXPECT_EQ(t, used("mem_huge"), 512u);
	EXPECT_EQ(t, pages_of("mem_huge", "memory.stat", "anon_thp"), 512u);
	EXPECT_OK(t, mm_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED)); /* the block lives while a part is mapped */
	EXPECT_EQ(t, used("mem_huge"), 512u);
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_NOHUGEPAGE));
	EXPECT_OK(t, poke(at, 1)); /* a small one beside the parts; both go in one go */
	EXPECT_EQ(t, used("mem_huge"), 513u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, HUGE_BYTES));
	EXPECT_EQ(t, used("mem_huge"), 0u);
	EXPECT_EQ(t, pages_of("mem_huge", "memory.stat", "anon_thp"), 0u);
}

KTEST(memcg, a_page_that_moves_takes_its_charge_along)
{
	struct device_memory *coherent = fixture_coherent(t, 2), *private = fixture_private(t, 2);
	struct page *page;
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_move"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 2, RW);
	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	page = follow_page(mm, at, FOLL_LRU);
	REQUIRE(t, page);
	EXPECT_OK(t, migrate_found_page(page, NODE_ANY));
	EXPECT_OK(t, vm_check());
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, coherent), 1);
	EXPECT_EQ(t, device_migrate_to(mm, at + PAGE_SIZE, PAGE_SIZE, private), 1);
	EXPECT_EQ(t, used("mem_move"), 2u);
	EXPECT_OK(t, vm_check());
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u); /* comes back */
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, PAGE_SIZE)); /* from the device */
	EXPECT_EQ(t, used("mem_move"), 1u);
}

KTEST(memcg, a_files_pages_are_charged_to_who_reads_them_first)
{
	struct cache_file *file;
	struct page *page;
	uint64_t pfn;

	REQUIRE_OK(t, enter(t, "mem_file"));
	(void)fixture_mm(t);
	file = cache_file_open(FILE_ID);
	REQUIRE(t, file);
	for (uint64_t index = 0; index < 5; index++) {
		page = cache_get_page(file, index, GFP_KERNEL);
		if (page)
			page_put(page);
	}
	EXPECT_EQ(t, used("mem_file"), 5u);
	EXPECT_EQ(t, pages_of("mem_file", "memory.stat", "file"), 5u);
	EXPECT_EQ(t, pages_of("mem_file", "memory.stat", "anon"), 0u);
	leave_group(NULL);
	page = cache_get_page(file, 0, GFP_KERNEL);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_EQ(t, used("mem_file"), 5u);
	pfn = page_to_pfn(page);
	EXPECT_OK(t, alloc_contig_range(pfn, pfn + 1, GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST))); /* it has to move */
	free_contig_range(pfn, 1);
	EXPECT_EQ(t, used("mem_file"), 5u);
	EXPECT_OK(t, vm_check());
	cache_file_truncate(file);
	EXPECT_EQ(t, used("mem_file"), 0u);
	cache_file_close(file);
}

KTEST(memcg, the_check_sees_a_page_that_nobody_paid_for)
{
	struct page *page;
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_check"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 1, RW);
	EXPECT_OK(t, poke(at, 1));
	page = follow_page(mm, at, FOLL_LRU);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_OK(t, memcg_check());
	ktest_note(t, "the next line is wanted");
	page->memcg = NULL;
	EXPECT_EQ(t, memcg_check(), -EINVAL);
	page->memcg = mm->memcg;
	EXPECT_OK(t, memcg_check());
}

/* ---- limits ---- */

KTEST(memcg, at_the_limit_a_fault_fails_and_says_so)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_limit"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_OK(t, set("mem_limit", "memory.max", "32K"));
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, mm_fault(mm, at + 8 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, poke(at + 8 * PAGE_SIZE, 1), -EFAULT); /* as whenever a fault cannot be resolved */
	EXPECT_EQ(t, used("mem_limit"), 8u);
	EXPECT_STR(t, event("mem_limit", "max"), "2");
	EXPECT_STR(t, event("mem_limit", "oom"), "2");
	EXPECT_STR(t, event("mem_limit", "oom_kill"), "0");
	EXPECT_EQ(t, peek(at + 9 * PAGE_SIZE), 0u); /* the zero page costs nothing */
	EXPECT_OK(t, mm_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED));
	EXPECT_OK(t, poke(at + 8 * PAGE_SIZE, 1));
	EXPECT_OK(t, set("mem_limit", "memory.max", "max"));
	EXPECT_OK(t, poke(at + 9 * PAGE_SIZE, 1));
	EXPECT_STR(t, file(ROOT "/mem_limit/memory.max"), "max\n");
}

KTEST(memcg, what_a_limit_cannot_hold_of_a_huge_page_is_small)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_small"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 512, RW | AREA_HUGE);
	EXPECT_OK(t, set("mem_small", "memory.max", "1M"));
	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, used("mem_small"), 1u);
	EXPECT_STR(t, event("mem_small", "max"), "1");
	EXPECT_STR(t, event("mem_small", "oom"), "0");
	EXPECT_EQ(t, huge_collapse(mm, at), -ENOMEM);
	EXPECT_EQ(t, used("mem_small"), 1u);
	EXPECT_EQ(t, peek(at), 1u);
}

KTEST(memcg, at_the_limit_what_was_given_up_goes_first)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, enter(t, "mem_lazy"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 32, RW);
	EXPECT_OK(t, set("mem_lazy", "memory.max", "64K"));
	for (uint64_t i = 0; i < 16; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_OK(t, mm_madvise(mm, at, 8 * PAGE_SIZE, MADV_FREE));
	for (uint64_t i = 16; i < 24; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_EQ(t, mm_fault(mm, at + 24 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, used("mem_lazy"), 16u);
	EXPECT_STR(t, value(ROOT "/mem_lazy/memory.stat", "pgsteal"), "8");
	for (uint64_t i = 8; i < 24; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), i + 1);
}

/* Others' pages lie on the same lists, and stay. */
KTEST(memcg, a_lower_limit_gets_pages_back_from_that_group_only)
{
	struct cache_file *file, *others;
	struct mm *mm;

	REQUIRE_OK(t, ensure_cgroups());
	mm = fixture_mm(t);
	others = cache_file_open(FILE_ID + 1);
	REQUIRE(t, mm && others);
	for (uint64_t index = 0; index < 40; index++)
		page_put(cache_get_page(others, index, GFP_KERNEL));
	REQUIRE_OK(t, enter(t, "mem_lower"));
	file = cache_file_open(FILE_ID);
	REQUIRE(t, file);
	for (uint64_t index = 0; index < 40; index++) {
		struct page *page = cache_get_page(file, index, GFP_KERNEL);

		REQUIRE(t, page);
		lru_change(page, index % 2 ? PAGE_ACTIVE : 0, 0);
		page_put(page);
	}
	EXPECT_EQ(t, used("mem_lower"), 40u);
	EXPECT_OK(t, set("mem_lower", "memory.max", "40K"));
	EXPECT_EQ(t, used("mem_lower"), 10u);
	EXPECT_STR(t, event("mem_lower", "oom"), "0");
	EXPECT_EQ(t, others->nr_pages, 40u);
	/* More than there may be can still be read, one after the other. */
	for (uint64_t index = 40; index < 80; index++) {
		struct page *page = cache_get_page(file, index, GFP_KERNEL);

		EXPECT(t, page);
		if (page)
			page_put(page);
	}
	EXPECT_EQ(t, used("mem_lower"), 10u);
	EXPECT_OK(t, vm_check());
	cache_file_truncate(file);
	cache_file_truncate(others);
	cache_file_close(file);
	cache_file_close(others);
}

KTEST(memcg, a_limit_above_counts_for_all_below)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_up"));
	REQUIRE_OK(t, enter(t, "mem_up/low"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_OK(t, set("mem_up", "memory.max", "16K"));
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, mm_fault(mm, at + 4 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, used("mem_up"), 4u);
	EXPECT_EQ(t, used("mem_up/low"), 4u);
	EXPECT_STR(t, event("mem_up", "oom"), "1");
	EXPECT_STR(t, event("mem_up/low", "oom"), "0");
}

KTEST(memcg, bad_limits_change_nothing)
{
	static const char *const bad[] = {"", "-1", "12Q", "1 2", "maximum", "max 1", "99999999999999999999"};

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_bad"));
	EXPECT_OK(t, set("mem_bad", "memory.max", "3M"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(t, set("mem_bad", "memory.max", bad[i]), -EINVAL);
	EXPECT_STR(t, file(ROOT "/mem_bad/memory.max"), "3145728\n");
	EXPECT_EQ(t, set("mem_bad", "memory.move_charge_at_immigrate", "2"), -EINVAL);
	EXPECT_EQ(t, set("mem_bad", "memory.current", "1"), -EACCES);
	EXPECT_STR(t, file(ROOT "/memory.max"), "(error)"); /* the root has no limit */
}

/* ---- groups that go, tasks that come ---- */

KTEST(memcg, a_removed_group_keeps_its_pages_until_they_are_freed)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_gone"));
	REQUIRE_OK(t, cgroup_make("mem_gone/below"));
	REQUIRE_OK(t, set("mem_gone/below", "cgroup.procs", "0"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 8, RW);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	leave_group(NULL);
	EXPECT_OK(t, cgroup_remove("mem_gone/below"));
	EXPECT_EQ(t, used("mem_gone"), 8u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_madvise(mm, at, 4 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, used("mem_gone"), 4u);
	EXPECT_OK(t, poke(at, 1)); /* the space is the root's now */
	EXPECT_EQ(t, used("mem_gone"), 4u);
	EXPECT_OK(t, mm_unmap(mm, at, 8 * PAGE_SIZE));
	EXPECT_EQ(t, used("mem_gone"), 0u);
}

/* 4 pages of its own, a huge one in parts, one on a device, one shared with a fork. */
static uint64_t fill_for_move(struct ktest *t, struct mm *mm, struct device_memory *device)
{
	uint64_t at = fixture_area(t, mm, 1024, RW | AREA_HUGE);

	EXPECT_OK(t, poke(at + 512 * PAGE_SIZE, 1));
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_NOHUGEPAGE));
	EXPECT_OK(t, poke(at, 1));
	(void)fixture_fork(t, mm);
	EXPECT_OK(t, mm_madvise(mm, at + 512 * PAGE_SIZE, HUGE_BYTES, MADV_DONTNEED));
	EXPECT_OK(t, poke(at + 600 * PAGE_SIZE, 1));
	EXPECT_OK(t, mm_madvise(mm, at + 700 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED));
	for (uint64_t i = 1; i < 6; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 1));
	EXPECT_EQ(t, device_migrate_to(mm, at + 5 * PAGE_SIZE, PAGE_SIZE, device), 1);
	return at;
}

KTEST(memcg, a_task_brings_along_what_it_alone_has)
{
	struct device_memory *device = fixture_coherent(t, 2);
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_both"));
	REQUIRE_OK(t, new_group(t, "mem_both/to"));
	REQUIRE_OK(t, enter(t, "mem_both/from"));
	mm = fixture_mm(t);
	at = fill_for_move(t, mm, device);
	EXPECT_EQ(t, used("mem_both/from"), 512 + 1 + 512 + 5u); /* two huge pages, of which the fork has one */
	EXPECT_OK(t, set("mem_both/to", "cgroup.procs", "0"));
	EXPECT_EQ(t, used("mem_both/to"), 0u); /* not unless it is asked for */
	EXPECT_OK(t, poke(at + 7 * PAGE_SIZE, 1));
	EXPECT_EQ(t, used("mem_both/to"), 1u);
	EXPECT_OK(t, set("mem_both/from", "cgroup.procs", "0"));
	EXPECT_OK(t, set("mem_both/from", "memory.move_charge_at_immigrate", "1"));
	EXPECT_OK(t, set("mem_both/to", "memory.move_charge_at_immigrate", "1"));

	EXPECT_OK(t, set("mem_both/to", "cgroup.procs", "0"));
	EXPECT_EQ(t, used("mem_both/to"), 1 + 5 + 512u);
	EXPECT_EQ(t, pages_of("mem_both/to", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, used("mem_both/from"), 1 + 512u); /* what the fork maps as well, and what it alone does */
	EXPECT_EQ(t, pages_of("mem_both/from", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, pages_of("mem_both", "memory.stat", "anon_thp"), 1024u);
	EXPECT_EQ(t, used("mem_both"), 2 * 512 + 7u);
	EXPECT_EQ(t, pages_of("mem_both", "memory.peak", NULL), 2 * 512 + 7u); /* no moment with both */
	EXPECT_EQ(t, pages_of("mem_both/to", "memory.peak", NULL), 1 + 5 + 512u);
	EXPECT_OK(t, vm_check());

	leave_group(NULL); /* the root does not ask: all stays */
	EXPECT_EQ(t, used("mem_both/to"), 1 + 5 + 512u);
	EXPECT_OK(t, poke(at + 8 * PAGE_SIZE, 1));
	EXPECT_EQ(t, used("mem_both"), 2 * 512 + 7u);
	EXPECT_OK(t, vm_check());
}

static int get_memcg(void *argument)
{
	*(struct mem_cgroup **)argument = memcg_get_current();
	return 0;
}

/* As when pages go or stop being alone between the two walks. */
KTEST(memcg, what_was_charged_for_a_move_and_did_not_move_is_given_back)
{
	struct memcg_amounts all = {.pages[MEMCG_ANON] = 3}, moved = {.pages[MEMCG_ANON] = 1};
	struct mem_cgroup *to = NULL;
	struct page *page;
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_part"));
	REQUIRE_OK(t, run_in_group("mem_part", get_memcg, &to));
	REQUIRE(t, to);
	REQUIRE_OK(t, enter(t, "mem_rest"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 3, RW);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	page = follow_page(mm, at, FOLL_LRU);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_OK(t, memcg_ops->move_begin(mm->memcg, to, &all));
	lru_set_memcg(page, to);
	memcg_ops->move_end(mm->memcg, to, &all, &moved);
	memcg_put(to);
	EXPECT_EQ(t, used("mem_part"), 1u);
	EXPECT_EQ(t, used("mem_rest"), 2u);
	EXPECT_OK(t, vm_check());
}

KTEST(memcg, a_task_that_does_not_fit_stays_where_it_was)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_tight"));
	REQUIRE_OK(t, enter(t, "mem_wide"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	for (uint64_t i = 0; i < 9; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_OK(t, set("mem_tight", "memory.max", "32K"));
	EXPECT_OK(t, set("mem_tight", "memory.move_charge_at_immigrate", "1"));
	EXPECT_EQ(t, set("mem_tight", "cgroup.procs", "0"), -ENOMEM);
	EXPECT_EQ(t, used("mem_tight"), 0u);
	EXPECT_EQ(t, used("mem_wide"), 9u);
	EXPECT_STR(t, file(ROOT "/mem_tight/cgroup.procs"), "");
	EXPECT_OK(t, poke(at + 9 * PAGE_SIZE, 1));
	EXPECT_EQ(t, used("mem_wide"), 10u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, set("mem_tight", "memory.max", "40K"));
	EXPECT_OK(t, set("mem_tight", "cgroup.procs", "0"));
	EXPECT_EQ(t, used("mem_tight"), 10u);
	EXPECT_EQ(t, used("mem_wide"), 0u);
	EXPECT_EQ(t, mm_fault(mm, at + 10 * PAGE_SIZE, true), -ENOMEM);
}

/* ---- many at once ---- */

#define WORKERS 4u
#define PAGES	96u

static struct crowd {
	uint32_t ids[WORKERS], running;
	uint64_t faults, refused, wrong;
} crowd;

/* Threads fault and drop under limits, while the test moves them from group to group. */
static int fault_and_drop(void *argument)
{
	struct rand rand;
	struct mm *mm = mm_new();
	uint64_t number = (uint64_t)(uintptr_t)argument, at;

	if (!mm)
		return -ENOMEM;
	rand_seed(&rand, number);
	mm_use(mm);
	at = (uint64_t)mm_map_anon(mm, 0, PAGES * PAGE_SIZE, RW);
	if (cgroup_move_thread("mem_crowd/a", thread_id(thread_current())))
		atomic_inc(&crowd.wrong);
	store_release(&crowd.ids[number], thread_id(thread_current()));
	for (unsigned int step = 0; step < (ktest_hosted() ? 3000u : 600u); step++) {
		uint64_t page = at + rand_below(&rand, PAGES) * PAGE_SIZE;
		int error = mm_fault(mm, page, true);

		atomic_inc(error ? &crowd.refused : &crowd.faults);
		if (error && error != -ENOMEM)
			atomic_inc(&crowd.wrong);
		if (rand_below(&rand, 8) == 0)
			mm_madvise(mm, ALIGN_DOWN(page, 8 * PAGE_SIZE), PAGE_SIZE, MADV_FREE);
		if (rand_below(&rand, 256) == 0)
			mm_madvise(mm, at, PAGES * PAGE_SIZE, MADV_DONTNEED);
	}
	mm_use(NULL);
	mm_put(mm);
	atomic_dec(&crowd.running);
	return 0;
}

static void move_them_about(struct ktest *t)
{
	static const char *const groups[] = {"mem_crowd/a", "mem_crowd/b", "mem_crowd"};
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	while (load_acquire(&crowd.running)) {
		uint32_t id = load_acquire(&crowd.ids[rand_below(&rand, WORKERS)]);
		int error = id ? cgroup_move_thread(groups[rand_below(&rand, ARRAY_SIZE(groups))], id) : 0;

		if (error && error != -ENOMEM && error != -ENOENT)
			atomic_inc(&crowd.wrong);
		if (used("mem_crowd") > 128 || used("mem_crowd/a") > 64)
			atomic_inc(&crowd.wrong);
		thread_yield();
	}
}

KTEST(memcg, limits_hold_and_nothing_is_lost_whoever_faults_and_moves)
{
	struct thread *threads[WORKERS];
	uint32_t started = 0;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_crowd"));
	REQUIRE_OK(t, new_group(t, "mem_crowd/a"));
	REQUIRE_OK(t, new_group(t, "mem_crowd/b"));
	EXPECT_OK(t, set("mem_crowd", "memory.max", "512K"));
	EXPECT_OK(t, set("mem_crowd/a", "memory.max", "256K"));
	EXPECT_OK(t, set("mem_crowd/a", "memory.move_charge_at_immigrate", "1"));
	EXPECT_OK(t, set("mem_crowd/b", "memory.move_charge_at_immigrate", "1"));
	(void)fixture_mm(t);
	crowd = (struct crowd){.running = WORKERS};
	for (; started < WORKERS; started++) {
		threads[started] = thread_spawn("crowd", fault_and_drop, (void *)(uintptr_t)started);
		REQUIRE(t, !IS_ERR(threads[started]));
	}
	move_them_about(t);
	while (started)
		EXPECT_OK(t, thread_join(threads[--started]));
	EXPECT_EQ(t, crowd.wrong, 0u);
	EXPECT(t, crowd.faults && crowd.refused);
	EXPECT_EQ(t, used("mem_crowd"), 0u);
	EXPECT_OK(t, vm_check());
	ktest_note(t, "%lu faults, %lu refused", crowd.faults, crowd.refused);
}
