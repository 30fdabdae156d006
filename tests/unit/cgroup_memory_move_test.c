/*
 * The memory controller when groups go and tasks come: what stays charged where, what moves, and many at once.
 */
#include "cgroup/memory_internal.h"

#include "kernel/thread.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/lru.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/memcg_fixture.h"
#include "tests/unit/vm_fixture.h"

KTEST(memcg_move, a_removed_group_keeps_its_pages_until_they_are_freed)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_gone"));
	REQUIRE_OK(t, cgroup_make("mem_gone/below"));
	REQUIRE_OK(t, memcg_write("mem_gone/below", "cgroup.procs", "0"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 8, RW);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	memcg_leave(NULL);
	EXPECT_OK(t, cgroup_remove("mem_gone/below"));
	EXPECT_EQ(t, memcg_used("mem_gone"), 8u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, mm_madvise(mm, at, 4 * PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(t, memcg_used("mem_gone"), 4u);
	EXPECT_OK(t, poke(at, 1)); /* the space is the root's now */
	EXPECT_EQ(t, memcg_used("mem_gone"), 4u);
	EXPECT_OK(t, mm_unmap(mm, at, 8 * PAGE_SIZE));
	EXPECT_EQ(t, memcg_used("mem_gone"), 0u);
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

KTEST(memcg_move, a_task_brings_along_what_it_alone_has)
{
	struct device_memory *device = fixture_coherent(t, 2);
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_both"));
	REQUIRE_OK(t, new_group(t, "mem_both/to"));
	REQUIRE_OK(t, memcg_enter(t, "mem_both/from"));
	mm = fixture_mm(t);
	at = fill_for_move(t, mm, device);
	EXPECT_EQ(t, memcg_used("mem_both/from"), 512 + 1 + 512 + 5u); /* two huge pages, of which the fork has one */
	EXPECT_OK(t, memcg_write("mem_both/to", "cgroup.procs", "0"));
	EXPECT_EQ(t, memcg_used("mem_both/to"), 0u); /* not unless it is asked for */
	EXPECT_OK(t, poke(at + 7 * PAGE_SIZE, 1));
	EXPECT_EQ(t, memcg_used("mem_both/to"), 1u);
	EXPECT_OK(t, memcg_write("mem_both/from", "cgroup.procs", "0"));
	EXPECT_OK(t, memcg_write("mem_both/from", "memory.move_charge_at_immigrate", "1"));
	EXPECT_OK(t, memcg_write("mem_both/to", "memory.move_charge_at_immigrate", "1"));

	EXPECT_OK(t, memcg_write("mem_both/to", "cgroup.procs", "0"));
	EXPECT_EQ(t, memcg_used("mem_both/to"), 1 + 5 + 512u);
	EXPECT_EQ(t, memcg_pages("mem_both/to", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, memcg_used("mem_both/from"), 1 + 512u); /* what the fork maps as well, and what it alone does */
	EXPECT_EQ(t, memcg_pages("mem_both/from", "memory.stat", "anon_thp"), 512u);
	EXPECT_EQ(t, memcg_pages("mem_both", "memory.stat", "anon_thp"), 1024u);
	EXPECT_EQ(t, memcg_used("mem_both"), 2 * 512 + 7u);
	EXPECT_EQ(t, memcg_pages("mem_both", "memory.peak", NULL), 2 * 512 + 7u); /* no moment with both */
	EXPECT_EQ(t, memcg_pages("mem_both/to", "memory.peak", NULL), 1 + 5 + 512u);
	EXPECT_OK(t, vm_check());

	memcg_leave(NULL); /* the root does not ask: all stays */
	EXPECT_EQ(t, memcg_used("mem_both/to"), 1 + 5 + 512u);
	EXPECT_OK(t, poke(at + 8 * PAGE_SIZE, 1));
	EXPECT_EQ(t, memcg_used("mem_both"), 2 * 512 + 7u);
	EXPECT_OK(t, vm_check());
}

static int get_memcg(void *argument)
{
	*(struct mem_cgroup **)argument = memcg_get_current();
	return 0;
}

/* As when pages go or stop being alone between the two walks. */
KTEST(memcg_move, what_was_charged_for_a_move_and_did_not_move_is_given_back)
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
	REQUIRE_OK(t, memcg_enter(t, "mem_rest"));
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
	EXPECT_EQ(t, memcg_used("mem_part"), 1u);
	EXPECT_EQ(t, memcg_used("mem_rest"), 2u);
	EXPECT_OK(t, vm_check());
}

KTEST(memcg_move, a_task_that_does_not_fit_stays_where_it_was)
{
	struct mm *mm;
	uint64_t at;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_tight"));
	REQUIRE_OK(t, memcg_enter(t, "mem_wide"));
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 16, RW);
	for (uint64_t i = 0; i < 9; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_OK(t, memcg_write("mem_tight", "memory.max", "32K"));
	EXPECT_OK(t, memcg_write("mem_tight", "memory.move_charge_at_immigrate", "1"));
	EXPECT_EQ(t, memcg_write("mem_tight", "cgroup.procs", "0"), -ENOMEM);
	EXPECT_EQ(t, memcg_used("mem_tight"), 0u);
	EXPECT_EQ(t, memcg_used("mem_wide"), 9u);
	EXPECT_STR(t, file(ROOT "/mem_tight/cgroup.procs"), "");
	EXPECT_OK(t, poke(at + 9 * PAGE_SIZE, 1));
	EXPECT_EQ(t, memcg_used("mem_wide"), 10u);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, memcg_write("mem_tight", "memory.max", "40K"));
	EXPECT_OK(t, memcg_write("mem_tight", "cgroup.procs", "0"));
	EXPECT_EQ(t, memcg_used("mem_tight"), 10u);
	EXPECT_EQ(t, memcg_used("mem_wide"), 0u);
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
	static const char *const groups[] = {"mem_crowd/a", "mem_crowd/b", "mem_crowd/brief", "mem_crowd"};
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	while (load_acquire(&crowd.running)) {
		uint32_t id = load_acquire(&crowd.ids[rand_below(&rand, WORKERS)]);
		int error = id ? cgroup_move_thread(groups[rand_below(&rand, ARRAY_SIZE(groups))], id) : 0;

		if (error && error != -ENOMEM && error != -ENOENT)
			atomic_inc(&crowd.wrong);
		/* It comes and goes; what it was charged stays until it is freed. */
		if (rand_below(&rand, 4) == 0 && cgroup_make("mem_crowd/brief"))
			(void)!cgroup_remove("mem_crowd/brief");
		if (memcg_used("mem_crowd") > 64 || memcg_used("mem_crowd/a") > 48)
			atomic_inc(&crowd.wrong);
		thread_yield();
	}
}

KTEST(memcg_move, limits_hold_and_nothing_is_lost_whoever_faults_and_moves)
{
	struct thread *threads[WORKERS];
	uint32_t started = 0;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "mem_crowd"));
	REQUIRE_OK(t, new_group(t, "mem_crowd/a"));
	REQUIRE_OK(t, new_group(t, "mem_crowd/b"));
	EXPECT_OK(t, memcg_write("mem_crowd", "memory.max", "256K"));
	EXPECT_OK(t, memcg_write("mem_crowd/a", "memory.max", "192K"));
	EXPECT_OK(t, memcg_write("mem_crowd/a", "memory.move_charge_at_immigrate", "1"));
	EXPECT_OK(t, memcg_write("mem_crowd/b", "memory.move_charge_at_immigrate", "1"));
	(void)fixture_mm(t);
	crowd = (struct crowd){.running = WORKERS};
	for (; started < WORKERS; started++) {
		threads[started] = thread_spawn("crowd", fault_and_drop, (void *)(uintptr_t)started);
		REQUIRE(t, !IS_ERR(threads[started]));
	}
	move_them_about(t);
	while (started)
		EXPECT_OK(t, thread_join(threads[--started]));
	(void)!cgroup_remove("mem_crowd/brief");
	EXPECT_EQ(t, crowd.wrong, 0u);
	EXPECT(t, crowd.faults && crowd.refused);
	EXPECT_EQ(t, memcg_used("mem_crowd"), 0u);
	EXPECT_OK(t, vm_check());
	ktest_note(t, "%lu faults, %lu refused", crowd.faults, crowd.refused);
}
