/*
 * Address spaces: areas, faults, rights, unmapping, copies on write, huge pages.
 */
#include "kernel/thread.h"
#include "lib/string.h"
#include "mm/vm/consumers.h"
#include "mm/vm/huge.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"
#include "tests/unit/vm_fixture.h"

KTEST(vm, a_page_appears_when_it_is_written_to)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW), before = anon_pages();

	EXPECT_EQ(t, peek(at), 0u);
	EXPECT_EQ(t, anon_pages(), before); /* the zero page */
	EXPECT(t, entry_of(mm, at) & PTE_SPECIAL);
	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_EQ(t, anon_pages(), before + 2);
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u);
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, mm->counters[MM_ANON], 2);
	EXPECT_EQ(t, zero_page_bytes[0], 0);
}

KTEST(vm, the_zero_page_is_never_written_to)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW | AREA_SHARED);

	EXPECT_EQ(t, peek(at), 0u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
	EXPECT_OK(t, poke(at, 7));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
	EXPECT_EQ(t, zero_page_bytes[0], 0);
}

KTEST(vm, an_access_may_cross_pages)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW) + PAGE_SIZE - 5;
	char text[] = "over the edge", back[sizeof(text)] = "";

	EXPECT_OK(t, user_write(at, text, sizeof(text)));
	EXPECT_OK(t, user_read(back, at, sizeof(back)));
	EXPECT_STR(t, back, text);
	memset(back, 0, sizeof(back));
	EXPECT_OK(t, mm_read(mm, at, back, sizeof(back)));
	EXPECT_STR(t, back, text);
}

KTEST(vm, wild_accesses_fail_and_nothing_else)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW), value = 0;

	EXPECT_EQ(t, user_read(&value, 0, 8), -EFAULT);
	EXPECT_EQ(t, user_read(&value, at + 2 * PAGE_SIZE, 8), -EFAULT);
	EXPECT_EQ(t, user_write(at - 8, &value, 8), -EFAULT);
	EXPECT_EQ(t, user_read(&value, USER_END - 4, 8), -EFAULT);
	EXPECT_EQ(t, user_read(&value, USER_END, 8), -EFAULT);
	EXPECT_EQ(t, user_read(&value, UINT64_MAX - 3, 8), -EFAULT);
	EXPECT_EQ(t, user_read(&value, at, SIZE_MAX), -EFAULT);
	EXPECT_EQ(t, user_write((uint64_t)(uintptr_t)&value, &value, 8), -EFAULT);
	EXPECT_EQ(t, mm_read(mm, at + 2 * PAGE_SIZE - 4, &value, 8), -EFAULT);
	EXPECT_EQ(t, mm_write(mm, UINT64_MAX - 3, &value, 8), -EFAULT);
	preempt_disable();
	EXPECT_EQ(t, user_read(&value, at, 8), -EFAULT); /* may not sleep: no fault */
	preempt_enable();
	EXPECT_EQ(t, peek(at), 0u);
	mm_use(NULL);
	EXPECT_EQ(t, user_read(&value, at, 8), -EFAULT);
	mm_use(mm);
}

KTEST(vm, bad_ranges_are_refused)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW);

	EXPECT_EQ(t, mm_map_anon(mm, 0, 0, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, 0, 100, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, 0x1001, PAGE_SIZE, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, PAGE_SIZE, PAGE_SIZE, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, GATE_START, PAGE_SIZE, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, at, UINT64_MAX - PAGE_SIZE + 1, RW), -EINVAL);
	EXPECT_EQ(t, mm_map_anon(mm, at + PAGE_SIZE, PAGE_SIZE, RW), -EEXIST);
	EXPECT_EQ(t, mm_unmap(mm, at + 1, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(t, mm_protect(mm, at, PAGE_SIZE, AREA_SHARED), -EINVAL);
	EXPECT_EQ(t, mm_protect(mm, at, 4 * PAGE_SIZE, AREA_READ), -ENOMEM);
	EXPECT_EQ(t, mm_madvise(mm, at, PAGE_SIZE, (enum madvise)99), -EINVAL);
}

KTEST(vm, rights_are_kept)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 3, RW);

	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_OK(t, mm_protect(mm, at + PAGE_SIZE, PAGE_SIZE, AREA_READ));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u);
	EXPECT_EQ(t, poke(at + PAGE_SIZE, 9), -EFAULT);
	EXPECT_OK(t, mm_protect(mm, at + PAGE_SIZE, PAGE_SIZE, 0));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), UINT64_MAX);
	EXPECT_OK(t, poke(at, 5));
	EXPECT_OK(t, poke(at + 2 * PAGE_SIZE, 6));
	EXPECT_OK(t, mm_protect(mm, at, 3 * PAGE_SIZE, RW));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 7));
	EXPECT(t, mm->areas.next == mm->areas.prev); /* one area again */
}

