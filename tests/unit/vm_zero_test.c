/*
 * Anonymous pages that are all zeros: reclaim takes them, and nobody who writes meanwhile loses a byte.
 */
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/lru.h"
#include "mm/memory.h"
#include "mm/reclaim.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "mm/vmstat.h"
#include "tests/unit/mm_fixture.h"
#include "tests/unit/vm_fixture.h"

static void set(struct ktest *t, const char *value)
{
	EXPECT_OK(t, vfile_write("/proc/sys/vm/reclaim_zero_pages", value, strlen(value)));
}

static void off(void *argument)
{
	set(argument, "0");
}

static void look_for_zeros(struct ktest *t)
{
	fixture_memory_files(t);
	set(t, "1");
	ktest_defer(t, off, t);
}

/* What reclaim does with the page at an address when it comes to it; whether it went. */
static bool reclaim_at(struct mm *mm, uint64_t address)
{
	struct page *page = follow_page(mm, address, FOLL_LRU);
	bool isolated = page && lru_isolate(page);

	if (page)
		page_put(page);
	return isolated && reclaim_isolated(page, false);
}

static bool shows_zeros(struct mm *mm, uint64_t address)
{
	return (entry_of(mm, address) & PTE_SPECIAL) && pte_pfn(entry_of(mm, address)) == zero_page_pfn;
}

KTEST(vm_zero, pages_of_zeros_go_and_are_zeros)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 4, RW), last = PAGE_SIZE - sizeof(uint64_t), before, events;

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 0));
	EXPECT_OK(t, poke(at + last, 1));
	EXPECT_OK(t, mm_protect(mm, at + 3 * PAGE_SIZE, PAGE_SIZE, 0));
	child = fixture_fork(t, mm);
	before = anon_pages();
	events = vm_event_read(VM_EVENT_swpout_zero);
	EXPECT(t, !reclaim_at(mm, at + PAGE_SIZE)); /* nobody asked for it */
	look_for_zeros(t);
	EXPECT(t, !reclaim_at(mm, at)); /* not all zeros */
	for (uint64_t i = 1; i < 4; i++)
		EXPECT(t, reclaim_at(mm, at + i * PAGE_SIZE));
	EXPECT_EQ(t, anon_pages(), before - 3);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_swpout_zero), events + 3);
	EXPECT(t, shows_zeros(mm, at + PAGE_SIZE) && shows_zeros(child, at + PAGE_SIZE));
	EXPECT(t, entry_of(mm, at + PAGE_SIZE) & PTE_SOFT_DIRTY); /* it was written to */
	EXPECT_OK(t, mm_check(mm));

	EXPECT_EQ(t, peek(at + last), 1u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 7));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 7u);
	EXPECT_EQ(t, peek_in(child, at + PAGE_SIZE), 0u);
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), UINT64_MAX);
	EXPECT_OK(t, mm_protect(mm, at + 3 * PAGE_SIZE, PAGE_SIZE, RW));
	EXPECT_OK(t, poke(at + 3 * PAGE_SIZE, 8));
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), 8u);
}

static void pass(bool gently)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct reclaim reclaim = {.node = &memory.nodes[node],
					  .highest = NR_ZONE_TYPES - 1,
					  .wanted = UINT64_MAX,
					  .gently = gently};

		reclaim_node(&reclaim);
	}
}

KTEST(vm_zero, a_pass_finds_them)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 64, RW), before = anon_pages();

	for (uint64_t i = 0; i < 64; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i < 40 ? 0 : i));
	look_for_zeros(t);
	pass(true); /* gently: none */
	EXPECT_EQ(t, anon_pages(), before + 64);
	pass(false);
	EXPECT_EQ(t, anon_pages(), before + 24);
	for (uint64_t i = 0; i < 64; i++)
		EXPECT_EQ(t, peek(at + i * PAGE_SIZE), i < 40 ? 0 : i);
}

