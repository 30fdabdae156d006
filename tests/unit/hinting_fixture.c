#include "kernel/memory.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "tests/unit/hinting_fixture.h"

static struct hinting_backend *backend_of(struct page_hinting_cb *cb)
{
	return container_of(cb, struct hinting_backend, cb);
}

static int prepare(struct page_hinting_cb *cb)
{
	backend_of(cb)->prepares++;
	return load_relaxed(&backend_of(cb)->prepare_result);
}

static void cleanup(struct page_hinting_cb *cb)
{
	backend_of(cb)->cleanups++;
}

static int hint_pages(struct page_hinting_cb *cb, const struct page_hinting_block *blocks, unsigned int nr)
{
	struct hinting_backend *backend = backend_of(cb);
	uint64_t pages = 0;

	store_relaxed(&backend->inside, true);
	for (unsigned int at = 0; at < nr; at++) {
		if (blocks[at].pfn + (1u << blocks[at].order) <= HINTING_MOST_PAGES && !backend->hint_result)
			bitmap_set_range(backend->told, blocks[at].pfn, 1u << blocks[at].order);
		pages += 1u << blocks[at].order;
	}
	backend->most_away = MAX(backend->most_away, pages);
	if (backend->during)
		backend->during(backend);
	while (load_acquire(&backend->block))
		sleep_ns(NS_PER_MS / 5);
	atomic_fetch_add(&backend->pages, pages);
	atomic_inc(&backend->calls);
	store_relaxed(&backend->inside, false);
	return backend->hint_result;
}

struct hinting_backend *hinting_backend(struct ktest *t, unsigned int max_pages)
{
	struct hinting_backend *backend = kzalloc(sizeof(*backend));

	backend->t = t;
	backend->cb = (struct page_hinting_cb){.name = "test",
					       .max_pages = max_pages,
					       .prepare = prepare,
					       .cleanup = cleanup,
					       .hint_pages = hint_pages};
	ktest_defer(t, kfree, backend);
	return backend;
}

static void end(void *argument)
{
	struct hinting *hinting = argument;

	if (hinting->cb)
		hinting_disable(hinting, hinting->cb);
	kfree(hinting);
}

struct hinting *hinting_over(struct ktest *t, struct zone *const *zones, unsigned int nr, bool by_itself,
			     const struct hinting_tracker *tracker, struct hinting_backend *backend)
{
	struct hinting *hinting = kzalloc(sizeof(*hinting));

	hinting_init(hinting, zones, nr, by_itself);
	hinting->delay_ns = NS_PER_MS;
	ktest_defer(t, end, hinting);
	EXPECT_OK(t, hinting_configure(hinting, tracker, PAGE_HINTING_MIN_ORDER));
	EXPECT_OK(t, hinting_enable(hinting, &backend->cb));
	return hinting;
}

struct hinting *hinting_of(struct ktest *t, struct zone *zone, const struct hinting_tracker *tracker,
			   struct hinting_backend *backend)
{
	backend->zone = zone;
	return hinting_over(t, &zone, 1, false, tracker, backend);
}

void hinting_expect_sound(struct ktest *t, struct hinting *hinting)
{
	EXPECT_OK(t, hinting_check(hinting));
	for (unsigned int at = 0; at < hinting->nr_zones; at++)
		EXPECT_OK(t, zone_check(hinting->zones[at].zone));
}

unsigned int hinting_told_pageblocks(const struct hinting_backend *backend)
{
	unsigned int told = 0;

	for (unsigned int number = 0; number < HINTING_MOST_PAGES / PAGEBLOCK_PAGES; number++)
		told += bitmap_count(backend->told, number * PAGEBLOCK_PAGES, (number + 1) * PAGEBLOCK_PAGES) ==
			PAGEBLOCK_PAGES;
	return told;
}

bool hinting_becomes(const uint64_t *figure, uint64_t wanted)
{
	uint64_t deadline = wait_deadline(HINTING_WAIT_NS);

	while (load_relaxed(figure) < wanted && time_ns() < deadline)
		sleep_ns(NS_PER_MS / 5);
	return load_relaxed(figure) == wanted;
}
