/*
 * Every allocation on the way of what address spaces do fails in turn, pages and the kernel's own alike: it works all
 * the same or says -ENOMEM, the content is what it was, and with the space goes all that was allocated for it, and all
 * that its group was charged.
 */
#include "kernel/ktest.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device_ram.h"
#include "mm/vm/gup.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/page.h"
#include "tests/host/host.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/vm_fixture.h"

#define PAGES 512u

struct fixture {
	struct ktest *t;
	struct mm *mm, *child;
	uint64_t at; /* a place for a huge page */
	struct page *page;
	struct device_memory *device;
};

struct attempt {
	uint32_t flags;				   /* of the area */
	uint64_t filled;			   /* pages, in every second of which is a word */
	void (*prepare)(struct fixture *fixture);  /* or NULL */
	int64_t (*run)(struct fixture *fixture);   /* -errno, or it worked */
	void (*clean_up)(struct fixture *fixture); /* or NULL */
	uint64_t least;				   /* allocations that there are to fail */
};

static uint64_t word_of(uint64_t page)
{
	return page < 300 ? 5000 + page : 42; /* some are equal */
}

static void begin(struct fixture *fixture, const struct attempt *attempt)
{
	int64_t at;

	fixture->mm = mm_new();
	fixture->child = NULL;
	fixture->page = NULL;
	at = mm_map_anon(fixture->mm, 0, PAGES * PAGE_SIZE, attempt->flags);
	EXPECT(fixture->t, at > 0);
	fixture->at = (uint64_t)at;
	for (uint64_t page = 0; page < attempt->filled; page += 2)
		EXPECT_OK(fixture->t, poke_in(fixture->mm, fixture->at + page * PAGE_SIZE, word_of(page)));
	if (attempt->prepare)
		attempt->prepare(fixture);
}

static void end(struct fixture *fixture, const struct attempt *attempt)
{
	if (attempt->clean_up)
		attempt->clean_up(fixture);
	EXPECT_OK(fixture->t, vm_check());
	if (fixture->child)
		mm_put(fixture->child);
	for (uint64_t page = 0; page < attempt->filled; page += 2)
		EXPECT_EQ(fixture->t, peek_in(fixture->mm, fixture->at + page * PAGE_SIZE), word_of(page));
	mm_put(fixture->mm);
	(void)ksm_scan(); /* forgets what is gone */
}

static uint64_t owned(enum page_owner owner)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[owner];
}

/* One try, in which the @nth allocation fails; how many there were. */
static uint64_t try_once(struct fixture *fixture, const struct attempt *attempt, uint64_t nth)
{
	uint64_t anon = owned(PAGE_OWNER_ANON), tables = owned(PAGE_OWNER_PAGE_TABLE), live = host_live_allocations();
	uint64_t count;
	int64_t result;

	begin(fixture, attempt);
	host_fail_pages(true);
	host_fail_allocation(nth);
	result = attempt->run(fixture);
	count = host_fail_allocation(0);
	host_fail_pages(false);
	if (result < 0)
		EXPECT_EQ(fixture->t, result, -ENOMEM);
	if (result < 0)
		EXPECT(fixture->t, count >= nth);
	end(fixture, attempt);
	EXPECT_EQ(fixture->t, owned(PAGE_OWNER_ANON), anon);
	EXPECT_EQ(fixture->t, owned(PAGE_OWNER_PAGE_TABLE), tables);
	EXPECT_EQ(fixture->t, host_live_allocations(), live);
	return count;
}

static void fail_each(struct ktest *t, const struct attempt *attempt, struct device_memory *device)
{
	struct fixture fixture = {.t = t, .device = device};
	uint64_t nth = 1, live;

	(void)ksm_scan(); /* so that nothing of others' goes meanwhile */
	REQUIRE_OK(t, ensure_cgroups());
	live = host_live_allocations();
	REQUIRE_OK(t, cgroup_make("vm_memory"));
	EXPECT_OK(t, write_file(ROOT "/vm_memory/cgroup.procs", "0"));
	while (try_once(&fixture, attempt, nth) >= nth) {
		EXPECT_STR(t, file(ROOT "/vm_memory/memory.current"), "0\n");
		nth++;
	}
	EXPECT(t, nth > attempt->least);
	EXPECT_OK(t, write_file(ROOT "/cgroup.procs", "0"));
	EXPECT_OK(t, cgroup_remove("vm_memory"));
	EXPECT_EQ(t, host_live_allocations(), live);
}

/* ---- what is tried ---- */

static int64_t new_space(struct fixture *fixture)
{
	struct mm *mm = mm_new();
	int64_t at = mm ? mm_map_anon(mm, 0, PAGE_SIZE, RW) : -ENOMEM;

	(void)fixture;
	if (at > 0)
		at = mm_fault(mm, (uint64_t)at, true);
	if (mm)
		mm_put(mm);
	return at;
}

KTEST(vm_memory, a_space_and_a_fault)
{
	fail_each(t, &(struct attempt){.flags = RW, .run = new_space, .least = 7}, NULL);
}

static int64_t fault_huge(struct fixture *fixture)
{
	return mm_fault(fixture->mm, fixture->at + 9 * PAGE_SIZE, true);
}

