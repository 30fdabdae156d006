/*
 * KSM's passes: every candidate's content is hashed; a merged page with the same hash, or an earlier candidate of the
 * pass with it, is compared in earnest, and if equal the candidate's entry maps it instead.
 *
 * A pass goes over all spaces in steps. What it saw it remembers by space, address and hash, without references: a page
 * may change, move and go meanwhile, and is looked at again before anything is merged with it.
 */
#include "kernel/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/ksm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

#define BUCKETS 256u

/* One of this pass that nothing was equal to so far. */
struct seen {
	struct list_node node; /* in a bucket */
	uint32_t mm_id;
	uint64_t address, hash;
};

/* Under ksm_lock(): */
static struct list_node seen_pages[BUCKETS];
static struct vm_cursor cursor;
static uint64_t full_scans;

static struct list_node *bucket_of(uint64_t hash)
{
	struct list_node *bucket = &seen_pages[hash % BUCKETS];

	if (!bucket->next)
		list_init(bucket);
	return bucket;
}

/* ---- candidates ---- */

static struct page *lru_page(const struct area *area, uint64_t address, uint64_t value)
{
	return pte_maps(value) ? vm_normal_lru_page(area, address, value) : NULL;
}

/* The next page for merging of [from, to) that one entry maps and nobody holds; @found gets references. */
static int take_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct ksm_candidate *found = walk->context;
	struct page *page = lru_page(walk->area, address, entry_get(entry));

	if (!page || page_is(page, PAGE_KSM | PAGE_HUGE | PAGE_MLOCKED | PAGE_LAZY_FREE) || !page_owner_is_anon(page) ||
	    load_relaxed(&page->mapcount) != 1 || load_relaxed(&page->refcount) != 1)
		return 0;
	page_get(page);
	*found = (struct ksm_candidate){.mm = walk->mm, .page = page, .address = address};
	return 1;
}

static int pass_over(struct table_walk *walk UNUSED, uint64_t address UNUSED, uint64_t *entry UNUSED)
{
	return 0;
}

static bool take_candidate(struct mm *mm, uint64_t from, uint64_t to, struct ksm_candidate *found)
{
	int result = 0;

	mutex_lock(&mm->lock);
	for_each_area(area, mm, from, to) {
		struct table_walk walk = {
			.mm = mm, .area = area, .page = take_entry, .huge = pass_over, .context = found};

		if (ksm_may_merge(area))
			result = table_walk(&walk, MAX(from, area->start), MIN(to, area->end));
		if (result)
			break;
	}
	mutex_unlock(&mm->lock);
	if (!result)
		return false;
	mm_get(mm);
	found->hash = ksm_hash(found->page);
	return true;
}

static void put_candidate(struct ksm_candidate *candidate)
{
	page_put(candidate->page);
	mm_put(candidate->mm);
}

/* It was a candidate earlier in the pass: is it still one, with the same content? */
static bool take_again(const struct seen *seen, struct ksm_candidate *candidate)
{
	struct vm_cursor at = {.id = seen->mm_id};
	struct mm *mm = vm_cursor_mm(&at);
	bool taken =
		mm && mm->id == seen->mm_id && take_candidate(mm, seen->address, seen->address + PAGE_SIZE, candidate);

	if (mm)
		mm_put(mm);
	if (taken && candidate->hash != seen->hash) {
		put_candidate(candidate);
		return false;
	}
	return taken;
}

static bool merge_with_seen(const struct ksm_candidate *candidate)
{
	struct seen *seen, *after;

	list_for_each_entry_safe(seen, after, bucket_of(candidate->hash), node) {
		struct ksm_candidate other;
		bool done;

		if (seen->hash != candidate->hash)
			continue;
		done = take_again(seen, &other);
		if (done) {
			done = ksm_merge_with_other(candidate, &other);
			put_candidate(&other);
		}
		list_del(&seen->node); /* it is a merged one now, or has changed */
		kfree(seen);
		if (done)
			return true;
	}
	return false;
}

