/*
 * Files in address spaces: private and shared, found again from their pages, let go of, moved, truncated; and all of it
 * at once.
 */
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/rand.h"
#include "mm/memory.h"
#include "mm/movable.h"
#include "mm/reclaim.h"
#include "mm/vm/check.h"
#include "mm/vm/consumers.h"
#include "mm/vm/file_area.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"
#include "tests/unit/vm_fixture.h"

#define FILE_ID 0x700001ul
#define PAGES	8u

struct opened {
	struct ktest *t;
	struct cache_file *file;
};

static void forget(void *argument)
{
	struct opened *opened = argument;

	cache_file_truncate(opened->file);
	EXPECT(opened->t, list_empty(&opened->file->areas));
	EXPECT_EQ(opened->t, opened->file->opened, 1u);
	EXPECT_OK(opened->t, page_cache_check());
	cache_file_close(opened->file);
}

/* Open until the test ends; by then no area may show it. */
static struct cache_file *fixture_file(struct ktest *t)
{
	static struct opened opened;

	opened = (struct opened){t, cache_file_open(FILE_ID)};
	ASSERT(opened.file, "no file for a test");
	ktest_defer(t, forget, &opened);
	return opened.file;
}

static uint64_t map(struct ktest *t, struct mm *mm, uint32_t flags)
{
	struct mapping_request request = {.bytes = PAGES * PAGE_SIZE, .flags = flags};
	int64_t at = mm_map_file(mm, FILE_ID, &request);

	if (at < 0)
		ktest_fail(t, __FILE__, __LINE__, "no area of a file: %s", error_name((int)at));
	return (uint64_t)at;
}

/* The first word of a page as it is computed. */
static uint64_t computed(struct cache_file *file, uint64_t index)
{
	struct page *page = cache_get_page(file, index, GFP_USER);
	uint64_t word = page && cache_page_is_right(page) ? *(uint64_t *)page_address(page) : 0;

	if (page)
		page_put(page);
	return word;
}

static struct page *page_at(struct mm *mm, uint64_t address)
{
	uint64_t entry = entry_of(mm, address);

	return pte_maps(entry) ? pfn_to_page(pte_pfn(entry)) : NULL;
}

static uint64_t dirty_pages(void)
{
	struct page_cache_info info;

	page_cache_info_get(&info);
	return info.dirty_pages;
}

KTEST(vm_files, a_private_area_shows_the_file_until_it_is_written_to)
{
	struct cache_file *file = fixture_file(t);
	struct mm *mm = fixture_mm(t);
	uint64_t at = map(t, mm, RW), word = computed(file, 1), dirty = dirty_pages();

	EXPECT_EQ(t, peek(at + PAGE_SIZE), word);
	EXPECT_EQ(t, mm->counters[MM_FILE], 1);
	EXPECT(t, !(entry_of(mm, at + PAGE_SIZE) & PTE_WRITE));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 1));	       /* a copy of what was mapped, */
	EXPECT_OK(t, poke(at + 2 * PAGE_SIZE + 8, 2)); /* or at once */
	EXPECT_EQ(t, mm->counters[MM_FILE], 0);
	EXPECT_EQ(t, mm->counters[MM_ANON], 2);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 1u);
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), computed(file, 2)); /* the rest of the page is the file's */
	EXPECT_EQ(t, computed(file, 1), word);
	EXPECT_EQ(t, dirty_pages(), dirty);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_files, a_shared_write_is_the_files_and_is_noticed_again_after_writing_back)
{
	struct cache_file *file = fixture_file(t);
	struct mm *mm = fixture_mm(t), *other = mm_new();
	uint64_t at = map(t, mm, RW | AREA_SHARED), there, dirty = dirty_pages();

	REQUIRE(t, other);
	EXPECT(t, mm_map_anon(other, 0, 5 * PAGE_SIZE, RW) > 0); /* so that it lies elsewhere */
	there = map(t, other, RW | AREA_SHARED);
	EXPECT(t, there != at);
	EXPECT_EQ(t, peek(at), computed(file, 0));
	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke_in(other, there + PAGE_SIZE, 2)); /* without looking first */
	EXPECT_EQ(t, peek_in(other, there), 1u);
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 2u);
	EXPECT_EQ(t, dirty_pages(), dirty + 2);
	EXPECT(t, page_at(mm, at) == page_at(other, there) && page_at(mm, at)->mapcount == 2);

	EXPECT_EQ(t, cache_file_write_back(file), 2u);
	EXPECT_EQ(t, dirty_pages(), dirty);
	EXPECT(t, !((entry_of(mm, at) | entry_of(other, there)) & (PTE_WRITE | PTE_DIRTY)));
	EXPECT_EQ(t, cache_file_write_back(file), 0u);
	EXPECT_OK(t, poke(at, 3));
	EXPECT_EQ(t, dirty_pages(), dirty + 1);
	EXPECT_EQ(t, cache_file_write_back(file), 1u);
	EXPECT_EQ(t, peek_in(other, there), 3u);
	EXPECT_OK(t, poke(at, 4));
	EXPECT_OK(t, mm_protect(mm, at, PAGE_SIZE, AREA_READ)); /* dirty, and not writable */
	EXPECT_EQ(t, cache_file_write_back(file), 1u);
	EXPECT_OK(t, mm_unmap(mm, at, PAGE_SIZE));
	EXPECT_EQ(t, cache_file_write_back(file), 0u);
	EXPECT_EQ(t, dirty_pages(), dirty);
	EXPECT_OK(t, mm_check(other));
	mm_put(other);
}

