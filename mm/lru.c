/*
 * The LRU lists.
 *
 * Who finds a page by looking at memory (compaction) knows nothing about it but its tag. Under the lists' lock the tag
 * and PAGE_ON_LRU together say that it is alive: a page leaves its list under the lock before it is freed.
 */
#include "mm/lru.h"

#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "mm/memcg.h"
#include "mm/memory.h"

static const struct lru_owner_ops *owner_ops[NR_PAGE_OWNERS];

void lru_register_owner(enum page_owner owner, const struct lru_owner_ops *ops)
{
	store_release(&owner_ops[owner], ops);
}

const struct lru_owner_ops *lru_owner_ops_of(const struct page *page)
{
	return load_acquire(&owner_ops[page_owner(page)]);
}

void lru_init(struct lru *lru)
{
	*lru = (struct lru){0};
	spin_lock_init(&lru->lock, "lru");
	for (unsigned int at = 0; at < NR_ZONE_TYPES * NR_LRU_LISTS; at++)
		list_init(&lru->lists[at / NR_LRU_LISTS][at % NR_LRU_LISTS]);
}

struct lru *lru_of(const struct page *page)
{
	return &memory.nodes[page_node(page)].lru;
}

/* What the books need to know of a page that has an owner, with one look at its tag, which is there then. */
struct subject {
	struct page *page;
	struct lru *lru;
	enum zone_type zone;
	enum page_owner owner;
	uint32_t pages;
};

static struct subject subject_of(struct page *page)
{
	uint64_t pfn = page_to_pfn(page);
	const struct zone *zone = zone_of_pfn(pfn);
	uint8_t tag = load_relaxed(&zone->tags[pfn - zone->start_pfn]);

	return (struct subject){page, &memory.nodes[zone->node].lru, zone->type, TAG_OWNER(tag), 1u << TAG_ORDER(tag)};
}

static enum lru_list list_of(const struct subject *subject)
{
	uint32_t flags = load_relaxed(&subject->page->flags);
	bool file = (flags & PAGE_LAZY_FREE) || subject->owner == PAGE_OWNER_PAGE_CACHE;

	if (flags & (PAGE_UNEVICTABLE | PAGE_MLOCKED))
		return LRU_UNEVICTABLE;
	if (flags & PAGE_ACTIVE)
		return file ? LRU_ACTIVE_FILE : LRU_ACTIVE_ANON;
	return file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
}

static void count_locked(const struct subject *subject, enum lru_list list, uint64_t pages)
{
	struct lru *lru = subject->lru;
	uint64_t *of_zone = &lru->zone_pages[subject->zone][list];

	WRITE_ONCE(*of_zone, *of_zone + pages);
	WRITE_ONCE(lru->pages[list], lru->pages[list] + pages);
}

static void add_locked(const struct subject *subject)
{
	enum lru_list list = list_of(subject);
	struct lru *lru = subject->lru;

	DEBUG_ASSERT(spin_is_locked(&lru->lock) && !page_is(subject->page, PAGE_ON_LRU));
	list_add(&lru->lists[subject->zone][list], &subject->page->lru);
	count_locked(subject, list, subject->pages);
	page_mark(subject->page, PAGE_ON_LRU);
}

/* But for the flag. */
static void unlink_locked(const struct subject *subject)
{
	DEBUG_ASSERT(spin_is_locked(&subject->lru->lock));
	list_del(&subject->page->lru);
	count_locked(subject, list_of(subject), -(uint64_t)subject->pages);
}

static void remove_locked(const struct subject *subject)
{
	unlink_locked(subject);
	page_unmark(subject->page, PAGE_ON_LRU);
}

void lru_add(struct page *page)
{
	struct subject subject = subject_of(page);

	spin_lock(&subject.lru->lock);
	add_locked(&subject);
	spin_unlock(&subject.lru->lock);
}

bool lru_remove(struct page *page)
{
	struct subject subject = subject_of(page);
	bool was_on;

	spin_lock(&subject.lru->lock);
	was_on = page_is(page, PAGE_ON_LRU);
	if (was_on)
		remove_locked(&subject);
	spin_unlock(&subject.lru->lock);
	return was_on;
}

void lru_remove_unused(struct page **pages, size_t count, uint8_t *orders)
{
	struct lru *locked = NULL;

	for (size_t at = 0; at < count; at++) {
		struct subject subject = subject_of(pages[at]);

		orders[at] = (uint8_t)__builtin_ctz(subject.pages);
		if (!page_is(pages[at], PAGE_ON_LRU))
			continue;
		if (subject.lru != locked) {
			if (locked)
				spin_unlock(&locked->lock);
			locked = subject.lru;
			spin_lock(&locked->lock);
		}
		unlink_locked(&subject);
		store_relaxed(&pages[at]->flags, load_relaxed(&pages[at]->flags) & ~(uint32_t)PAGE_ON_LRU);
	}
	if (locked)
		spin_unlock(&locked->lock);
}

void lru_change(struct page *page, uint32_t set, uint32_t clear)
{
	struct subject subject = subject_of(page);
	bool was_on;

	spin_lock(&subject.lru->lock);
	was_on = page_is(page, PAGE_ON_LRU);
	if (was_on)
		remove_locked(&subject);
	atomic_fetch_or(&page->flags, set);
	atomic_fetch_and(&page->flags, ~clear);
	if (was_on)
		add_locked(&subject);
	spin_unlock(&subject.lru->lock);
}

/* ---- isolation ----------------------------------------------------------------------------------------------------
 */

