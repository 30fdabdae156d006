/*
 * Anonymous pages on LRU lists: which list, who takes them off it, what moves and what is dropped.
 */
#include "mm/contig.h"
#include "mm/daemon.h"
#include "mm/memory.h"
#include "mm/page_cache.h"
#include "mm/reclaim.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"
#include "mm/vmstat.h"
#include "tests/unit/vm_fixture.h"

static struct page *page_at(struct mm *mm, uint64_t address)
{
	return pfn_to_page(pte_pfn(entry_of(mm, address)));
}

static uint64_t owned_by_test(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_TEST];
}

static uint64_t lazy_pages(void)
{
	return lru_pages(LRU_INACTIVE_FILE);
}

/* One pass with all its might; what it freed. */
static uint64_t reclaim_all(uint64_t *scanned)
{
	struct reclaim reclaim = {.highest = NR_ZONE_TYPES - 1, .wanted = UINT64_MAX};

	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		reclaim.node = &memory.nodes[node];
		reclaim_node(&reclaim);
	}
	*scanned = reclaim.scanned;
	return reclaim.reclaimed;
}

/* Empties the pages' place, as compaction does and CMA; whether it worked. */
static int push_away(struct page *page)
{
	uint64_t pfn = page_to_pfn(page), pages = 1ul << page_order(page);
	int error = alloc_contig_range(pfn, pfn + pages, GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST));

	if (!error)
		free_contig_range(pfn, pages);
	return error;
}

KTEST(vm_lru, anonymous_pages_are_on_a_list_while_they_live)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 1024, RW | AREA_HUGE), before = lru_pages(LRU_INACTIVE_ANON);

	EXPECT_OK(t, poke(at, 1));
	REQUIRE(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before + 512);
	EXPECT_OK(t, mm_madvise(mm, at + HUGE_BYTES, HUGE_BYTES, MADV_NOHUGEPAGE));
	EXPECT_OK(t, poke(at + HUGE_BYTES, 1));
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before + 513);
	EXPECT_EQ(t, huge_split_range(mm, at, HUGE_BYTES), 1u);
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before + 513);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, huge_collapse(mm, at));
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before + 513);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_unmap(mm, at, 2 * HUGE_BYTES));
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before);
}

KTEST(vm_lru, locked_pages_are_unevictable_until_unlocked_or_unmapped)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW), before = lru_pages(LRU_UNEVICTABLE);

	EXPECT_OK(t, mm_mlock(mm, at, 3 * PAGE_SIZE));
	EXPECT_EQ(t, lru_pages(LRU_UNEVICTABLE), before + 3);
	EXPECT_OK(t, push_away(page_at(mm, at)));
	EXPECT_EQ(t, lru_pages(LRU_UNEVICTABLE), before + 3);
	child = fixture_fork(t, mm);
	EXPECT_OK(t, poke(at, 1)); /* a copy, locked like the original */
	EXPECT(t, page_is(page_at(mm, at), PAGE_MLOCKED));
	EXPECT_OK(t, mm_munlock(mm, at, PAGE_SIZE));
	EXPECT_OK(t, mm_unmap(mm, at + PAGE_SIZE, 2 * PAGE_SIZE));
	EXPECT_EQ(t, lru_pages(LRU_UNEVICTABLE), before);
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 0u);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_lru, pages_move_out_of_the_way_and_are_counted_once)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), small = fixture_area(t, mm, 1, RW), before, huge_pfn;

	EXPECT_OK(t, poke(small, 7));
	EXPECT_OK(t, poke(at + 9 * PAGE_SIZE, 9));
	child = fixture_fork(t, mm);
	huge_pfn = pte_pfn(entry_of(mm, at));
	daemons_hold();
	before = vm_event_read(VM_EVENT_pgmigrate_success);
	EXPECT_OK(t, push_away(page_at(mm, small)));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_pgmigrate_success), before + 1);
	EXPECT_OK(t, push_away(page_at(mm, at)));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_pgmigrate_success), before + 513);
	daemons_release();
	EXPECT(t, pte_pfn(entry_of(mm, at)) != huge_pfn);
	EXPECT_EQ(t, entry_of(mm, at) & PTE_HUGE, PTE_HUGE);
	EXPECT_EQ(t, peek(small), 7u);
	EXPECT_EQ(t, peek_in(child, at + 9 * PAGE_SIZE), 9u);
	EXPECT_OK(t, poke(small, 8));
	EXPECT_EQ(t, peek_in(child, small), 7u);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_lru, a_pinned_page_stays_in_the_way)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 1, RW), pfn;
	struct page *page;

	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE | FOLL_PIN, &page), 1);
	pfn = page_to_pfn(page);
	EXPECT_EQ(t, push_away(page), -EBUSY);
	EXPECT_EQ(t, pte_pfn(entry_of(mm, at)), pfn);
	*(uint64_t *)page_bytes(page) = 5;
	EXPECT_EQ(t, peek(at), 5u);
	unpin_user_page(page);
	EXPECT_OK(t, push_away(page));
	EXPECT_EQ(t, peek(at), 5u);
}

