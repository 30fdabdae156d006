/*
 * The memory controller over real address spaces: what is charged, when it is given back, and what happens at a limit.
 * Each test ends with vm_check(), which holds every page's group against what the groups say.
 */
#include "cgroup/memory_internal.h"

#include "lib/string.h"
#include "mm/contig.h"
#include "mm/lru.h"
#include "mm/page_cache.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/memcg_fixture.h"
#include "tests/unit/vm_fixture.h"

#define FILE_ID 7700001u

/* ---- what is charged ---- */

KTEST(memcg, every_page_is_charged_when_it_is_needed_and_given_back)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_base"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_EQ(t, peek(at), 0u); /* the zero page is nobody's */
	EXPECT_EQ(t, memcg_used("mem_base"), 0u);
	for (uint64_t i = 0; i < 10; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, memcg_used("mem_base"), 10u);
	EXPECT_EQ(t, memcg_pages("mem_base", "memory.stat", "anon"), 10u);
	EXPECT_STR(t, value(ROOT "/mem_base/memory.stat", "pgfault"), "11");
	EXPECT_OK(t, mm_madvise(mm, at, 3 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, memcg_used("mem_base"), 7u);
	EXPECT_OK(t, mm_madvise(mm, at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_FREE));
	EXPECT_EQ(t, memcg_used("mem_base"), 7u);
	EXPECT_OK(t, mm_madvise(mm, at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(t, memcg_used("mem_base"), 5u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, 16 * PAGE_SIZE));
	EXPECT_EQ(t, memcg_used("mem_base"), 0u);
	EXPECT_EQ(t, memcg_pages("mem_base", "memory.peak", NULL), 10u);
}

KTEST(memcg, copies_are_charged_and_merged_pages_are_not_twice)
{
	struct mm *mm, *child;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_cow"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 4, RW | AREA_MERGEABLE);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 5));
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, memcg_used("mem_cow"), 4u);
	EXPECT_OK(t, poke(at, 6));
	EXPECT_EQ(t, memcg_used("mem_cow"), 5u);
	EXPECT_OK(t, mm_unmap(child, at, 4 * PAGE_SIZE));
	EXPECT_EQ(t, memcg_used("mem_cow"), 4u);
	(void)ksm_scan();
	(void)ksm_scan();
	EXPECT_EQ(t, memcg_used("mem_cow"), 2u); /* 6, and one for three 5s */
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, ksm_unmerge(mm, at, 4 * PAGE_SIZE));
	EXPECT_EQ(t, memcg_used("mem_cow"), 4u);
}

KTEST(memcg, a_huge_page_is_512_before_and_after_a_split)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_huge"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 512, RW | AREA_HUGE);
	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, memcg_used("mem_huge"), 512u);
	EXPECT_EQ(t, memcg_pages("mem_huge", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, huge_split_range(mm, at, PAGE_SIZE), 1u);
	EXPECT_EQ(t, memcg_used("mem_huge"), 512u);
	EXPECT_EQ(t, memcg_pages("mem_huge", "memory.stat", "anon_thp"), 0u);
	EXPECT_OK(t, mm_madvise(mm, at, 100 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, memcg_used("mem_huge"), 412u);
	EXPECT_OK(t, huge_collapse(mm, at));
	EXPECT_EQ(t, memcg_used("mem_huge"), 512u);
	EXPECT_EQ(t, memcg_pages("mem_huge", "memory.stat", "anon_thp"), 512u);
	EXPECT_OK(t, mm_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED)); /* the block lives while a part is mapped */
	EXPECT_EQ(t, memcg_used("mem_huge"), 512u);
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_NOHUGEPAGE));
	EXPECT_OK(t, poke(at, 1)); /* a small one beside the parts; both go in one go */
	EXPECT_EQ(t, memcg_used("mem_huge"), 513u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, HUGE_BYTES));
	EXPECT_EQ(t, memcg_used("mem_huge"), 0u);
	EXPECT_EQ(t, memcg_pages("mem_huge", "memory.stat", "anon_thp"), 0u);
}

