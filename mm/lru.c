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
	for (unsigned int list = 0; list < NR_LRU_LISTS; list++)
		list_init(&lru->lists[list]);
}

struct lru *lru_of(const struct page *page)
{
	return &memory.nodes[page_node(page)].lru;
}

static enum lru_list list_of(const struct page *page)
{
	uint32_t flags = load_relaxed(&page->flags);
	bool file = (flags & PAGE_LAZY_FREE) || page_owner(page) == PAGE_OWNER_PAGE_CACHE;

	if (flags & (PAGE_UNEVICTABLE | PAGE_MLOCKED))
		return LRU_UNEVICTABLE;
	if (flags & PAGE_ACTIVE)
		return file ? LRU_ACTIVE_FILE : LRU_ACTIVE_ANON;
	return file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
}

static uint64_t pages_of(const struct page *page)
{
	return 1ull << page_order(page);
}

static void add_locked(struct lru *lru, struct page *page)
{
	enum lru_list list = list_of(page);

	DEBUG_ASSERT(!page_is(page, PAGE_ON_LRU));
	list_add(&lru->lists[list], &page->lru);
	WRITE_ONCE(lru->pages[list], lru->pages[list] + pages_of(page));
	page_mark(page, PAGE_ON_LRU);
}

static void remove_locked(struct lru *lru, struct page *page)
{
	enum lru_list list = list_of(page);

	list_del(&page->lru);
	WRITE_ONCE(lru->pages[list], lru->pages[list] - pages_of(page));
	page_unmark(page, PAGE_ON_LRU);
}

void lru_add(struct page *page)
{
	struct lru *lru = lru_of(page);

	spin_lock(&lru->lock);
	add_locked(lru, page);
	spin_unlock(&lru->lock);
}

bool lru_remove(struct page *page)
{
	struct lru *lru = lru_of(page);
	bool was_on;

	spin_lock(&lru->lock);
	was_on = page_is(page, PAGE_ON_LRU);
	if (was_on)
		remove_locked(lru, page);
	spin_unlock(&lru->lock);
	return was_on;
}

void lru_change(struct page *page, uint32_t set, uint32_t clear)
{
	struct lru *lru = lru_of(page);
	bool was_on;

	spin_lock(&lru->lock);
	was_on = page_is(page, PAGE_ON_LRU);
	if (was_on)
		remove_locked(lru, page);
	atomic_fetch_or(&page->flags, set);
	atomic_fetch_and(&page->flags, ~clear);
	if (was_on)
		add_locked(lru, page);
	spin_unlock(&lru->lock);
}

/* ---- isolation ----------------------------------------------------------------------------------------------------
 */

static bool is_of_lru_owner(const struct page *page)
{
	enum page_owner owner = page_owner(page);

	return owner == PAGE_OWNER_PAGE_CACHE || owner == PAGE_OWNER_ANON;
}

static bool isolate_locked(struct lru *lru, struct page *page)
{
	if (!page_get_unless_zero(page)) /* its freer waits for the lock */
		return false;
	page_mark(page, PAGE_ISOLATED); /* first: who looks without the lock sees one of the two */
	remove_locked(lru, page);
	WRITE_ONCE(lru->isolated, lru->isolated + pages_of(page));
	return true;
}

bool lru_isolate(struct page *page)
{
	struct lru *lru = lru_of(page);
	bool isolated;

	spin_lock(&lru->lock);
	isolated = is_of_lru_owner(page) && page_is(page, PAGE_ON_LRU) && isolate_locked(lru, page);
	spin_unlock(&lru->lock);
	return isolated;
}

static enum zone_type zone_type_of(const struct page *page)
{
	return zone_of_pfn(page_to_pfn(page))->type;
}

uint32_t lru_isolate_tail(struct lru *lru, enum lru_list list, enum zone_type highest, struct page **pages,
			  uint32_t most, uint64_t *scanned)
{
	struct list_node *head = &lru->lists[list];
	uint32_t count = 0;

	spin_lock(&lru->lock);
	for (uint32_t looked = 0; looked < 2 * most && count < most && !list_empty(head); looked++) {
		struct page *page = list_entry(head->prev, struct page, lru);

		*scanned += pages_of(page);
		if (zone_type_of(page) <= highest && isolate_locked(lru, page)) {
			pages[count++] = page;
			continue;
		}
		list_del(&page->lru);
		list_add(head, &page->lru);
	}
	spin_unlock(&lru->lock);
	return count;
}

static void leave_isolation_locked(struct lru *lru, struct page *page)
{
	DEBUG_ASSERT(page_is(page, PAGE_ISOLATED));
	WRITE_ONCE(lru->isolated, lru->isolated - pages_of(page));
	page_unmark(page, PAGE_ISOLATED);
}

void lru_put_back(struct page *page)
{
	struct lru *lru = lru_of(page);

	spin_lock(&lru->lock);
	add_locked(lru, page);
	leave_isolation_locked(lru, page);
	spin_unlock(&lru->lock);
	page_put(page);
}

void lru_forget_isolated(struct page *page)
{
	struct lru *lru = lru_of(page);

	spin_lock(&lru->lock);
	leave_isolation_locked(lru, page);
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

static int check_list(struct lru *lru, enum lru_list list)
{
	uint64_t pages = 0;
	struct page *page;
	int result = 0;

	list_for_each_entry(page, &lru->lists[list], lru) {
		uint32_t flags = load_relaxed(&page->flags);

		pages += pages_of(page);
		if ((flags & PAGE_ON_LRU) && !(flags & PAGE_ISOLATED) && is_of_lru_owner(page) &&
		    list_of(page) == list && lru_of(page) == lru)
			continue;
		pr_err("lru_check: pfn 0x%lx, flags 0x%x, owner %s, is on list %d", page_to_pfn(page), flags,
		       page_owner_name(page_owner(page)), list);
		result = -EINVAL;
	}
	if (pages != lru->pages[list]) {
		pr_err("lru_check: list %d has %lu pages, its count says %lu", list, pages, lru->pages[list]);
		result = -EINVAL;
	}
	return result;
}

int lru_check(struct lru *lru)
{
	int result = 0;

	spin_lock(&lru->lock);
	for (enum lru_list list = 0; list < NR_LRU_LISTS; list++)
		if (check_list(lru, list))
			result = -EINVAL;
	spin_unlock(&lru->lock);
	return result;
}
