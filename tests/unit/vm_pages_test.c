/*
 * What is done with the pages of address spaces: migration, device memory, merging, locking, advice, NUMA.
 */
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/device_ram.h"
#include "mm/vm/gup.h"
#include "mm/vm/ksm.h"
#include "mm/vm/reclaim.h"
#include "mm/vm/tables.h"
#include "tests/unit/vm_fixture.h"

static uint64_t pfn_at(struct mm *mm, uint64_t address)
{
	return pte_pfn(entry_of(mm, address));
}

KTEST(vm_pages, migration_moves_content_and_all_entries)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 2, RW), before;
	struct page *page;

	EXPECT_OK(t, poke(at, 1234));
	child = fixture_fork(t, mm);
	before = pfn_at(mm, at);
	page = follow_page(mm, at, FOLL_LRU);
	REQUIRE(t, page);
	EXPECT_OK(t, migrate_found_page(page, NODE_ANY));
	EXPECT(t, pfn_at(mm, at) != before);
	EXPECT_EQ(t, pfn_at(mm, at), pfn_at(child, at));
	EXPECT_EQ(t, peek(at), 1234u);
	EXPECT_OK(t, poke(at, 5));
	EXPECT_EQ(t, peek_in(child, at), 1234u);
	EXPECT(t, !follow_page(mm, at + PAGE_SIZE, FOLL_LRU));
}

KTEST(vm_pages, a_held_page_stays_where_it_is)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 1, RW), before;
	struct page *page, *again;

	EXPECT_OK(t, poke(at, 1));
	before = pfn_at(mm, at);
	page = follow_page(mm, at, FOLL_LRU);
	again = follow_page(mm, at, FOLL_LRU);
	EXPECT_EQ(t, migrate_found_page(again, NODE_ANY), -EAGAIN);
	EXPECT_EQ(t, pfn_at(mm, at), before);
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT_OK(t, poke(at, 2));
	page_put(page);
}

KTEST(vm_pages, coherent_memory_is_mapped_and_comes_back)
{
	struct device_memory *device = fixture_coherent(t, 8);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW);

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 100 + i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, device), 4);
	EXPECT_EQ(t, device->used, 4u);
	EXPECT_EQ(t, mm->counters[MM_DEVICE], 4);
	EXPECT(t, entry_of(mm, at) & PTE_DEVICE);
	EXPECT_OK(t, poke(at, 200));
	/* From the device's side. */
	EXPECT_EQ(t, *(uint64_t *)(device->bytes + ((pfn_at(mm, at) - device->first_pfn) << PAGE_SHIFT)), 200u);

	/* Forked and copied on write: the copy is in RAM. */
	child = fixture_fork(t, mm);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 201));
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 101u);
	EXPECT(t, !(entry_of(mm, at + PAGE_SIZE) & PTE_DEVICE));
	EXPECT(t, entry_of(child, at + PAGE_SIZE) & PTE_DEVICE);
	EXPECT_EQ(t, device_migrate_back(mm, at, 4 * PAGE_SIZE), 3);
	EXPECT(t, !(entry_of(child, at) & PTE_DEVICE)); /* it followed */
	EXPECT_EQ(t, peek(at), 200u);
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), 103u);
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm_pages, private_memory_comes_back_when_touched)
{
	struct device_memory *device = fixture_private(t, 8);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW);

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 300 + i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, device), 4);
	EXPECT(t, !pte_maps(entry_of(mm, at)));
	EXPECT_EQ(t, device->used, 4u);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_EQ(t, peek(at), 300u);
	EXPECT_EQ(t, device->used, 3u);
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 301u);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 1));
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 301u);
	EXPECT_EQ(t, device_migrate_back(mm, at, 4 * PAGE_SIZE), 2);
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), 303u);
	EXPECT_EQ(t, device->used, 0u);
}

KTEST(vm_pages, pages_go_from_device_to_device_without_a_stop)
{
	struct device_memory *coherent = fixture_coherent(t, 4), *private = fixture_private(t, 4);
	struct device_memory *other = device_from_ram("test-other", DEVICE_PRIVATE, 4);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW), in_ram;

	REQUIRE(t, other);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 400 + i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, coherent), 4);
	child = fixture_fork(t, mm);
	in_ram = anon_pages();
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, private), 4);
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, private), 0); /* they are there */
	EXPECT_EQ(t, coherent->used, 0u);
	EXPECT_EQ(t, private->used, 4u);
	EXPECT_EQ(t, device_migrate_to(child, at, 4 * PAGE_SIZE, other), 4);
	EXPECT_EQ(t, private->used, 0u);
	EXPECT_EQ(t, device_migrate_to(mm, at, 2 * PAGE_SIZE, coherent), 2);
	EXPECT_EQ(t, anon_pages(), in_ram);
	EXPECT_OK(t, mm_check(child));
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), 400 + i);
	EXPECT_EQ(t, coherent->used, 2u); /* read where they are */
	EXPECT_EQ(t, other->used, 0u);	  /* fetched */
	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, peek_in(child, at), 400u);
	EXPECT_OK(t, device_ram_free(other));
}

