/*
 * Moving a page: all entries that map it are parked, then it is copied, then the entries map the copy.
 *
 * While entries are parked nobody can add a reference by way of a table; so if only the mover's is left, the content
 * holds still. Otherwise somebody (a pin, another scan) uses the page: the entries go back to it. The count is 0
 * meanwhile, so that those who come by other ways, KSM's tables and the LRU lists, do not take one to a page that is
 * about to be another's.
 *
 * Compaction and whoever empties ranges find pages by their tags and isolate them from their LRU lists first.
 */
#include "kernel/panic.h"
#include "mm/lru.h"
#include "mm/memcg.h"
#include "mm/movable.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/ksm.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vmstat.h"

static void hand_over(struct page *from, struct page *to)
{
	const uint32_t carried =
		PAGE_DIRTY | PAGE_REFERENCED | PAGE_ACTIVE | PAGE_MLOCKED | PAGE_LAZY_FREE | PAGE_HUGE | PAGE_SHARED;

	page_mark(to, load_relaxed(&from->flags) & carried);
	to->mapping = from->mapping;
	to->index = from->index;
	memcg_hand_over(from, to);
	if (page_is(from, PAGE_KSM))
		ksm_page_moved(from, to);
	if (!page_is(to, PAGE_DEVICE))
		lru_add(to);
}

static int move_page(struct page *from, struct page *to)
{
	struct parking parking = page_park_entries(from);
	uint32_t mine = 1;

	if (!atomic_cas(&from->refcount, &mine, 0)) {
		page_unpark_entries(&parking, from);
		return -EAGAIN;
	}
	DEBUG_ASSERT(!tlb_reaches(page_to_pfn(from), 1ul << page_map_order(from), false),
		     "pfn 0x%lx moves, and a CPU may still use it", page_to_pfn(from));
	page_copy_content(to, from);
	page_mark(to, PAGE_LOCKED); /* until all its entries can be found again */
	hand_over(from, to);
	page_unpark_entries(&parking, to);
	page_unlock(to);
	store_release(&from->refcount, 1u);
	return 0;
}

int migrate_page(struct page *from, struct page *to)
{
	uint64_t pages = 1ul << page_map_order(from);
	int error = move_page(from, to);

	if (error)
		vm_events(pgmigrate_fail, pages);
	else
		vm_events(pgmigrate_success, pages);
	return error;
}

int migrate_page_to_node(struct page *from, int node)
{
	uint32_t gfp = GFP_USER | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_ANON) | (node == NODE_ANY ? 0 : GFP_THISNODE);
	struct page *to = alloc_pages_node(node, gfp, page_map_order(from));
	int error;

	if (!to)
		return -ENOMEM;
	error = migrate_page(from, to);
	page_put(to);
	return error;
}

int migrate_found_page(struct page *page, int node)
{
	int error = -EBUSY;

	if (page_trylock(page)) {
		error = page_owner_is_anon(page) ? migrate_page_to_node(page, node) : -EBUSY;
		page_unlock(page);
	}
	page_put(page);
	return error;
}

/* ---- for who goes by tags; he counts, too ---- */

static int migrate_isolated(struct page *from, struct page *to)
{
	int error;

	if (!page_trylock(from))
		return -EAGAIN;
	error = move_page(from, to);
	page_unlock(from);
	if (error)
		return error;
	lru_forget_isolated(from);
	store_relaxed(&from->flags, 0);
	page_put(to);
	return 0;
}

static const struct movable_ops movable_ops = {
	.isolate = lru_isolate, .migrate = migrate_isolated, .put_back = lru_put_back};

void vm_migrate_init(void)
{
	movable_register(PAGE_OWNER_ANON, &movable_ops);
}