KTEST(vm, unmapping_gives_pages_and_tables_back)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 1024, RW), before = anon_pages();

	for (uint64_t i = 0; i < 1024; i += 3)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT(t, mm->table_pages > 3);
	EXPECT_OK(t, mm_unmap(mm, at + 300 * PAGE_SIZE, 100 * PAGE_SIZE));
	EXPECT_EQ(t, peek(at + 300 * PAGE_SIZE), UINT64_MAX);
	EXPECT_EQ(t, peek(at + 399 * PAGE_SIZE), UINT64_MAX);
	EXPECT_EQ(t, peek(at + 297 * PAGE_SIZE), 297u);
	EXPECT_EQ(t, peek(at + 402 * PAGE_SIZE), 402u);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_OK(t, mm_unmap(mm, at, 1024 * PAGE_SIZE));
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, mm->table_pages, 1u);
	EXPECT_EQ(t, peek(at), UINT64_MAX);
}

/* Up to 64 pages wait for the next table's, which may be 512. */
KTEST(vm, unmapping_gathers_over_tables)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4 * 512, RW), before = anon_pages();

	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_HUGEPAGE));
	EXPECT_OK(t, poke(at, 1));
	for (uint64_t i = 512; i < 512 + 63; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 1));
	for (uint64_t i = 1024; i < 1536 + 10; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 1));
	EXPECT_EQ(t, anon_pages(), before + 512 + 63 + 512 + 10);
	EXPECT_OK(t, mm_unmap(mm, at, 4 * HUGE_BYTES));
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, poke(at, 2), -EFAULT);
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm, a_fork_shares_until_one_writes)
{
	struct mm *parent = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, parent, 3, RW), before;

	for (uint64_t i = 0; i < 2; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 10 + i));
	before = anon_pages();
	child = fixture_fork(t, parent);
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, pte_pfn(entry_of(parent, at)), pte_pfn(entry_of(child, at)));
	EXPECT_OK(t, poke(at, 77)); /* the parent's CPU must not write through an old translation */
	EXPECT_EQ(t, peek_in(child, at), 10u);
	EXPECT_OK(t, poke_in(child, at + PAGE_SIZE, 88));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 11u);
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 88u);
	EXPECT_OK(t, poke_in(child, at + 2 * PAGE_SIZE, 99));
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, anon_pages(), before + 3);
	EXPECT_OK(t, mm_check(parent));
}

KTEST(vm, the_last_owner_writes_without_a_copy)
{
	struct mm *parent = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, parent, 1, RW), pfn;

	EXPECT_OK(t, poke(at, 1));
	pfn = pte_pfn(entry_of(parent, at));
	child = mm_fork(parent);
	REQUIRE(t, !IS_ERR(child));
	EXPECT(t, !(entry_of(parent, at) & PTE_WRITE));
	mm_put(child);
	EXPECT_OK(t, poke(at, 2));
	EXPECT_EQ(t, pte_pfn(entry_of(parent, at)), pfn);
}

KTEST(vm, a_huge_area_gets_huge_pages)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 1024, RW | AREA_HUGE), before = anon_pages();

	EXPECT_OK(t, poke(at + 5 * PAGE_SIZE, 5));
	REQUIRE(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_EQ(t, anon_pages(), before + 512);
	EXPECT_EQ(t, peek(at + 511 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, mm->counters[MM_HUGE], 1);
	EXPECT_OK(t, mm_check(mm));

	/* A fork, and a write to the shared block: one small copy, both keep the rest. */
	child = fixture_fork(t, mm);
	EXPECT_OK(t, poke(at + 5 * PAGE_SIZE, 6));
	EXPECT_EQ(t, peek_in(child, at + 5 * PAGE_SIZE), 5u);
	EXPECT_EQ(t, anon_pages(), before + 513);
	EXPECT(t, !(entry_of(mm, at) & PTE_HUGE));
	EXPECT(t, entry_of(child, at) & PTE_HUGE);
	EXPECT_OK(t, poke_in(child, at + 7 * PAGE_SIZE, 7));
	EXPECT_EQ(t, peek(at + 7 * PAGE_SIZE), 0u);
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm, a_hole_in_a_huge_page_leaves_the_rest)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE);

	for (uint64_t i = 0; i < 512; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	REQUIRE(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_OK(t, mm_unmap(mm, at + 100 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(t, peek(at + 99 * PAGE_SIZE), 99u);
	EXPECT_EQ(t, peek(at + 100 * PAGE_SIZE), UINT64_MAX);
	EXPECT_EQ(t, peek(at + 101 * PAGE_SIZE), 101u);
	EXPECT_OK(t, poke(at + 101 * PAGE_SIZE, 1));
	EXPECT_OK(t, mm_protect(mm, at + 200 * PAGE_SIZE, 10 * PAGE_SIZE, AREA_READ));
	EXPECT_EQ(t, poke(at + 205 * PAGE_SIZE, 1), -EFAULT);
	EXPECT_OK(t, poke(at + 210 * PAGE_SIZE, 1));
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm, a_huge_entry_can_be_protected_as_a_whole)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE);

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, mm_protect(mm, at, HUGE_BYTES, AREA_READ));
	EXPECT_EQ(t, poke(at, 2), -EFAULT);
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT_OK(t, mm_protect(mm, at, HUGE_BYTES, RW));
	EXPECT_OK(t, poke(at, 2));
	EXPECT(t, entry_of(mm, at) & PTE_HUGE);
}

