/*
 * Everything at once, under each policy in turn: threads hold blocks of all types and small orders, read, write and
 * truncate files, drop caches and compact, in a machine most of whose memory is taken away, so that reclaim,
 * compaction, kswapd and the policies have to work all the time.
 *
 * A block's words name its address, its holder's slot and the word; a file's page names itself. Nothing is ever wrong,
 * and at the end every page has its place. The slow test does the same for ten minutes: `make soak-mm`.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "mm/compaction.h"
#include "mm/page_cache.h"
#include "mm/policy/policy.h"
#include "mm/shrinker.h"
#include "mm/vmstat.h"
#include "mm/memory.h"

#define THREADS	   4u
#define SLOTS	   256u /* of each thread */
#define FILES	   128u
#define FILE_PAGES 256u
#define LEFT_PAGES (64ul << (20 - PAGE_SHIFT)) /* to work in; the files alone are twice that */
#define FIRST_FILE 700u

struct holder {
	uint32_t number;
	uint64_t seed, tag;
	struct page *slots[SLOTS];
	uint64_t tags[SLOTS];
};

static struct {
	struct holder holders[THREADS];
	uint64_t done; /* steps of all threads */
	uint64_t wrong_blocks, wrong_pages, no_memory;
	bool stop;
} soak;

/* ---- blocks -------------------------------------------------------------------------------------------------------
 */

static uint64_t words_of(const struct page *page)
{
	return (PAGE_SIZE << page_order(page)) / sizeof(uint64_t);
}

/* A word in 16 is enough: it is whole pages that go astray. */
static void fill(struct page *page, uint64_t tag)
{
	uint64_t *words = page_address(page);

	for (uint64_t at = 0; at < words_of(page); at += 16)
		words[at] = (uint64_t)&words[at] ^ tag;
}

static bool is_filled(const struct page *page, uint64_t tag)
{
	const uint64_t *words = page_address(page);

	for (uint64_t at = 0; at < words_of(page); at += 16)
		if (words[at] != ((uint64_t)&words[at] ^ tag))
			return false;
	return true;
}

static void give(struct holder *holder, uint32_t slot)
{
	struct page *page = holder->slots[slot];

	if (!is_filled(page, holder->tags[slot]))
		atomic_inc(&soak.wrong_blocks);
	holder->slots[slot] = NULL;
	free_pages(page, page_order(page));
}

static void take(struct holder *holder, uint32_t slot, struct rand *rand)
{
	static const uint32_t kinds[] = {GFP_KERNEL, GFP_KERNEL | GFP_RECLAIMABLE, GFP_USER, GFP_ATOMIC};
	uint32_t gfp = kinds[rand_below(rand, ARRAY_SIZE(kinds))] | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST);
	unsigned int order = rand_below(rand, 4) ? 0 : (unsigned int)rand_below(rand, 5);
	struct page *page;

	if (rand_below(rand, 100) == 0)
		order = PAGEBLOCK_ORDER;
	page = alloc_pages(gfp, order);
	if (!page) {
		atomic_inc(&soak.no_memory);
		return;
	}
	holder->tags[slot] = ++holder->tag << 8 | holder->number;
	fill(page, holder->tags[slot]);
	holder->slots[slot] = page;
}

static void take_or_give(struct holder *holder, struct rand *rand)
{
	uint32_t slot = (uint32_t)rand_below(rand, SLOTS);

	if (holder->slots[slot])
		give(holder, slot);
	else
		take(holder, slot, rand);
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static void use_file(struct rand *rand)
{
	struct cache_file *file = cache_file_open(FIRST_FILE + rand_below(rand, FILES));
	uint64_t index = rand_below(rand, FILE_PAGES);
	struct page *page;

	if (!file)
		return;
	page = rand_below(rand, 4) ? cache_get_page(file, index, GFP_USER | GFP_NOWARN)
				   : cache_write_page(file, index, GFP_USER | GFP_NOWARN);
	if (page && !cache_page_is_right(page))
		atomic_inc(&soak.wrong_pages);
	if (page)
		page_put(page);
	if (rand_below(rand, 600) == 0)
		cache_file_truncate(file);
	cache_file_close(file);
}

/* What a user might do now. */
static void drop_or_compact(struct rand *rand)
{
	switch (rand_below(rand, 4)) {
	case 0:
		page_cache_drop();
		break;
	case 1:
		shrink_all(0);
		break;
	default:
		compaction_whole_zone(&memory.zones[rand_below(rand, memory.nr_zones)]);
	}
}

static int hold(void *argument)
{
	struct holder *holder = argument;
	struct rand rand;

	rand_seed(&rand, holder->seed);
	while (!load_relaxed(&soak.stop)) {
		if (rand_below(&rand, 4) == 0)
			take_or_give(holder, &rand);
		else
			use_file(&rand);
		if (rand_below(&rand, 8000) == 0)
			drop_or_compact(&rand);
		atomic_inc(&soak.done);
	}
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (holder->slots[slot])
			give(holder, slot);
	return 0;
}

/* ---- the machine --------------------------------------------------------------------------------------------------
 */

static struct page *ballast;

static void give_ballast_back(void *nothing UNUSED)
{
	while (ballast) {
		struct page *page = ballast;

		ballast = (struct page *)page->private;
		free_pages(page, page_order(page));
	}
}

/* Takes the largest blocks until little is left. */
static void take_ballast(struct ktest *t)
{
	const uint32_t gfp = GFP_NOWAIT | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST);
	struct memory_info info;

	ktest_defer(t, give_ballast_back, NULL);
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		for (;;) {
			struct page *page;

			memory_info_get(&info);
			if (info.free < LEFT_PAGES + (1ul << order))
				break;
			page = alloc_pages(gfp, order);
			if (!page)
				break;
			page->private = (uint64_t)ballast;
			ballast = page;
		}
}