KTEST(vm_pages, a_full_device_takes_what_it_can)
{
	struct device_memory *device = fixture_coherent(t, 2);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW);

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, device), 2);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), i);
	EXPECT_EQ(t, device_memory_remove(device), -EBUSY);
	EXPECT_EQ(t, device_memory_add(device_find("test-coherent", DEVICE_COHERENT)), -EEXIST);
}

static void fill_equal(struct ktest *t, uint64_t at, uint64_t pages, uint64_t value)
{
	for (uint64_t i = 0; i < pages; i++)
		for (uint64_t word = 0; word < PAGE_SIZE; word += 512)
			EXPECT_OK(t, poke(at + i * PAGE_SIZE + word, value));
}

KTEST(vm_pages, equal_pages_become_one_until_written)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 6, RW | AREA_MERGEABLE), before;

	fill_equal(t, at, 4, 7);
	fill_equal(t, at + 4 * PAGE_SIZE, 1, 8);
	before = anon_pages();
	EXPECT_EQ(t, ksm_scan(), 3u);
	EXPECT_EQ(t, anon_pages(), before - 3);
	EXPECT_EQ(t, pfn_at(mm, at), pfn_at(mm, at + 3 * PAGE_SIZE));
	EXPECT_EQ(t, ksm_scan(), 0u);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_OK(t, poke(at, 9));
	EXPECT_EQ(t, peek(at), 9u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 7u);
	/* A late-comer joins, and a fork's entries are found, too, when the page moves. */
	fill_equal(t, at + 5 * PAGE_SIZE, 1, 7);
	EXPECT_EQ(t, ksm_scan(), 1u);
	child = fixture_fork(t, mm);
	EXPECT_OK(t, migrate_found_page(follow_page(mm, at + 5 * PAGE_SIZE, FOLL_LRU), NODE_ANY));
	EXPECT_EQ(t, pfn_at(child, at + PAGE_SIZE), pfn_at(mm, at + 5 * PAGE_SIZE));
	EXPECT_EQ(t, peek_in(child, at + 2 * PAGE_SIZE), 7u);
	EXPECT_OK(t, mm_madvise(mm, at, 6 * PAGE_SIZE, MADV_UNMERGEABLE));
	EXPECT(t, pfn_at(mm, at + PAGE_SIZE) != pfn_at(mm, at + 5 * PAGE_SIZE));
	EXPECT_EQ(t, peek(at + 5 * PAGE_SIZE), 7u);
	EXPECT_OK(t, mm_check(mm));
}

/* Behind a hint they would not be found to be taken apart. */
/* Merging shared pages once let one place's writes appear in the other; and given up ones left the family they were
 * shared by. Linux ignores the one advice and refuses the other there. */
KTEST(vm_pages, shared_memory_is_neither_merged_nor_given_up)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 2, RW | AREA_SHARED);

	EXPECT_OK(t, poke(at, 5));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 5));
	EXPECT_OK(t, mm_madvise(mm, at, 2 * PAGE_SIZE, MADV_MERGEABLE));
	EXPECT_EQ(t, ksm_scan(), 0u);
	EXPECT_OK(t, poke(at, 6));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 5u);
	EXPECT_EQ(t, mm_madvise(mm, at, 2 * PAGE_SIZE, MADV_FREE), -EINVAL);
	EXPECT_OK(t, mm_madvise(mm, at, 2 * PAGE_SIZE, MADV_PAGEOUT));
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, peek_in(child, at), 6u);
	EXPECT_OK(t, poke(at, 7));
	EXPECT_EQ(t, peek_in(child, at), 7u);
}

