/*
 * References and the page lock.
 *
 * Those who wait for a page lock share a few queues, by the page's number. The one who unlocks looks at PAGE_WAITERS,
 * which waiters set before they try once more, so that unlocking costs nothing while nobody waits.
 */
#include "mm/page_ref.h"

#include "kernel/address_space.h"
#include "kernel/panic.h"
#include "kernel/wait.h"
#include "mm/lru.h"
#include "mm/memcg.h"
#include "mm/page_alloc.h"

#define FREE_BATCH 64u

static bool (*last_put_hook)(struct page *page);

void page_on_last_put(bool (*hook)(struct page *page))
{
	store_release(&last_put_hook, hook);
}

bool page_get_unless_zero(struct page *page)
{
	uint32_t count = load_relaxed(&page->refcount);

	while (count)
		if (atomic_cas(&page->refcount, &count, count + 1))
			return true;
	return false;
}

/* Those that nobody else takes over move to the front; how many. */
static size_t tell_others(struct page **pages, size_t count)
{
	bool (*hook)(struct page *) = load_acquire(&last_put_hook);
	size_t kept = 0;

	for (size_t at = 0; at < count; at++) {
		struct page *page = pages[at];

		DEBUG_ASSERT(load_relaxed(&page->mapcount) == 0, "pfn 0x%lx freed with %u entries", page_to_pfn(page),
			     page->mapcount);
		if (likely(!page_is(page, PAGE_KSM | PAGE_DEVICE)) || !hook || !hook(page))
			pages[kept++] = page;
	}
	return kept;
}

static void free_batch(struct page **pages, size_t count)
{
	struct memcg_batch batch = {0};
	uint8_t orders[FREE_BATCH];

	lru_remove_unused(pages, count, orders);
	for (size_t at = 0; at < count; at++) {
		struct page *page = pages[at];

		DEBUG_ASSERT(!page_is(page, PAGE_ISOLATED | PAGE_LOCKED), "pfn 0x%lx freed with flags 0x%x",
			     page_to_pfn(page), page->flags);
		memcg_uncharge(&batch, page, 1ul << orders[at]);
		DEBUG_ASSERT(!tlb_reaches(page_to_pfn(page), 1ul << orders[at], false),
			     "pfn 0x%lx is freed, and a CPU may still use it", page_to_pfn(page));
		store_relaxed(&page->flags, 0);
		free_pages(page, orders[at]);
	}
	memcg_batch_end(&batch);
}

/* What nobody has a reference to. */
static NOINLINE void release(struct page **pages, size_t count)
{
	count = tell_others(pages, count);
	for (size_t at = 0; at < count; at += FREE_BATCH)
		free_batch(pages + at, MIN(count - at, (size_t)FREE_BATCH));
}

static bool drop(struct page *page, uint32_t count)
{
	uint32_t before = atomic_fetch_sub(&page->refcount, count);

	ASSERT(before >= count, "pfn 0x%lx: %u references, %u put", page_to_pfn(page), before, count);
	return before == count;
}

void page_put_many(struct page *page, uint32_t count)
{
	if (drop(page, count))
		release(&page, 1);
}

void page_put_all(struct page **pages, size_t count)
{
	size_t unused = 0;

	for (size_t at = 0; at < count; at++)
		if (drop(pages[at], 1))
			pages[unused++] = pages[at];
	release(pages, unused);
}

void page_put(struct page *page)
{
	page_put_many(page, 1);
}

/* ---- the page lock ------------------------------------------------------------------------------------------------
 */

static struct wait_queue *queue_of(const struct page *page)
{
	static struct wait_queue queues[] = {
		WAIT_QUEUE_INIT(queues[0]), WAIT_QUEUE_INIT(queues[1]), WAIT_QUEUE_INIT(queues[2]),
		WAIT_QUEUE_INIT(queues[3]), WAIT_QUEUE_INIT(queues[4]), WAIT_QUEUE_INIT(queues[5]),
		WAIT_QUEUE_INIT(queues[6]), WAIT_QUEUE_INIT(queues[7]),
	};

	return &queues[page_to_pfn(page) % ARRAY_SIZE(queues)];
}

static bool trylock_or_say_so(struct page *page)
{
	page_mark(page, PAGE_WAITERS);
	return page_trylock(page);
}

void page_lock(struct page *page)
{
	if (!page_trylock(page))
		wait_event(queue_of(page), trylock_or_say_so(page));
}

void page_unlock(struct page *page)
{
	struct wait_queue *queue = queue_of(page); /* the page may be gone once it is unlocked */

	if (atomic_fetch_and(&page->flags, ~(uint32_t)(PAGE_LOCKED | PAGE_WAITERS)) & PAGE_WAITERS)
		wake_up_all(queue);
}
