/*
 * Pages by address: what follow_page() and get_user_pages() give to whom, and what a pin does.
 */
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/rmap.h"
#include "tests/unit/vm_fixture.h"

KTEST(vm_gup, every_kind_of_entry_has_its_answer)
{
	struct device_memory *device = fixture_coherent(t, 2);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW), word;
	struct page *page;

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_EQ(t, device_migrate_to(mm, at + PAGE_SIZE, PAGE_SIZE, device), 1);
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 0u);

	for (uint32_t flags = 0; flags <= FOLL_LRU; flags += FOLL_LRU) {
		page = follow_page(mm, at, flags);
		REQUIRE(t, page);
		EXPECT_EQ(t, page->refcount, 2u);
		page_put(page);
		EXPECT(t, !follow_page(mm, at + 2 * PAGE_SIZE, flags)); /* the zero page */
		EXPECT(t, !follow_page(mm, at + 3 * PAGE_SIZE, flags)); /* nothing */
		EXPECT(t, !follow_page(mm, at + 4 * PAGE_SIZE, flags)); /* no area */
	}
	page = follow_page(mm, at + PAGE_SIZE, 0);
	REQUIRE(t, page);
	EXPECT(t, page_is(page, PAGE_DEVICE));
	page_put(page);
	EXPECT(t, !follow_page(mm, at + PAGE_SIZE, FOLL_LRU));
	EXPECT(t, !follow_page(mm, at + PAGE_SIZE, FOLL_MLOCK));
	EXPECT_EQ(t, get_user_pages(mm, at + PAGE_SIZE, 1, FOLL_LRU, &page), -EINVAL);

	/* The gate: in no area, yet a page. */
	EXPECT(t, !follow_page(mm, GATE_START, 0));
	EXPECT_OK(t, user_read(&word, GATE_START, sizeof(word)));
	EXPECT_EQ(t, user_write(GATE_START, &word, sizeof(word)), -EFAULT);
	page = follow_page(mm, GATE_START, 0);
	REQUIRE(t, page);
	page_put(page);
}

KTEST(vm_gup, getting_pages_faults_them_in)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW), shared;
	struct page *pages[8];

	EXPECT_OK(t, poke(at, 7));
	child = fixture_fork(t, mm);
	shared = pte_pfn(entry_of(mm, at));
	EXPECT_EQ(t, get_user_pages(mm, at, 8, FOLL_WRITE, pages), 4);
	EXPECT(t, page_to_pfn(pages[0]) != shared); /* copied first */
	EXPECT_EQ(t, *(uint64_t *)page_bytes(pages[0]), 7u);
	*(uint64_t *)page_bytes(pages[1]) = 99;
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 99u);
	EXPECT_EQ(t, peek_in(child, at), 7u);
	for (size_t i = 0; i < 4; i++)
		page_put(pages[i]);
	EXPECT_EQ(t, get_user_pages(mm, at + 4 * PAGE_SIZE, 1, 0, pages), -EFAULT);
	EXPECT_EQ(t, get_user_pages(child, at + PAGE_SIZE, 1, FOLL_NOFAULT, pages), -EFAULT);
	/* The zero page is not given out: the address gets its own. */
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 0u);
	EXPECT_EQ(t, get_user_pages(child, at + PAGE_SIZE, 1, 0, pages), 1);
	EXPECT(t, page_to_pfn(pages[0]) != zero_page_pfn);
	page_put(pages[0]);
}

/* It once gave out what mprotect() had closed: the entry, of which only the right to be present was gone, still led to
 * the page. */
KTEST(vm_gup, an_area_without_the_right_gives_no_page)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 3, RW);
	struct page *pages[3];

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_OK(t, mm_protect(mm, at, PAGE_SIZE, AREA_READ));
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE, pages), -EFAULT);
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE | FOLL_PIN | FOLL_LONGTERM, pages), -EFAULT);
	EXPECT_OK(t, mm_protect(mm, at + PAGE_SIZE, 2 * PAGE_SIZE, 0));
	EXPECT_EQ(t, get_user_pages(mm, at + PAGE_SIZE, 1, 0, pages), -EFAULT);
	EXPECT_EQ(t, get_user_pages(mm, at + PAGE_SIZE, 1, FOLL_NOFAULT, pages), -EFAULT);
	EXPECT_EQ(t, get_user_pages(mm, at + 2 * PAGE_SIZE, 1, 0, pages), -EFAULT);
	EXPECT_EQ(t, get_user_pages(mm, at, 3, 0, pages), 1); /* up to the first that is closed */
	EXPECT_EQ(t, *(uint64_t *)page_bytes(pages[0]), 1u);
	page_put(pages[0]);
	/* Who looks pages up to move them is not asked for rights. */
	pages[1] = follow_page(mm, at + PAGE_SIZE, FOLL_LRU);
	REQUIRE(t, pages[1]);
	page_put(pages[1]);
}

