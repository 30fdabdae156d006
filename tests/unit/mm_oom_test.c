/*
 * Out of memory: who may fail fails, who may not ends with the report, and memory kept for such times is asked for.
 */
#include "mm/oom.h"

#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/cache_tree.h"
#include "mm/page_cache.h"
#include "mm/shrinker.h"
#include "mm/vmstat.h"

#define GFP_GREEDY (GFP_NOWAIT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST))

/* All memory, in a chain through the pages' own bytes. */
static struct page *taken;

static void give_all_back(void *nothing UNUSED)
{
	while (taken) {
		struct page *page = taken;

		taken = (struct page *)page->private;
		free_pages(page, page_order(page));
	}
}

static void take_all(struct ktest *t)
{
	ktest_defer(t, give_all_back, NULL);
	shrink_all(0);
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		for (struct page *page; (page = alloc_pages(GFP_GREEDY, order)); taken = page)
			page->private = (uint64_t)taken;
}

static uint64_t asked, kept;

static uint64_t give_some(struct oom_notifier *notifier UNUSED, uint64_t wanted)
{
	uint64_t pages = 0;

	asked++;
	for (; taken && kept && pages < wanted; kept--) {
		struct page *page = taken;

		taken = (struct page *)page->private;
		pages += 1u << page_order(page);
		free_pages(page, page_order(page));
	}
	return pages;
}

static struct oom_notifier notifier = {.name = "test", .give = give_some};

static void unregister(void *nothing UNUSED)
{
	oom_notifier_unregister(&notifier);
}

KTEST(oom, who_may_fail_fails_and_is_counted)
{
	uint64_t kills = vm_event_read(VM_EVENT_oom_kill);

	take_all(t);
	EXPECT(t, !alloc_pages(GFP_KERNEL | GFP_NOWARN, 0));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_oom_kill), kills + 1);
	EXPECT(t, !alloc_pages(GFP_ATOMIC | GFP_NOWARN, MAX_ORDER));
	EXPECT_EQ(t, vm_event_read(VM_EVENT_oom_kill), kills + 1); /* nobody is asked for who cannot wait */
}

KTEST(oom, memory_that_was_kept_is_asked_for_and_the_request_goes_on)
{
	struct page *page;

	asked = 0;
	kept = 2000;
	oom_notifier_register(&notifier);
	ktest_defer(t, unregister, NULL);
	take_all(t);
	page = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), 0);
	EXPECT(t, page);
	if (page)
		free_pages(page, 0);
	EXPECT(t, asked >= 1);
	kept = 0;
	EXPECT_OK(t, memory_check());
}

KTEST(oom, costly_and_impatient_requests_ask_nobody)
{
	asked = 0;
	kept = 0;
	oom_notifier_register(&notifier);
	ktest_defer(t, unregister, NULL);
	take_all(t);
	EXPECT(t, !alloc_pages(GFP_KERNEL | GFP_NOWARN, MAX_ORDER));
	EXPECT(t, !alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_NORETRY, 0));
	EXPECT_EQ(t, asked, 0u);
}

struct trouble {
	bool all_taken;
	uint64_t stalls; /* before */
};

/* Waits for somebody to be in trouble, then gives up what the test took. */
static int help(void *argument)
{
	const struct trouble *trouble = argument;

	while (!load_acquire(&trouble->all_taken) || vm_event_read(VM_EVENT_allocstall_normal) == trouble->stalls)
		sleep_ns(NS_PER_MS);
	give_all_back(NULL);
	return 0;
}

KTEST(oom, a_request_that_may_not_fail_goes_on_when_others_free_something)
{
	struct trouble trouble = {0};
	uint64_t kills = vm_event_read(VM_EVENT_oom_kill);
	struct thread *helper = thread_spawn("helper", help, &trouble);
	struct page *page;

	REQUIRE(t, !IS_ERR(helper));
	take_all(t);
	trouble.stalls = vm_event_read(VM_EVENT_allocstall_normal);
	store_release(&trouble.all_taken, true);
	page = alloc_pages(GFP_KERNEL | GFP_NOFAIL | GFP_OWNER(PAGE_OWNER_TEST), 0);
	thread_join(helper);
	EXPECT(t, page);
	free_pages(page, 0);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_oom_kill), kills);
}

/* ---- files without memory ---- */

#define STASH_ORDER 4u
#define STASH	    (1u << STASH_ORDER)

/* Reads or writes one page of a file that is not there yet, deep in its tree. */
static bool use_file(struct ktest *t, bool write, uint32_t gfp)
{
	struct cache_file *file = cache_file_open(31);
	uint64_t index = 1ull << 40, pages;
	struct page *page;

	if (!file)
		return false;
	page = write ? cache_write_page(file, index, gfp) : cache_get_page(file, index, gfp);
	pages = file->nr_pages;
	EXPECT_EQ(t, pages, page ? 1u : 0u);
	if (page) {
		EXPECT(t, cache_page_is_right(page));
		page_put(page);
	}
	EXPECT_OK(t, page_cache_check());
	cache_file_truncate(file);
	cache_file_close(file);
	return page;
}

/* With so many pages to be had, in a row, and nothing else. */
static bool use_file_with(struct ktest *t, uint32_t pages, bool write)
{
	uintptr_t previous = memalloc_enter(); /* down to the last page, and no help */
	struct page *stash = alloc_pages(GFP_GREEDY, STASH_ORDER);
	bool done = false;

	EXPECT(t, stash);
	take_all(t);
	if (stash) {
		split_page(stash, 0);
		for (uint32_t at = 0; at < pages; at++)
			free_pages(&stash[at], 0);
		done = use_file(t, write, GFP_NOWAIT | GFP_MOVABLE | GFP_NOWARN);
		for (uint32_t at = pages; at < STASH; at++)
			free_pages(&stash[at], 0);
	}
	give_all_back(NULL);
	memalloc_leave(previous);
	return done;
}

static void fail_at_each_step(struct ktest *t, bool write)
{
	struct page_cache_info info;
	uint32_t pages = 0;

	page_cache_drop();
	while (pages < STASH && !use_file_with(t, pages, write)) {
		page_cache_info_get(&info);
		EXPECT_EQ(t, info.pages + info.dirty_pages, 0u);
		pages++;
	}
	EXPECT(t, pages >= 4 && pages < STASH); /* the file, its page, the tree's nodes */
	EXPECT_OK(t, page_cache_check());
	EXPECT_OK(t, memory_check());
}

KTEST(oom, a_file_is_read_or_not_whatever_allocation_fails)
{
	fail_at_each_step(t, false);
}

KTEST(oom, a_file_is_written_or_not_whatever_allocation_fails)
{
	fail_at_each_step(t, true);
}

static void close_file(void *file)
{
	cache_file_close(file);
	page_cache_drop_files();
}

/* Regression: the tree's nodes were allocated as if the caller could wait. Enough of them that no slab has more. */
KTEST(oom, who_cannot_wait_for_a_page_does_not_wait_for_the_tree_either)
{
	static struct cache_spares spares[64];
	uint64_t kills = vm_event_read(VM_EVENT_oom_kill);
	struct cache_file *file = cache_file_open(1);
	uint32_t used = 0;
	int error = 0;

	REQUIRE(t, file);
	ktest_defer(t, close_file, file);
	take_all(t);
	while (!error && used < ARRAY_SIZE(spares))
		error = cache_tree_prepare(file, 1ull << 60, GFP_NOWAIT, &spares[used++]);
	EXPECT_EQ(t, error, -ENOMEM);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_oom_kill), kills);
	while (used)
		cache_spares_free(&spares[--used]);
}