KTEST(memcg, a_page_that_moves_takes_its_charge_along)
{
	struct device_memory *coherent = fixture_coherent(t, 2), *private = fixture_private(t, 2);
	struct page *page;
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_move"));
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
	EXPECT_EQ(t, memcg_used("mem_move"), 2u);
	EXPECT_OK(t, vm_check());
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u); /* comes back */
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, PAGE_SIZE)); /* from the device */
	EXPECT_EQ(t, memcg_used("mem_move"), 1u);
}

KTEST(memcg, a_files_pages_are_charged_to_who_reads_them_first)
{
	struct cache_file *file;
	struct page *page;
	uint64_t pfn;

	REQUIRE_OK(t, memcg_enter(t, "mem_file"));
	(void)fixture_mm(t);
	file = cache_file_open(FILE_ID);
	REQUIRE(t, file);
	for (uint64_t index = 0; index < 5; index++) {
		page = cache_get_page(file, index, GFP_KERNEL);
		if (page)
			page_put(page);
	}
	EXPECT_EQ(t, memcg_used("mem_file"), 5u);
	EXPECT_EQ(t, memcg_pages("mem_file", "memory.stat", "file"), 5u);
	EXPECT_EQ(t, memcg_pages("mem_file", "memory.stat", "anon"), 0u);
	memcg_leave(NULL);
	page = cache_get_page(file, 0, GFP_KERNEL);
	REQUIRE(t, page);
	page_put(page);
	EXPECT_EQ(t, memcg_used("mem_file"), 5u);
	pfn = page_to_pfn(page);
	EXPECT_OK(t, alloc_contig_range(pfn, pfn + 1, GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST))); /* it has to move */
	free_contig_range(pfn, 1);
	EXPECT_EQ(t, memcg_used("mem_file"), 5u);
	EXPECT_OK(t, vm_check());
	cache_file_truncate(file);
	EXPECT_EQ(t, memcg_used("mem_file"), 0u);
	cache_file_close(file);
}

KTEST(memcg, the_check_sees_a_page_that_nobody_paid_for)
{
	struct page *page;
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_check"));
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

	REQUIRE_OK(t, memcg_enter(t, "mem_limit"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_OK(t, memcg_write("mem_limit", "memory.max", "32K"));
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, mm_fault(mm, at + 8 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, poke(at + 8 * PAGE_SIZE, 1), -EFAULT); /* as whenever a fault cannot be resolved */
	EXPECT_EQ(t, memcg_used("mem_limit"), 8u);
	EXPECT_STR(t, memcg_event("mem_limit", "max"), "2");
	EXPECT_STR(t, memcg_event("mem_limit", "oom"), "2");
	EXPECT_STR(t, memcg_event("mem_limit", "oom_kill"), "0");
	EXPECT_EQ(t, peek(at + 9 * PAGE_SIZE), 0u); /* the zero page costs nothing */
	EXPECT_OK(t, mm_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED));
	EXPECT_OK(t, poke(at + 8 * PAGE_SIZE, 1));
	EXPECT_OK(t, memcg_write("mem_limit", "memory.max", "max"));
	EXPECT_OK(t, poke(at + 9 * PAGE_SIZE, 1));
	EXPECT_STR(t, file(ROOT "/mem_limit/memory.max"), "max\n");
}

KTEST(memcg, what_a_limit_cannot_hold_of_a_huge_page_is_small)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_small"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 512, RW | AREA_HUGE);
	EXPECT_OK(t, memcg_write("mem_small", "memory.max", "1M"));
	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, memcg_used("mem_small"), 1u);
	EXPECT_STR(t, memcg_event("mem_small", "max"), "1");
	EXPECT_STR(t, memcg_event("mem_small", "oom"), "0");
	EXPECT_EQ(t, huge_collapse(mm, at), -ENOMEM);
	EXPECT_EQ(t, memcg_used("mem_small"), 1u);
	EXPECT_EQ(t, peek(at), 1u);
}