KTEST(vm_gup, a_pinned_page_stays_its_owners_over_a_fork)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), small = fixture_area(t, mm, 1, RW);
	struct page *pages[2];

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(small, 2));
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE | FOLL_PIN, &pages[0]), 1);
	EXPECT_EQ(t, get_user_pages(mm, small, 1, FOLL_WRITE | FOLL_PIN, &pages[1]), 1);
	child = fixture_fork(t, mm);
	EXPECT_OK(t, poke(at, 11));
	EXPECT_OK(t, poke(small, 22));
	/* The device sees what the owner writes. */
	EXPECT_EQ(t, *(uint64_t *)page_bytes(pages[0]), 11u);
	EXPECT_EQ(t, *(uint64_t *)page_bytes(pages[1]), 22u);
	EXPECT_EQ(t, peek_in(child, at), 1u);
	EXPECT_EQ(t, peek_in(child, small), 2u);
	unpin_user_page(pages[0]);
	unpin_user_page(pages[1]);
	EXPECT_OK(t, mm_check(mm));
}

KTEST(vm_gup, a_long_pin_first_moves_a_coherent_page_to_ram)
{
	struct device_memory *device = fixture_coherent(t, 2);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW);
	struct page *page;

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_EQ(t, device_migrate_to(mm, at, 2 * PAGE_SIZE, device), 2);
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_PIN, &page), 1); /* a short one leaves it there */
	EXPECT(t, page_is(page, PAGE_DEVICE));
	unpin_user_page(page);
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_PIN | FOLL_LONGTERM, &page), 1);
	EXPECT(t, !page_is(page, PAGE_DEVICE));
	EXPECT_EQ(t, *(uint64_t *)page_bytes(page), 1u);
	EXPECT_EQ(t, device->used, 1u);
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, device), 0); /* pinned: it stays */
	EXPECT_EQ(t, peek(at), 1u);
	unpin_user_page(page);
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, device), 1);
}

/* Two frames that are mapped without their structures, then a page. */

struct frames {
	struct page *block; /* three pages */
	unsigned int opened;
};

static bool frame_of(struct area *area, uint64_t index, uint64_t *pfn)
{
	const struct frames *frames = area->object;

	*pfn = page_to_pfn(frames->block) + index;
	return index < 2;
}

static struct page *page_of(struct area *area, uint64_t index)
{
	struct frames *frames = area->object;

	if (index != 2)
		return ERR_PTR(-EFAULT);
	page_get(&frames->block[2]);
	return &frames->block[2];
}

static void opened(struct area *area)
{
	((struct frames *)area->object)->opened++;
}

static void closed(struct area *area)
{
	((struct frames *)area->object)->opened--;
}

static void free_frames(void *argument)
{
	struct frames *frames = argument;

	for (size_t i = 0; i < 4; i++)
		free_pages(&frames->block[i], 0);
}

static struct frames test_frames;

static uint64_t frames_area(struct ktest *t, struct mm *mm, uint32_t flags)
{
	static const struct area_ops ops = {
		.name = "frames", .frame = frame_of, .page = page_of, .open = opened, .close = closed};
	struct mapping_request request = {
		.bytes = 4 * PAGE_SIZE, .flags = RW | AREA_MIXEDMAP | flags, .ops = &ops, .object = &test_frames};
	int64_t at;

	test_frames.block = alloc_pages(GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_TEST), 2);
	if (!test_frames.block)
		return 0;
	split_page(test_frames.block, 0);
	at = mm_map(mm, &request);
	EXPECT(t, at > 0);
	return (uint64_t)at;
}

KTEST(vm_gup, mixed_mappings_have_frames_with_and_without_pages)
{
	struct mm *mm, *child;
	uint64_t at;
	struct page *page;

	ktest_defer(t, free_frames, &test_frames);
	mm = fixture_mm(t);
	at = frames_area(t, mm, AREA_SHARED);
	REQUIRE(t, at);
	EXPECT_OK(t, poke(at, 5));
	EXPECT_OK(t, poke(at + 2 * PAGE_SIZE, 6));
	EXPECT_EQ(t, *(uint64_t *)page_bytes(test_frames.block), 5u);
	EXPECT_EQ(t, poke(at + 3 * PAGE_SIZE, 1), -EFAULT);
	EXPECT(t, entry_of(mm, at) & PTE_SPECIAL);
	EXPECT(t, !follow_page(mm, at, 0));
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE, &page), -EFAULT);
	page = follow_page(mm, at + 2 * PAGE_SIZE, 0);
	EXPECT(t, page == &test_frames.block[2]);
	page_put(page);
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, peek_in(child, at), 5u);
	EXPECT_EQ(t, test_frames.opened, 2u);
	EXPECT_OK(t, mm_unmap(mm, at + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(t, test_frames.opened, 3u);
	EXPECT_EQ(t, vm_bad_entries(), 0u);
}

KTEST(vm_gup, a_private_write_to_a_raw_frame_copies_it)
{
	struct mm *mm;
	uint64_t at;

	ktest_defer(t, free_frames, &test_frames);
	mm = fixture_mm(t);
	at = frames_area(t, mm, 0);
	REQUIRE(t, at);
	*(uint64_t *)page_address(test_frames.block) = 44;
	EXPECT_EQ(t, peek(at), 44u);
	EXPECT_OK(t, poke(at + 8, 45));
	EXPECT_EQ(t, peek(at), 44u);
	EXPECT_EQ(t, *((uint64_t *)page_address(test_frames.block) + 1), 0u);
	EXPECT(t, !(entry_of(mm, at) & PTE_SPECIAL));
	EXPECT_OK(t, poke(at + 2 * PAGE_SIZE, 1));
	EXPECT_EQ(t, test_frames.block[2].mapcount, 0u);
}