static void stop_daemons(void)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		kcompactd_stop(&memory.nodes[node]);
	kswapd_stop();
}

static void start_daemons(struct ktest *t)
{
	EXPECT_OK(t, kswapd_start());
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		EXPECT_OK(t, kcompactd_start(&memory.nodes[node]));
}

static void restore_policy(void *name)
{
	(void)!frag_policy_set(name);
}

static void expect_nothing_wrong(struct ktest *t)
{
	EXPECT_EQ(t, load_relaxed(&soak.wrong_blocks), 0u);
	EXPECT_EQ(t, load_relaxed(&soak.wrong_pages), 0u);
	EXPECT_OK(t, page_cache_check());
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		EXPECT_OK(t, lru_check(&memory.nodes[node].lru));
}

/* Each policy until the threads have done @steps more; over and over until @end_ns. */
static void go_through_policies(struct ktest *t, uint64_t steps, uint64_t end_ns)
{
	static const char *const policies[] = {"vanilla", "nofragment", "boost", "stall", "defrag"};

	do {
		for (size_t at = 0; at < ARRAY_SIZE(policies); at++) {
			uint64_t until = load_relaxed(&soak.done) + steps;

			EXPECT_OK(t, frag_policy_set(policies[at]));
			while (load_relaxed(&soak.done) < until)
				sleep_ns(NS_PER_MS);
			expect_nothing_wrong(t);
		}
	} while (time_ns() < end_ns && !load_relaxed(&soak.wrong_blocks) && !load_relaxed(&soak.wrong_pages));
}

static void drop_files(struct ktest *t)
{
	for (uint64_t id = FIRST_FILE; id < FIRST_FILE + FILES; id++) {
		struct cache_file *file = cache_file_open(id);

		REQUIRE(t, file);
		cache_file_truncate(file);
		cache_file_close(file);
	}
	page_cache_drop_files();
}

static uint64_t reclaimed(void)
{
	return vm_event_read(VM_EVENT_pgsteal_kswapd) + vm_event_read(VM_EVENT_pgsteal_direct);
}

static void run(struct ktest *t, uint64_t steps, uint64_t end_ns)
{
	uint64_t stolen = reclaimed(), moved = vm_event_read(VM_EVENT_pgmigrate_success);
	uint64_t seed = ktest_seed(t);
	struct thread *threads[THREADS];
	bool running = memory.nodes[0].kswapd.thread; /* in the guest; memory_check() must be alone */
	struct page_cache_info info;
	uint32_t started = 0;

	memset(&soak, 0, sizeof(soak));
	ktest_defer(t, restore_policy, (void *)(uintptr_t)frag_policy_get()->name);
	take_ballast(t);
	if (!running)
		start_daemons(t);
	for (; started < THREADS; started++) {
		struct holder *holder = &soak.holders[started];

		holder->number = started;
		holder->seed = seed + started;
		threads[started] = thread_spawn("holder", hold, holder);
		if (IS_ERR(threads[started]))
			break;
	}
	EXPECT_EQ(t, started, THREADS);
	if (started)
		go_through_policies(t, steps, end_ns);
	store_relaxed(&soak.stop, true);
	while (started)
		thread_join(threads[--started]);
	stop_daemons(); /* they may have pages isolated */
	expect_nothing_wrong(t);
	drop_files(t);
	page_cache_info_get(&info);
	EXPECT_EQ(t, info.pages + info.dirty_pages, 0u);
	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		EXPECT_EQ(t, READ_ONCE(memory.nodes[node].lru.isolated), 0u);
	EXPECT_OK(t, memory_check());
	if (running)
		start_daemons(t);
	EXPECT(t, reclaimed() > stolen);
	ktest_note(t, "%lu steps, %lu pages reclaimed, %lu moved, %lu requests refused", soak.done,
		   reclaimed() - stolen, vm_event_read(VM_EVENT_pgmigrate_success) - moved, soak.no_memory);
}

KTEST(soak, each_policy_in_turn_keeps_every_page)
{
	run(t, ktest_hosted() ? 60000 : 20000, 0);
}

KTEST(soak, slow_ten_minutes_of_all_policies)
{
	run(t, 200000, time_ns() + 600 * NS_PER_S);
}