/* As reclaim does with a page that its hand came to. */
static bool reclaim_page(struct ktest *t, struct page *page)
{
	bool isolated = lru_isolate(page);

	EXPECT(t, isolated);
	return isolated && reclaim_isolated(page, false);
}

KTEST(vm_files, reclaim_takes_pages_that_nobody_used_lately_out_of_all_spaces)
{
	struct cache_file *file = fixture_file(t);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = map(t, mm, AREA_READ), changed = map(t, mm, RW | AREA_SHARED), word = computed(file, 0);

	EXPECT_EQ(t, peek(at), word);
	EXPECT_EQ(t, peek(changed), word);
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, page_at(mm, at)->mapcount, 4u);  /* two addresses in two spaces */
	EXPECT(t, !reclaim_page(t, page_at(mm, at))); /* just used */
	EXPECT_EQ(t, page_at(mm, at)->mapcount, 4u);
	(void)page_cache_drop(); /* drops what nobody uses; mapped is used */
	REQUIRE(t, page_at(mm, at));
	EXPECT(t, reclaim_page(t, page_at(mm, at)));
	EXPECT(t, !page_at(mm, at) && !page_at(mm, changed) && !page_at(child, at) && !page_at(child, changed));
	EXPECT_EQ(t, mm->counters[MM_FILE], 0);
	EXPECT_EQ(t, peek_in(child, at), word);

	/* What somebody wrote is nowhere else: it stays. */
	EXPECT_OK(t, poke(changed + PAGE_SIZE, 1));
	EXPECT_EQ(t, cache_file_write_back(file), 1u);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT(t, !reclaim_page(t, page_at(mm, changed + PAGE_SIZE)));
	EXPECT_OK(t, mm_unmap(mm, changed, PAGES * PAGE_SIZE));
	(void)page_cache_drop();
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 1u);

	/* Nor does one that is locked in memory go. */
	EXPECT_OK(t, mm_mlock(mm, at + 2 * PAGE_SIZE, PAGE_SIZE));
	for (unsigned int i = 0; i < 3; i++)
		EXPECT(t, !reclaim_page(t, page_at(mm, at + 2 * PAGE_SIZE)));
	EXPECT_OK(t, mm_munlock(mm, at + 2 * PAGE_SIZE, PAGE_SIZE));
}

/* As compaction does; @held: with a reference, which is put once the page is isolated. */
static int move_page(struct page *from, bool held)
{
	const struct movable_ops *ops = movable_ops_of(PAGE_OWNER_PAGE_CACHE);
	struct page *to = alloc_pages(GFP_USER | GFP_OWNER(PAGE_OWNER_PAGE_CACHE), 0);
	bool isolated = to && ops->isolate(from);
	int error;

	if (held)
		page_put(from);
	error = isolated ? ops->migrate(from, to) : -EBUSY;
	if (error && isolated)
		ops->put_back(from);
	if (to)
		free_pages(error ? to : from, 0);
	return error;
}