KTEST(memcg, at_the_limit_what_was_given_up_goes_first)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, memcg_enter(t, "mem_lazy"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 32, RW);
	EXPECT_OK(t, memcg_write("mem_lazy", "memory.max", "64K"));
	for (uint64_t i = 0; i < 16; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_OK(t, mm_madvise(mm, at, 8 * PAGE_SIZE, MADV_FREE));
	for (uint64_t i = 16; i < 24; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_EQ(t, mm_fault(mm, at + 24 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, memcg_used("mem_lazy"), 16u);
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
	REQUIRE_OK(t, memcg_enter(t, "mem_lower"));
	file = cache_file_open(FILE_ID);
	REQUIRE(t, file);
	for (uint64_t index = 0; index < 40; index++) {
		struct page *page = cache_get_page(file, index, GFP_KERNEL);

		REQUIRE(t, page);
		lru_change(page, index % 2 ? PAGE_ACTIVE : 0, 0);
		page_put(page);
	}
	EXPECT_EQ(t, memcg_used("mem_lower"), 40u);
	EXPECT_OK(t, memcg_write("mem_lower", "memory.max", "40K"));
	EXPECT_EQ(t, memcg_used("mem_lower"), 10u);
	EXPECT_STR(t, memcg_event("mem_lower", "oom"), "0");
	EXPECT_EQ(t, others->nr_pages, 40u);
	/* More than there may be can still be read, one after the other. */
	for (uint64_t index = 40; index < 80; index++) {
		struct page *page = cache_get_page(file, index, GFP_KERNEL);

		EXPECT(t, page);
		if (page)
			page_put(page);
	}
	EXPECT_EQ(t, memcg_used("mem_lower"), 10u);
	EXPECT_OK(t, vm_check());
	cache_file_truncate(file);
	cache_file_truncate(others);
	cache_file_close(file);
	cache_file_close(others);
}

KTEST(memcg, above_high_what_can_go_goes_and_nothing_is_refused)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_high"));
	REQUIRE_OK(t, memcg_enter(t, "mem_high/low"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 32, RW);
	EXPECT_STR(t, file(ROOT "/mem_high/memory.high"), "max\n");
	EXPECT_OK(t, memcg_write("mem_high", "memory.high", "32K"));
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_STR(t, memcg_event("mem_high", "high"), "0");
	EXPECT_OK(t, mm_madvise(mm, at, 4 * PAGE_SIZE, MADV_FREE));
	for (uint64_t i = 8; i < 12; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, memcg_used("mem_high"), 8u);
	for (uint64_t i = 12; i < 16; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, memcg_used("mem_high"), 12u);
	EXPECT_STR(t, memcg_event("mem_high", "high"), "8");
	EXPECT_STR(t, memcg_event("mem_high", "max"), "0");
	EXPECT_STR(t, memcg_event("mem_high/low", "high"), "0");
	EXPECT_OK(t, mm_madvise(mm, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, MADV_FREE));
	EXPECT_OK(t, memcg_write("mem_high", "memory.high", "16K")); /* at once */
	EXPECT_EQ(t, memcg_used("mem_high"), 4u);
	EXPECT_OK(t, vm_check());
}

KTEST(memcg, a_limit_above_counts_for_all_below)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_up"));
	REQUIRE_OK(t, memcg_enter(t, "mem_up/low"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	EXPECT_OK(t, memcg_write("mem_up", "memory.max", "16K"));
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, mm_fault(mm, at + 4 * PAGE_SIZE, true), -ENOMEM);
	EXPECT_EQ(t, memcg_used("mem_up"), 4u);
	EXPECT_EQ(t, memcg_used("mem_up/low"), 4u);
	EXPECT_STR(t, memcg_event("mem_up", "oom"), "1");
	EXPECT_STR(t, memcg_event("mem_up/low", "oom"), "0");
}

KTEST(memcg, bad_limits_change_nothing)
{
	static const char *const bad[] = {"", "-1", "12Q", "1 2", "maximum", "max 1", "99999999999999999999"};

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_bad"));
	EXPECT_OK(t, memcg_write("mem_bad", "memory.max", "3M"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(t, memcg_write("mem_bad", "memory.max", bad[i]), -EINVAL);
	EXPECT_STR(t, file(ROOT "/mem_bad/memory.max"), "3145728\n");
	EXPECT_EQ(t, memcg_write("mem_bad", "memory.move_charge_at_immigrate", "2"), -EINVAL);
	EXPECT_EQ(t, memcg_write("mem_bad", "memory.current", "1"), -EACCES);
	EXPECT_STR(t, file(ROOT "/memory.max"), "(error)"); /* the root has no limit */
}