KTEST(vm_lru, merged_pages_move_with_all_their_places)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 3, RW | AREA_MERGEABLE), pfn;

	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 77));
	EXPECT_EQ(t, ksm_scan(), 2u);
	pfn = pte_pfn(entry_of(mm, at));
	EXPECT_OK(t, push_away(pfn_to_page(pfn)));
	EXPECT(t, pte_pfn(entry_of(mm, at)) != pfn);
	EXPECT_EQ(t, pte_pfn(entry_of(mm, at)), pte_pfn(entry_of(mm, at + 2 * PAGE_SIZE)));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 77u);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_lru, what_nobody_may_touch_stays_so_when_it_moves)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW);

	EXPECT_OK(t, poke(at, 3));
	EXPECT_OK(t, mm_protect(mm, at, PAGE_SIZE, 0));
	EXPECT_OK(t, push_away(page_at(mm, at)));
	EXPECT_EQ(t, peek(at), UINT64_MAX);
	EXPECT_OK(t, mm_protect(mm, at, PAGE_SIZE, RW));
	EXPECT_EQ(t, peek(at), 3u);
}

KTEST(vm_lru, only_what_was_given_up_is_scanned)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 64, RW), before = anon_pages(), scanned;

	for (uint64_t i = 0; i < 64; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i + 1));
	daemons_hold();
	page_cache_drop();
	EXPECT_EQ(t, lazy_pages(), 0u);
	reclaim_all(&scanned);
	EXPECT_EQ(t, scanned, 0u);
	EXPECT_OK(t, mm_madvise(mm, at, 32 * PAGE_SIZE, MADV_FREE));
	EXPECT_EQ(t, lazy_pages(), 32u);
	EXPECT_OK(t, poke(at, 99)); /* in use after all */
	page_cache_drop();	    /* is about files */
	EXPECT_EQ(t, anon_pages(), before + 64);
	EXPECT_EQ(t, reclaim_all(&scanned), 31u);
	EXPECT_EQ(t, scanned, 32u);
	EXPECT_EQ(t, anon_pages(), before + 33);
	EXPECT_EQ(t, lazy_pages(), 0u);
	daemons_release();
	EXPECT_EQ(t, peek(at), 99u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
	EXPECT_EQ(t, peek(at + 32 * PAGE_SIZE), 33u);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_lru, what_was_given_up_stays_so_when_it_moves)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW), scanned;

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_OK(t, mm_madvise(mm, at, 2 * PAGE_SIZE, MADV_FREE));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 3));
	EXPECT_OK(t, push_away(page_at(mm, at)));
	EXPECT_OK(t, push_away(page_at(mm, at + PAGE_SIZE)));
	reclaim_all(&scanned);
	EXPECT_EQ(t, peek(at), 0u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 3u);
}

/* Found by the stress: the others would have lost their content with it. */
KTEST(vm_lru, what_was_given_up_is_not_merged_into)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW | AREA_MERGEABLE), scanned;

	EXPECT_OK(t, poke(at, 7));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 7));
	EXPECT_OK(t, mm_madvise(mm, at, PAGE_SIZE, MADV_FREE));
	(void)ksm_scan();
	reclaim_all(&scanned);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 7u);
}

KTEST(vm_lru, device_memory_is_on_no_list)
{
	struct device_memory *device = fixture_coherent(t, 4);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW), before = lru_pages(LRU_INACTIVE_ANON);

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 4 * PAGE_SIZE, device), 4);
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before);
	EXPECT(t, !page_is(page_at(mm, at), PAGE_ON_LRU));
	EXPECT_OK(t, vm_check());
	EXPECT_EQ(t, device_migrate_back(mm, at, 4 * PAGE_SIZE), 4);
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), before + 4);
	EXPECT_OK(t, vm_check());
}

/* ---- the check itself ---- */

KTEST(vm_lru, the_check_sees_what_is_wrong)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW);
	struct page *page;

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, vm_check());
	page = page_at(mm, at);
	page_get(page);
	EXPECT_EQ(t, vm_check(), -EINVAL);
	page_map_many(page, 1);
	EXPECT_EQ(t, vm_check(), -EINVAL);
	page_unmapped(page);
	page_put(page);
	EXPECT_OK(t, vm_check());
	EXPECT(t, lru_isolate(page));
	EXPECT_EQ(t, vm_check(), -EINVAL);
	lru_put_back(page);
	EXPECT(t, lru_remove(page));
	EXPECT_EQ(t, vm_check(), -EINVAL);
	lru_add(page);
	EXPECT_OK(t, vm_check());
}

/* Zapping a table's worth puts all its references at once. */
KTEST(vm_lru, a_batch_of_references_frees_those_that_were_the_last)
{
	struct device_memory *device = fixture_coherent(t, 1);
	uint64_t listed = lru_pages(LRU_INACTIVE_ANON), tested = owned_by_test();
	struct page *pages[5], *held, *other;

	for (unsigned int i = 0; i < 4; i++) {
		pages[i] = alloc_pages(GFP_USER | GFP_OWNER(i < 3 ? PAGE_OWNER_ANON : PAGE_OWNER_TEST), 0);
		REQUIRE(t, pages[i]);
	}
	pages[4] = device_page_alloc(device);
	REQUIRE(t, pages[4]);
	lru_add(pages[0]);
	lru_add(pages[1]); /* the third is on no list */
	page_get(pages[1]);
	page_get(pages[3]);
	held = pages[1];
	other = pages[3];
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), listed + 2);
	page_put_all(pages, ARRAY_SIZE(pages));
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), listed + 1);
	EXPECT(t, page_is(held, PAGE_ON_LRU) && held->refcount == 1 && other->refcount == 1);
	EXPECT_EQ(t, device->used, 0u);
	EXPECT_EQ(t, owned_by_test(), tested + 1);
	page_put(held);
	page_put(other);
	EXPECT_EQ(t, lru_pages(LRU_INACTIVE_ANON), listed);
	EXPECT_EQ(t, owned_by_test(), tested);
	EXPECT_OK(t, memory_check());
}