KTEST(vm_files, mapped_pages_move_and_entries_follow)
{
	struct cache_file *file = fixture_file(t);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = map(t, mm, RW | AREA_SHARED), other = map(t, mm, RW), word = computed(file, 1);
	struct page *before, *after, *held;

	EXPECT_OK(t, poke(at, 5));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), word);
	EXPECT_EQ(t, peek(other), 5u);
	child = fixture_fork(t, mm);
	before = page_at(mm, at);
	EXPECT_OK(t, move_page(before, false));
	after = page_at(mm, at);
	REQUIRE(t, after);
	EXPECT(t, after != before && after == page_at(child, at) && after == page_at(child, other));
	EXPECT_EQ(t, after->mapcount, 4u);
	EXPECT(t, page_is(after, PAGE_DIRTY) && !page_is(after, PAGE_LOCKED));
	EXPECT_EQ(t, peek_in(child, other), 5u);
	EXPECT_OK(t, poke(at, 6));
	EXPECT_EQ(t, peek_in(child, at), 6u);
	EXPECT_EQ(t, cache_file_write_back(file), 1u);

	/* Somebody holds it: it stays, and is mapped as before. */
	EXPECT_EQ(t, get_user_pages(mm, at + PAGE_SIZE, 1, FOLL_PIN, &held), 1);
	EXPECT_EQ(t, move_page(held, false), -EAGAIN);
	EXPECT(t, page_at(mm, at + PAGE_SIZE) == held && !page_is(held, PAGE_LOCKED));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), word);
	unpin_user_page(held);
	EXPECT_OK(t, move_page(held, false));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), word);
	EXPECT_OK(t, vm_check());
}

KTEST(vm_files, truncation_reaches_every_part_of_every_area)
{
	struct cache_file *file = fixture_file(t);
	struct mm *mm = fixture_mm(t), *child;
	uint64_t at = map(t, mm, RW | AREA_SHARED), own = map(t, mm, RW), word = computed(file, 3);
	struct page *held;

	/* Cut in four, one of them unmapped, one moved on by its rights. */
	EXPECT_OK(t, mm_populate(mm, at, PAGES * PAGE_SIZE));
	EXPECT_OK(t, poke(at + 3 * PAGE_SIZE, 1));
	EXPECT_OK(t, mm_unmap(mm, at + PAGE_SIZE, PAGE_SIZE));
	EXPECT_OK(t, mm_protect(mm, at + 4 * PAGE_SIZE, 2 * PAGE_SIZE, AREA_READ));
	EXPECT_OK(t, poke(own + 2 * PAGE_SIZE, 7));
	EXPECT_EQ(t, peek(own + 5 * PAGE_SIZE), computed(file, 5));
	child = fixture_fork(t, mm);
	EXPECT_EQ(t, get_user_pages(mm, at + 3 * PAGE_SIZE, 1, FOLL_PIN, &held), 1);
	cache_file_truncate(file);
	EXPECT_EQ(t, mm->counters[MM_FILE] + child->counters[MM_FILE], 0);
	EXPECT_EQ(t, held->mapcount, 0u);
	EXPECT_EQ(t, *(uint64_t *)page_address(held), 1u); /* whoever holds it keeps it */
	unpin_user_page(held);
	EXPECT_EQ(t, peek(own + 2 * PAGE_SIZE), 7u); /* a copy is nobody else's business */
	EXPECT_EQ(t, peek(at + 3 * PAGE_SIZE), word);
	EXPECT_EQ(t, peek_in(child, own + 3 * PAGE_SIZE), word);

	/* Joined again, it is one area in the file's list, and a second one is the child's. */
	EXPECT_OK(t, mm_protect(mm, at + 2 * PAGE_SIZE, 6 * PAGE_SIZE, RW));
	EXPECT_OK(t, poke(at + 7 * PAGE_SIZE, 1));
	cache_file_truncate(file);
	EXPECT_EQ(t, mm->counters[MM_FILE] + child->counters[MM_FILE], 0);
	EXPECT_OK(t, mm_check(child));
}

/* ---- a fault against a truncation ---- */

struct race {
	struct cache_file *file;
	struct mm *mm;
	uint64_t at;
};

static int fault_in(void *argument)
{
	const struct race *race = argument;
	uint64_t word;

	return mm_read(race->mm, race->at, &word, sizeof(word));
}

static int truncate(void *argument)
{
	cache_file_truncate(((const struct race *)argument)->file);
	return 0;
}

/* Both wait for the page's lock when it is given up. */
static void let_race(struct ktest *t, struct race *race)
{
	struct page *page = cache_get_page(race->file, 0, GFP_USER);
	struct thread *threads[2];

	page_lock(page);
	threads[0] = thread_spawn("fault", fault_in, race);
	threads[1] = thread_spawn("truncate", truncate, race);
	while (load_relaxed(&page->refcount) < 4) /* the tree's, ours, theirs */
		sleep_ns(NS_PER_MS / 10);
	page_unlock(page);
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_OK(t, thread_join(threads[i]));
	page_put(page);
}