KTEST(vm_zero, a_huge_page_of_zeros_goes_as_a_whole)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE), before = anon_pages();

	look_for_zeros(t);
	EXPECT_OK(t, poke(at, 0));
	REQUIRE(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_OK(t, poke(at + HUGE_BYTES - 8, 1));
	EXPECT(t, !reclaim_at(mm, at));
	EXPECT(t, entry_of(mm, at) & PTE_HUGE);
	EXPECT_OK(t, poke(at + HUGE_BYTES - 8, 0));
	EXPECT(t, reclaim_at(mm, at));
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_EQ(t, mm->counters[MM_HUGE], 0);
	EXPECT_OK(t, mm_check(mm));
	EXPECT(t, shows_zeros(mm, at) && shows_zeros(mm, at + HUGE_BYTES - PAGE_SIZE));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 5));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 5u);
	EXPECT_EQ(t, peek(at + HUGE_BYTES - 8), 0u);
}

KTEST(vm_zero, what_others_hold_share_or_locked_stays)
{
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = fixture_area(t, mm, 2, RW), shared = fixture_area(t, mm, 1, RW | AREA_SHARED);
	struct page *pinned;

	look_for_zeros(t);
	EXPECT_EQ(t, get_user_pages(mm, at, 1, FOLL_WRITE | FOLL_PIN, &pinned), 1);
	EXPECT(t, !reclaim_at(mm, at));
	*(uint64_t *)page_bytes(pinned) = 3;
	EXPECT_EQ(t, peek(at), 3u);
	*(uint64_t *)page_bytes(pinned) = 0;
	unpin_user_page(pinned);
	EXPECT(t, reclaim_at(mm, at));

	EXPECT_OK(t, mm_mlock(mm, at + PAGE_SIZE, PAGE_SIZE));
	EXPECT(t, !reclaim_at(mm, at + PAGE_SIZE));

	EXPECT_OK(t, poke(shared, 0));
	EXPECT(t, !reclaim_at(mm, shared));
	child = fixture_fork(t, mm);
	EXPECT_OK(t, poke(shared, 4));
	EXPECT_EQ(t, peek_in(child, shared), 4u);
}

/* ---- writers against reclaim ---- */

#define WRITERS 3u
#define PAGES	8u /* of each */
#define WORDS	2u /* at both ends of a page */

static struct {
	struct mm *mm;
	uint64_t at, lost;
	bool stop;
} race;

static uint64_t word_address(uint64_t writer, uint32_t which)
{
	return race.at + (writer * PAGES + which / WORDS) * PAGE_SIZE + which % WORDS * (PAGE_SIZE - sizeof(uint64_t));
}

static int write_all_the_time(void *argument)
{
	uint64_t writer = (uintptr_t)argument, words[PAGES * WORDS] = {0};
	struct rand rand;

	rand_seed(&rand, writer + 1);
	mm_use(race.mm);
	while (!load_relaxed(&race.stop)) {
		uint32_t which = (uint32_t)rand_below(&rand, PAGES * WORDS);

		if (peek(word_address(writer, which)) != words[which])
			atomic_inc(&race.lost);
		words[which] = words[which] || rand_below(&rand, 2) ? 0 : 1 + rand_u64(&rand) / 2;
		if (poke(word_address(writer, which), words[which]))
			atomic_inc(&race.lost);
	}
	mm_use(NULL);
	return 0;
}

KTEST(vm_zero, writers_lose_nothing_to_reclaim)
{
	uint64_t wanted = 150, went = 0, end_ns = time_ns() + 60 * NS_PER_S;
	struct thread *threads[WRITERS];
	uint64_t started = 0;

	race.mm = fixture_mm(t);
	race.at = fixture_area(t, race.mm, WRITERS * PAGES, RW);
	race.lost = 0;
	race.stop = false;
	look_for_zeros(t);
	for (; started < WRITERS; started++) {
		threads[started] = thread_spawn("writer", write_all_the_time, (void *)(uintptr_t)started);
		if (IS_ERR(threads[started]))
			break;
	}
	EXPECT_EQ(t, started, WRITERS);
	for (uint64_t page = 0; went < wanted && time_ns() < end_ns && !load_relaxed(&race.lost); page++)
		went += reclaim_at(race.mm, race.at + page % (WRITERS * PAGES) * PAGE_SIZE);
	store_relaxed(&race.stop, true);
	while (started)
		thread_join(threads[--started]);
	EXPECT_EQ(t, race.lost, 0u);
	EXPECT_EQ(t, went, wanted);
}
