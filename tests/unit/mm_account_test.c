/*
 * Accounting: whatever is allocated, free and owned pages add up to what is managed.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "mm/memory.h"

static void expect_sum(struct ktest *t)
{
	struct memory_info info;
	uint64_t sum = 0, reserved;

	memory_info_get(&info);
	reserved = info.by_owner[PAGE_OWNER_RESERVED];
	for (unsigned int owner = 0; owner < NR_PAGE_OWNERS; owner++)
		sum += info.by_owner[owner];
	EXPECT_EQ(t, sum - reserved, info.total);
	EXPECT(t, info.available <= info.free + info.cached);
	EXPECT_EQ(t, info.free + info.cached - info.available, memory_reserve_pages());
}

KTEST(account, free_and_owned_pages_add_up)
{
	struct page *pages[NR_PAGE_OWNERS];
	struct memory_info before, after;

	expect_sum(t);
	memory_info_get(&before);
	for (unsigned int owner = PAGE_OWNER_KERNEL; owner < NR_PAGE_OWNERS; owner++) {
		pages[owner] = alloc_pages(GFP_KERNEL | GFP_OWNER(owner), owner % 5);
		REQUIRE(t, pages[owner]);
	}
	memory_info_get(&after);
	EXPECT_EQ(t, after.by_owner[PAGE_OWNER_DMABUF] - before.by_owner[PAGE_OWNER_DMABUF],
		  1u << PAGE_OWNER_DMABUF % 5);
	expect_sum(t);
	for (unsigned int owner = PAGE_OWNER_KERNEL; owner < NR_PAGE_OWNERS; owner++)
		free_pages(pages[owner], owner % 5);
	expect_sum(t);
}

KTEST(account, every_owner_has_a_name)
{
	for (unsigned int owner = 0; owner < NR_PAGE_OWNERS; owner++)
		EXPECT(t, strlen(page_owner_name(owner)) > 2);
	EXPECT_STR(t, page_owner_name(PAGE_OWNER_SLAB), "slab");
}