static bool is_of_lru_owner(const struct page *page)
{
	enum page_owner owner = page_owner(page);

	return owner == PAGE_OWNER_PAGE_CACHE || owner == PAGE_OWNER_ANON;
}

static bool isolate_locked(const struct subject *subject)
{
	struct lru *lru = subject->lru;

	if (!page_get_unless_zero(subject->page)) /* its freer waits for the lock */
		return false;
	page_mark(subject->page, PAGE_ISOLATED); /* first: who looks without the lock sees one of the two */
	remove_locked(subject);
	WRITE_ONCE(lru->isolated, lru->isolated + subject->pages);
	return true;
}

bool lru_isolate(struct page *page)
{
	struct lru *lru = lru_of(page);
	bool isolated = false;

	spin_lock(&lru->lock);
	if (is_of_lru_owner(page) && page_is(page, PAGE_ON_LRU)) {
		struct subject subject = subject_of(page);

		isolated = isolate_locked(&subject);
	}
	spin_unlock(&lru->lock);
	return isolated;
}

/* Of a page on a list, under its lock. */
static bool is_wanted(const struct page *page, const struct lru_filter *filter)
{
	return !filter->memcg || memcg_ops->is_below(page->memcg, filter->memcg);
}

uint32_t lru_isolate_tail(struct lru *lru, enum lru_list list, struct lru_filter filter, struct page **pages,
			  uint32_t most, uint64_t *scanned)
{
	struct list_node *head = &lru->lists[filter.zone][list];
	uint32_t count = 0;

	spin_lock(&lru->lock);
	for (uint32_t looked = 0; looked < 2 * most && count < most && !list_empty(head); looked++) {
		struct page *page = list_entry(head->prev, struct page, lru);
		struct subject subject = subject_of(page);

		*scanned += subject.pages;
		if (is_wanted(page, &filter) && isolate_locked(&subject)) {
			pages[count++] = page;
			continue;
		}
		list_del(&page->lru);
		list_add(head, &page->lru);
	}
	spin_unlock(&lru->lock);
	return count;
}

static void leave_isolation_locked(const struct subject *subject)
{
	DEBUG_ASSERT(page_is(subject->page, PAGE_ISOLATED));
	WRITE_ONCE(subject->lru->isolated, subject->lru->isolated - subject->pages);
	page_unmark(subject->page, PAGE_ISOLATED);
}

void lru_put_back(struct page *page)
{
	struct subject subject = subject_of(page);

	spin_lock(&subject.lru->lock);
	add_locked(&subject);
	leave_isolation_locked(&subject);
	spin_unlock(&subject.lru->lock);
	page_put(page);
}

void lru_forget_isolated(struct page *page)
{
	struct subject subject = subject_of(page);

	spin_lock(&subject.lru->lock);
	leave_isolation_locked(&subject);
	spin_unlock(&subject.lru->lock);
}

void lru_set_memcg(struct page *page, struct mem_cgroup *memcg)
{
	struct lru *lru = page_is(page, PAGE_DEVICE) ? NULL : lru_of(page);

	if (lru)
		spin_lock(&lru->lock);
	page->memcg = memcg;
	if (lru)
		spin_unlock(&lru->lock);
}

/* ---- figures ------------------------------------------------------------------------------------------------------
 */

uint64_t lru_pages(enum lru_list list)
{
	uint64_t pages = 0;

	for (uint32_t node = 0; node < memory.nr_nodes; node++)
		pages += READ_ONCE(memory.nodes[node].lru.pages[list]);
	return pages;
}

const char *lru_list_name(enum lru_list list)
{
	static const char *const names[NR_LRU_LISTS] = {"inactive_anon", "active_anon", "inactive_file", "active_file",
							"unevictable"};

	return names[list];
}

/* ---- verification -------------------------------------------------------------------------------------------------
 */

static int check_list(struct lru *lru, enum zone_type zone, enum lru_list list)
{
	uint64_t pages = 0;
	struct page *page;
	int result = 0;

	list_for_each_entry(page, &lru->lists[zone][list], lru) {
		uint32_t flags = load_relaxed(&page->flags);
		struct subject subject = subject_of(page);

		pages += subject.pages;
		if ((flags & PAGE_ON_LRU) && !(flags & PAGE_ISOLATED) && is_of_lru_owner(page) &&
		    list_of(&subject) == list && subject.lru == lru && subject.zone == zone)
			continue;
		pr_err("lru_check: pfn 0x%lx, flags 0x%x, owner %s, is on list %d", page_to_pfn(page), flags,
		       page_owner_name(page_owner(page)), list);
		result = -EINVAL;
	}
	if (pages != lru->zone_pages[zone][list]) {
		pr_err("lru_check: list %d of zone %d has %lu pages, its count says %lu", list, zone, pages,
		       lru->zone_pages[zone][list]);
		result = -EINVAL;
	}
	return result;
}

int lru_check(struct lru *lru)
{
	int result = 0;

	spin_lock(&lru->lock);
	for (enum lru_list list = 0; list < NR_LRU_LISTS; list++) {
		uint64_t pages = 0;

		for (enum zone_type zone = 0; zone < NR_ZONE_TYPES; zone++) {
			result = check_list(lru, zone, list) ? -EINVAL : result;
			pages += lru->zone_pages[zone][list];
		}
		if (pages != lru->pages[list]) {
			pr_err("lru_check: lists %d of all zones have %lu pages, their count says %lu", list, pages,
			       lru->pages[list]);
			result = -EINVAL;
		}
	}
	spin_unlock(&lru->lock);
	return result;
}
