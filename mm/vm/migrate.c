/*
 * Moving a page: all entries that map it are parked, then it is copied, then the entries map the copy.
 *
 * While entries are parked nobody can add a reference by way of a table; so if only the mover's is left, the content
 * holds still. Otherwise somebody (a pin, another scan) uses the page: the entries go back to it.
 */
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/ksm.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vmstat.h"

static void hand_over(struct page *from, struct page *to)
{
	const uint32_t carried = PAGE_DIRTY | PAGE_REFERENCED | PAGE_MLOCKED | PAGE_LAZY_FREE | PAGE_HUGE;

	page_mark(to, from->flags & carried);
	to->mapping = from->mapping;
	to->index = from->index;
	if (page_is(from, PAGE_KSM))
		ksm_page_moved(from, to);
}

int migrate_page(struct page *from, struct page *to)
{
	struct parking parking = page_park_entries(from);

	if (load_relaxed(&from->refcount) != 1) {
		page_unpark_entries(&parking, from);
		vm_event(pgmigrate_fail);
		return -EAGAIN;
	}
	page_copy_content(to, from);
	hand_over(from, to);
	page_unpark_entries(&parking, to);
	vm_event(pgmigrate_success);
	return 0;
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