KTEST(vm_pages, merged_pages_get_no_numa_hints)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW | AREA_MERGEABLE);

	fill_equal(t, at, 3, 7);
	EXPECT_OK(t, poke(at + 3 * PAGE_SIZE, 8));
	EXPECT_EQ(t, ksm_scan(), 2u);
	EXPECT_EQ(t, numa_mark_range(mm, at, 4 * PAGE_SIZE), 1u);
	EXPECT_OK(t, ksm_unmerge(mm, at, 4 * PAGE_SIZE));
	EXPECT(t, pfn_at(mm, at) != pfn_at(mm, at + PAGE_SIZE) && pfn_at(mm, at) != pfn_at(mm, at + 2 * PAGE_SIZE));
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm_pages, ksm_leaves_device_memory_alone)
{
	struct device_memory *device = fixture_coherent(t, 4);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW | AREA_MERGEABLE);

	fill_equal(t, at, 4, 7);
	EXPECT_EQ(t, device_migrate_to(mm, at, 2 * PAGE_SIZE, device), 2);
	EXPECT_EQ(t, ksm_scan(), 1u);
	EXPECT(t, entry_of(mm, at) & PTE_DEVICE);
	EXPECT_EQ(t, device->used, 2u);
}

KTEST(vm_pages, locked_pages_are_there_and_marked)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW), before = anon_pages();

	EXPECT_OK(t, mm_mlock(mm, at + PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(t, anon_pages(), before + 2);
	EXPECT_EQ(t, mm->locked_pages, 2u);
	EXPECT(t, page_is(pfn_to_page(pfn_at(mm, at + PAGE_SIZE)), PAGE_MLOCKED));
	EXPECT_EQ(t, mm_madvise(mm, at, 4 * PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	EXPECT_OK(t, mm_munlock(mm, at, 4 * PAGE_SIZE));
	EXPECT(t, !page_is(pfn_to_page(pfn_at(mm, at + PAGE_SIZE)), PAGE_MLOCKED));
	EXPECT_EQ(t, mm->locked_pages, 0u);
	EXPECT_EQ(t, mm_mlock(mm, at, 5 * PAGE_SIZE), -ENOMEM);
	EXPECT_OK(t, mm_munlock(mm, at, 4 * PAGE_SIZE));
	EXPECT_OK(t, mm_madvise(mm, at, 4 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
}

KTEST(vm_pages, freed_pages_go_unless_written_again)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 3, RW), before = anon_pages();

	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_OK(t, mm_madvise(mm, at, 2 * PAGE_SIZE, MADV_FREE));
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 22));
	EXPECT_OK(t, mm_madvise(mm, at, 3 * PAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(t, peek(at), 0u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 22u);
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 3u);
	EXPECT_EQ(t, anon_pages(), before + 2);
	EXPECT_OK(t, mm_madvise(mm, at, 3 * PAGE_SIZE, MADV_COLD));
	EXPECT(t, !(entry_of(mm, at + PAGE_SIZE) & PTE_ACCESSED));
}

KTEST(vm_pages, a_huge_page_can_be_freed_lazily)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), before = anon_pages();

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_FREE));
	EXPECT_OK(t, mm_madvise(mm, at, HUGE_BYTES, MADV_PAGEOUT));
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, peek(at), 0u);
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm_pages, hints_are_settled_by_the_next_access)
{
	struct device_memory *device = fixture_coherent(t, 4);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW);

	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, device), 1);
	EXPECT_EQ(t, numa_mark_range(mm, at, 4 * PAGE_SIZE), 2u); /* not the device's, not the zero page */
	EXPECT(t, entry_of(mm, at + PAGE_SIZE) & PTE_HINT);
	EXPECT(t, !(entry_of(mm, at) & PTE_HINT));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 20));
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 3u);
	EXPECT(t, !(entry_of(mm, at + PAGE_SIZE) & PTE_HINT));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 20u);
}

KTEST(vm_pages, pages_go_to_the_node_they_should_be_on)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 8, RW), addresses[3] = {at, at + PAGE_SIZE, at + 7 * PAGE_SIZE};
	int nodes[3] = {1, 99, 1}, status[3];

	for (uint64_t i = 0; i < 6; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, mm_mbind(mm, at, 8 * PAGE_SIZE, 99, true), -EINVAL);
	if (memory.nr_nodes < 2) {
		ktest_skip(t, "one node");
		return;
	}
	EXPECT_OK(t, mm_mbind(mm, at, 4 * PAGE_SIZE, 1, true));
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(t, page_node(pfn_to_page(pfn_at(mm, at + i * PAGE_SIZE))), 1);
	EXPECT_EQ(t, mm_migrate_pages(mm, 1, 0), 0);
	EXPECT_EQ(t, page_node(pfn_to_page(pfn_at(mm, at))), 0);
	EXPECT_OK(t, mm_move_pages(mm, 3, addresses, nodes, status));
	EXPECT_EQ(t, status[0], 1);
	EXPECT_EQ(t, status[1], -ENODEV);
	EXPECT_EQ(t, status[2], -ENOENT);
	for (uint64_t i = 0; i < 6; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), i);
	EXPECT_OK(t, mm_check(mm));
}