/* Without memory it is merged in another pass. */
static void remember(const struct ksm_candidate *candidate)
{
	struct seen *seen = kmalloc(sizeof(*seen));

	if (!seen)
		return;
	*seen = (struct seen){.mm_id = candidate->mm->id, .address = candidate->address, .hash = candidate->hash};
	list_add(bucket_of(candidate->hash), &seen->node);
}

/* ---- passes ---- */

static void end_pass(void)
{
	for (unsigned int i = 0; i < BUCKETS; i++)
		while (!list_empty(bucket_of(i))) {
			struct seen *seen = list_first_entry(bucket_of(i), struct seen, node);

			list_del(&seen->node);
			kfree(seen);
		}
	ksm_reap();
	cursor = (struct vm_cursor){0};
}

/* The next candidate, or the next space. False: the pass is over. */
static bool step(void)
{
	struct mm *mm = vm_cursor_mm(&cursor);
	struct ksm_candidate candidate;

	if (!mm)
		return false;
	if (take_candidate(mm, cursor.address, USER_END, &candidate)) {
		cursor.address = candidate.address + PAGE_SIZE;
		if (!ksm_merge_with_merged(&candidate) && !merge_with_seen(&candidate))
			remember(&candidate);
		put_candidate(&candidate);
	} else {
		vm_cursor_next_mm(&cursor);
	}
	mm_put(mm);
	return true;
}

uint64_t ksm_scan_some(uint64_t pages)
{
	uint64_t before = ksm_merged();

	ksm_lock();
	while (pages && step())
		pages--;
	if (pages) {
		end_pass();
		atomic_inc(&full_scans);
	}
	ksm_unlock();
	return ksm_merged() - before;
}

uint64_t ksm_scan(void)
{
	ksm_lock();
	end_pass();
	ksm_unlock();
	return ksm_scan_some(UINT64_MAX);
}

enum entry_state { ENTRY_OTHER, ENTRY_MERGED, ENTRY_MOVING };

static enum entry_state state_of(struct mm *mm, uint64_t address)
{
	enum entry_state state = ENTRY_OTHER;
	const struct area *area;
	struct page *page;
	unsigned int level;
	uint64_t *entry, value;

	mutex_lock(&mm->lock);
	area = area_find(mm, address);
	spin_lock(&mm->table_lock);
	entry = table_leaf(mm, address, &level);
	value = entry ? entry_get(entry) : 0;
	page = area && pte_maps(value) ? vm_normal_lru_page(area, address, value) : NULL;
	if (page && page_is(page, PAGE_KSM))
		state = ENTRY_MERGED;
	else if (pte_parked(value) == PTE_PARKED_MIGRATION)
		state = ENTRY_MOVING; /* merged or not: in a moment it is one that maps */
	spin_unlock(&mm->table_lock);
	mutex_unlock(&mm->lock);
	return state;
}

int ksm_unmerge(struct mm *mm, uint64_t start, uint64_t bytes)
{
	for (uint64_t at = start; at < start + bytes; at += PAGE_SIZE) {
		enum entry_state state;
		int error = 0;

		while (!error && (state = state_of(mm, at)) != ENTRY_OTHER)
			error = mm_fault(mm, at, state == ENTRY_MERGED);
		if (error == -ENOMEM)
			return error;
	}
	return 0;
}

static bool next_mergeable(struct mm *mm, uint64_t *start, uint64_t *end)
{
	bool found = false;

	mutex_lock(&mm->lock);
	for_each_area(area, mm, *end, USER_END) {
		if (!(area->flags & AREA_MERGEABLE))
			continue;
		*start = area->start;
		*end = area->end;
		found = true;
		break;
	}
	mutex_unlock(&mm->lock);
	return found;
}

void ksm_unmerge_all(void)
{
	struct vm_cursor at = {0};
	struct mm *mm;

	while ((mm = vm_cursor_mm(&at))) {
		uint64_t start, end = 0;

		while (next_mergeable(mm, &start, &end) && !ksm_unmerge(mm, start, end - start))
			;
		vm_cursor_next_mm(&at);
		mm_put(mm);
	}
}

uint64_t ksm_full_scans(void)
{
	return load_relaxed(&full_scans);
}
