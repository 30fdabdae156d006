/*
 * LRU lists: the pages that can be had back, per zone, in the order in which they were used, roughly.
 *
 * Memory is filled zone by zone, so long stretches of what one list per node would hold are of one zone: who needs
 * pages of another would have to pass over gigabytes. The zones of a node share a lock and the books.
 *
 * A page is added to the inactive or the active list of its kind. Being used only sets PAGE_REFERENCED; the hand that
 * comes by from the tail gives such a page a second chance: an inactive one becomes active, an active one stays.
 *
 * A page whose content may be dropped (PAGE_LAZY_FREE) counts as file, whoever's it is: without swap other anonymous
 * pages cannot go, and their lists are not scanned.
 *
 * A page on a list, or isolated from it, has its first page's flags, lru and refcount managed here: PAGE_ON_LRU or
 * PAGE_ISOLATED is set, under the lock never both, and flags are 0 when the page is freed. The page stands for its
 * whole block.
 *
 * Locking: the lists' own lock, under which no other is taken. References: an isolated page has one more, so it stays
 * until it is put back. Nothing here sleeps.
 */
#pragma once

#include "kernel/spinlock.h"
#include "mm/page_ref.h"
#include "mm/zone.h"

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS,
};

struct lru {
	struct spinlock lock;
	struct list_node lists[NR_ZONE_TYPES][NR_LRU_LISTS]; /* struct page.lru, the latest first */
	uint64_t zone_pages[NR_ZONE_TYPES][NR_LRU_LISTS];
	uint64_t pages[NR_LRU_LISTS]; /* of all zones */
	uint64_t isolated;	      /* pages taken off for reclaim or migration */
};

/* How an owner gives up one of its pages; PAGE_OWNER_PAGE_CACHE counts as file, PAGE_OWNER_ANON as anon. */
struct lru_owner_ops {
	/*
	 * @page is isolated. True: its owner has forgotten it and dropped its references; the caller's is the last.
	 * @gently: only if it is clean. Must not wait for memory.
	 */
	bool (*try_free)(struct page *page, bool gently);
};

/* Once per owner, at boot. */
void lru_register_owner(enum page_owner owner, const struct lru_owner_ops *ops);
const struct lru_owner_ops *lru_owner_ops_of(const struct page *page);

void lru_init(struct lru *lru);
/* The lists of the page's node. */
struct lru *lru_of(const struct page *page);
/* The caller holds a reference, the page is on no list. To the active list if PAGE_ACTIVE is set. */
void lru_add(struct page *page);
/* Off the list, for good; false: it is on none (isolated, perhaps). */
bool lru_remove(struct page *page);
/* The same for many whose last references are gone, so that nobody else looks at their flags; tells their orders. */
void lru_remove_unused(struct page **pages, size_t count, uint8_t *orders);
/*
 * Flags that say which list a page belongs to (PAGE_ACTIVE, PAGE_UNEVICTABLE, PAGE_MLOCKED, PAGE_LAZY_FREE) are changed
 * by who isolated it, or here: on a list, it goes to the head of the right one. The caller has a reference.
 */
void lru_change(struct page *page, uint32_t set, uint32_t clear);
/* Whatever else it is, it was used. */
static inline void lru_mark_used(struct page *page)
{
	page_mark(page, PAGE_REFERENCED);
}
/* Takes it off its list with a reference; false: it is on none, or no page of an LRU owner (any more). */
bool lru_isolate(struct page *page);
/* Which pages somebody wants: of that zone, and charged to @memcg or below (NULL: to anybody). */
struct lru_filter {
	enum zone_type zone;
	struct mem_cgroup *memcg;
};
/* Up to @most of them from the tail; others move to the head. Adds what it looked at to *@scanned. */
uint32_t lru_isolate_tail(struct lru *lru, enum lru_list list, struct lru_filter filter, struct page **pages,
			  uint32_t most, uint64_t *scanned);
/* The page's group becomes @memcg, whether it is on a list or not. */
void lru_set_memcg(struct page *page, struct mem_cgroup *memcg);
/* Back to the head of its list (PAGE_ACTIVE says which); drops isolation's reference. */
void lru_put_back(struct page *page);
/* Instead of putting back: the page leaves the lists' books, the reference stays with the caller. */
void lru_forget_isolated(struct page *page);
/* Of all nodes. */
uint64_t lru_pages(enum lru_list list);
/* "inactive_anon" */
const char *lru_list_name(enum lru_list list);
/* Lists, counts and flags agree. 0 or -EINVAL with a line per fault. Takes the lock for the whole time. */
int lru_check(struct lru *lru) MUST_CHECK;