static void fill(struct ktest *t, uint64_t at, uint64_t pages, uint64_t salt)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, salt + i));
}

static void expect_filled(struct ktest *t, uint64_t at, uint64_t pages, uint64_t salt)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), salt + i);
}

KTEST(vm, collapse_copies_small_pages_into_a_block)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW), before = anon_pages();

	EXPECT_EQ(t, huge_collapse(mm, at), -ENOENT);
	fill(t, at, 300, 1000);
	EXPECT_EQ(t, peek(at + 400 * PAGE_SIZE), 0u);
	EXPECT_OK(t, huge_collapse(mm, at));
	EXPECT(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_EQ(t, anon_pages(), before + 512);
	expect_filled(t, at, 300, 1000);
	EXPECT_EQ(t, peek(at + 400 * PAGE_SIZE), 0u);
	fill(t, at, 512, 2000);
	expect_filled(t, at, 512, 2000);
	EXPECT_EQ(t, huge_collapse(mm, at + PAGE_SIZE), -EINVAL);
}

KTEST(vm, collapse_refuses_what_is_shared)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 512, RW);

	fill(t, at, 512, 1);
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, huge_collapse(mm, at), -EAGAIN);
	expect_filled(t, at, 512, 1);
	EXPECT_EQ(t, peek_in(child, at), 1u);
}

KTEST(vm, a_block_mapped_in_parts_collapses_in_place)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), pfn;

	fill(t, at, 512, 50);
	pfn = pte_pfn(entry_of(mm, at));
	spin_lock(&mm->table_lock);
	table_split(mm, at, table_entry(mm, at, 1));
	spin_unlock(&mm->table_lock);
	EXPECT(t, entry_of(mm, at) & PTE_PART);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_OK(t, huge_collapse(mm, at));
	EXPECT_EQ(t, pte_pfn(entry_of(mm, at)), pfn);
	EXPECT(t, entry_of(mm, at) & PTE_HUGE);
	expect_filled(t, at, 512, 50);
}

KTEST(vm, a_split_block_is_512_pages)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), before = anon_pages();

	fill(t, at, 512, 70);
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, huge_split_range(mm, at, HUGE_BYTES), 1u);
	EXPECT(t, !(entry_of(mm, at) & (PTE_PART | PTE_HUGE)));
	EXPECT(t, !(entry_of(child, at) & (PTE_PART | PTE_HUGE)));
	EXPECT_EQ(t, pfn_to_page(pte_pfn(entry_of(mm, at)))->mapcount, 2u);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_OK(t, mm_unmap(mm, at, 256 * PAGE_SIZE));
	EXPECT_EQ(t, anon_pages(), before + 512);
	EXPECT_EQ(t, peek_in(child, at + 3 * PAGE_SIZE), 73u);
	expect_filled(t, at + 256 * PAGE_SIZE, 256, 70 + 256);
	EXPECT_OK(t, mm_unmap(child, at, HUGE_BYTES));
	EXPECT_EQ(t, anon_pages(), before + 256);
}

static int write_in_child_thread(void *argument)
{
	return poke((uint64_t)(uintptr_t)argument, 42);
}

KTEST(vm, threads_inherit_the_space)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 1, RW);
	struct thread *thread = thread_spawn("child", write_in_child_thread, (void *)(uintptr_t)at);

	REQUIRE(t, !IS_ERR(thread));
	EXPECT_OK(t, thread_join(thread));
	EXPECT_EQ(t, peek(at), 42u);
	EXPECT_EQ(t, mm->users, 2u);
}

struct crowd {
	uint64_t at, pages, who;
};

/* Everybody writes a word of their own to every page. */
static int write_everywhere(void *argument)
{
	const struct crowd *crowd = argument;

	for (uint64_t i = 0; i < crowd->pages; i++)
		if (poke(crowd->at + i * PAGE_SIZE + crowd->who * 8, crowd->who * 1000000 + i))
			return 1;
	return 0;
}

KTEST(vm, many_threads_fault_the_same_pages)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 600, RW), before = anon_pages();
	struct crowd crowds[4];
	struct thread *threads[4];

	for (uint64_t who = 0; who < 4; who++) {
		crowds[who] = (struct crowd){at, 600, who};
		threads[who] = thread_spawn("crowd", write_everywhere, &crowds[who]);
		REQUIRE(t, !IS_ERR(threads[who]));
	}
	for (uint64_t who = 0; who < 4; who++)
		EXPECT_OK(t, thread_join(threads[who]));
	for (uint64_t i = 0; i < 600; i++)
		for (uint64_t who = 0; who < 4; who++)
			EXPECT_EQ(t, peek(at + i * PAGE_SIZE + who * 8), who * 1000000 + i);
	EXPECT_EQ(t, anon_pages(), before + 600);
	EXPECT_OK(t, mm_check(mm));
}
