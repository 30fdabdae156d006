/*
 * Out of memory: who may fail fails, who may not ends with the report, and memory kept for such times is asked for.
 */
#include "mm/oom.h"

#include "kernel/ktest.h"
#include "mm/memory.h"
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