KTEST(vm_memory, a_huge_fault_does_with_a_small_page)
{
	fail_each(t, &(struct attempt){.flags = RW | AREA_HUGE, .run = fault_huge, .least = 4}, NULL);
}

static void pin_one(struct fixture *fixture)
{
	EXPECT_EQ(fixture->t,
		  get_user_pages(fixture->mm, fixture->at + 4 * PAGE_SIZE, 1, FOLL_WRITE | FOLL_PIN, &fixture->page),
		  1);
}

static void unpin(struct fixture *fixture)
{
	unpin_user_page(fixture->page);
}

static int64_t fork_it(struct fixture *fixture)
{
	struct mm *child = mm_fork(fixture->mm);

	if (IS_ERR(child))
		return PTR_ERR(child);
	fixture->child = child;
	return 0;
}

KTEST(vm_memory, a_fork_with_a_pinned_page)
{
	fail_each(t,
		  &(struct attempt){
			  .flags = RW, .filled = 20, .prepare = pin_one, .run = fork_it, .clean_up = unpin, .least = 7},
		  NULL);
}

KTEST(vm_memory, a_fork_with_a_huge_page)
{
	fail_each(t, &(struct attempt){.flags = RW | AREA_HUGE, .filled = 20, .run = fork_it, .least = 6}, NULL);
}

static int64_t protect_the_middle(struct fixture *fixture)
{
	return mm_protect(fixture->mm, fixture->at + 5 * PAGE_SIZE, 10 * PAGE_SIZE, AREA_READ);
}

KTEST(vm_memory, rights_of_a_part)
{
	fail_each(t, &(struct attempt){.flags = RW | AREA_HUGE, .filled = 20, .run = protect_the_middle, .least = 2},
		  NULL);
}

static int64_t unmap_behind(struct fixture *fixture)
{
	return mm_unmap(fixture->mm, fixture->at + 100 * PAGE_SIZE, 10 * PAGE_SIZE);
}

KTEST(vm_memory, a_hole)
{
	fail_each(t, &(struct attempt){.flags = RW | AREA_HUGE, .filled = 20, .run = unmap_behind, .least = 2}, NULL);
}

static int64_t collapse(struct fixture *fixture)
{
	return huge_collapse(fixture->mm, fixture->at);
}

KTEST(vm_memory, a_collapse)
{
	fail_each(t, &(struct attempt){.flags = RW, .filled = PAGES, .run = collapse, .least = 2}, NULL);
}

static int64_t migrate(struct fixture *fixture)
{
	struct page *page = follow_page(fixture->mm, fixture->at, FOLL_LRU);

	return page ? migrate_found_page(page, NODE_ANY) : -ENOENT;
}

KTEST(vm_memory, a_migration)
{
	fail_each(t, &(struct attempt){.flags = RW, .filled = 2, .run = migrate, .least = 1}, NULL);
	fail_each(t, &(struct attempt){.flags = RW | AREA_HUGE, .filled = 2, .run = migrate, .least = 1}, NULL);
}

static int64_t lock(struct fixture *fixture)
{
	return mm_mlock(fixture->mm, fixture->at + 3 * PAGE_SIZE, 8 * PAGE_SIZE);
}

KTEST(vm_memory, locking)
{
	fail_each(t, &(struct attempt){.flags = RW, .filled = 6, .run = lock, .least = 5}, NULL);
}

static void fork_before(struct fixture *fixture)
{
	EXPECT_OK(fixture->t, (int)fork_it(fixture));
}

static int64_t pin_shared(struct fixture *fixture)
{
	int64_t count = get_user_pages(fixture->mm, fixture->at, 1, FOLL_WRITE | FOLL_PIN, &fixture->page);

	if (count == 1)
		unpin_user_page(fixture->page);
	return count;
}

KTEST(vm_memory, pinning_what_a_fork_shares)
{
	fail_each(t, &(struct attempt){.flags = RW, .filled = 4, .prepare = fork_before, .run = pin_shared, .least = 1},
		  NULL);
	fail_each(t,
		  &(struct attempt){
			  .flags = RW | AREA_HUGE, .filled = 4, .prepare = fork_before, .run = pin_shared, .least = 1},
		  NULL);
}

static int64_t merge(struct fixture *fixture)
{
	(void)fixture;
	return (int64_t)ksm_scan();
}

KTEST(vm_memory, merging)
{
	fail_each(t, &(struct attempt){.flags = RW | AREA_MERGEABLE, .filled = 310, .run = merge, .least = 20}, NULL);
}

static int64_t to_device_and_back(struct fixture *fixture)
{
	int64_t moved = device_migrate_to(fixture->mm, fixture->at, 8 * PAGE_SIZE, fixture->device);

	return moved < 0 ? moved : device_migrate_back(fixture->mm, fixture->at, 8 * PAGE_SIZE);
}

KTEST(vm_memory, to_a_device_and_back)
{
	fail_each(t, &(struct attempt){.flags = RW, .filled = 8, .run = to_device_and_back, .least = 4},
		  fixture_coherent(t, 16));
}