KTEST(vm_files, a_fault_does_not_map_what_was_truncated_meanwhile)
{
	struct race race = {.file = fixture_file(t), .mm = fixture_mm(t)};

	race.at = map(t, race.mm, AREA_READ);
	for (unsigned int turn = 0; turn < 20; turn++) {
		const struct page *page;

		let_race(t, &race);
		page = page_at(race.mm, race.at);
		EXPECT(t, !page || page->mapping == race.file);
		EXPECT_OK(t, mm_madvise(race.mm, race.at, PAGE_SIZE, MADV_DONTNEED));
	}
}

/* ---- all at once ---- */

#define WORKERS 3u
#define TURNS	150u

struct stress {
	struct cache_file *file;
	uint64_t words[PAGES]; /* as computed */
	uint32_t wrong, working;
};

/* Pages 0-3 are only read; what lies in 4-7 is a number below TURNS, or what is computed. */
static bool is_right(const struct stress *stress, uint64_t index, uint64_t word)
{
	return word == stress->words[index] || (index >= 4 && word < TURNS);
}

static uint32_t use_space(const struct stress *stress, struct mm *mm, uint64_t at, struct rand *rand, uint64_t turn)
{
	uint32_t wrong = 0;

	for (unsigned int i = 0; i < 6; i++) {
		uint64_t index = rand_below(rand, PAGES), word = 0;

		if (index >= 4 && rand_below(rand, 2))
			wrong += mm_write(mm, at + index * PAGE_SIZE, &turn, sizeof(turn)) != 0;
		wrong += mm_read(mm, at + index * PAGE_SIZE, &word, sizeof(word)) != 0;
		wrong += !is_right(stress, index, word);
	}
	return wrong;
}

static int user(void *argument)
{
	struct stress *stress = argument;
	uint32_t number = atomic_fetch_add(&stress->working, 1), wrong = 0;
	struct rand rand;

	rand_seed(&rand, number + 1);
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		struct mapping_request request = {.bytes = PAGES * PAGE_SIZE,
						  .flags = RW | (turn % 2 ? AREA_SHARED : 0)};
		struct mm *mm = mm_new(), *child;
		int64_t at = mm ? mm_map_file(mm, FILE_ID, &request) : -ENOMEM;

		if (at < 0) {
			wrong++;
			break;
		}
		wrong += use_space(stress, mm, (uint64_t)at, &rand, turn);
		(void)mm_protect(mm, (uint64_t)at + 2 * PAGE_SIZE, 2 * PAGE_SIZE, AREA_READ);
		child = mm_fork(mm);
		wrong += use_space(stress, mm, (uint64_t)at, &rand, turn);
		if (!IS_ERR(child)) {
			wrong += use_space(stress, child, (uint64_t)at, &rand, turn);
			mm_put(child);
		}
		mm_put(mm);
	}
	atomic_fetch_add(&stress->wrong, wrong);
	atomic_dec(&stress->working);
	return 0;
}

/* Takes pages away from the users in every way there is, until they have finished. */
static void disturb(struct stress *stress, uint64_t turn)
{
	struct page *page = cache_find_page(stress->file, turn % PAGES);

	if (page && turn % 3 == 0) {
		(void)move_page(page, true);
	} else if (page) {
		if (lru_isolate(page))
			(void)reclaim_isolated(page, turn % 2);
		page_put(page);
	}
	if (turn % 7 == 0)
		(void)cache_file_write_back(stress->file);
	if (turn % 11 == 0)
		cache_file_truncate(stress->file);
}

KTEST(vm_files, spaces_come_and_go_while_pages_are_moved_dropped_and_truncated)
{
	static struct stress stress;
	struct thread *threads[WORKERS];
	uint64_t before = anon_pages(), dirty = dirty_pages();

	stress = (struct stress){.file = fixture_file(t)};
	for (uint64_t i = 0; i < PAGES; i++)
		stress.words[i] = computed(stress.file, i);
	for (unsigned int i = 0; i < WORKERS; i++) {
		threads[i] = thread_spawn("file_user", user, &stress);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (uint64_t turn = 0; turn < 20 || load_relaxed(&stress.working); turn++) {
		disturb(&stress, turn);
		thread_yield();
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		(void)thread_join(threads[i]);
	EXPECT_EQ(t, stress.wrong, 0u);
	cache_file_truncate(stress.file);
	EXPECT_EQ(t, dirty_pages(), dirty);
	EXPECT_EQ(t, anon_pages(), before);
	EXPECT_OK(t, vm_check());
	EXPECT_OK(t, memory_check());
}
