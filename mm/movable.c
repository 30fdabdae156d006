/*
 * Who can move their pages: one table, filled at boot.
 */
#include "mm/movable.h"

#include "lib/atomic.h"

static const struct movable_ops *operations[NR_PAGE_OWNERS];

void movable_register(enum page_owner owner, const struct movable_ops *ops)
{
	store_release(&operations[owner], ops);
}

const struct movable_ops *movable_ops_of(enum page_owner owner)
{
	return load_acquire(&operations[owner]);
}
