/*
 * Fork: a second address space with the same content, that shares pages until one side writes.
 *
 * The child's tables are filled from the parent's, a table at a time, under both table_locks, so that a reverse map's
 * walk, which comes to the parent first, meets every entry once (see mm/vm/rmap.h). Who else takes two? Nobody.
 * Writable private pages become read-only on both sides; the parent is flushed once, at the end, before anybody can use
 * the child.
 *
 * A pinned page stays the parent's alone: a device may be writing to it, so the child gets a copy at once.
 */
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/vm/consumers.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"

struct fork {
	struct mm *parent, *child;
	struct area *area;
	uint64_t *spare;	  /* for a huge entry of the child */
	struct page *pinned_copy; /* for one pinned page */
};

enum { COPIED, NEED_SPARE, NEED_PAGE };

static void read_only(uint64_t *entry, const struct area *area)
{
	if (!(area->flags & AREA_SHARED))
		entry_clear_bits(entry, PTE_WRITE);
}

static uint64_t child_value(const struct fork *fork, uint64_t value)
{
	return fork->area->flags & AREA_SHARED ? value : value & ~PTE_WRITE;
}

static void share(const struct fork *fork, struct page *page, bool huge)
{
	page_get(page);
	page_mapped(page);
	mm_count(fork->child, page, 1, huge);
	if (huge)
		fork->child->counters[MM_HUGE]++;
}

static int copy_pinned(struct fork *fork, uint64_t value, struct page *page, uint64_t *to)
{
	struct page *copy = fork->pinned_copy;

	if (!copy)
		return NEED_PAGE;
	fork->pinned_copy = NULL;
	memcpy(page_bytes(copy), entry_bytes(fork->area, 0, value), PAGE_SIZE);
	page_mapped(copy);
	mm_count(fork->child, copy, 1, false);
	entry_set(to, entry_for_page(fork->area, copy, value & PTE_WRITE));
	return COPIED;
}

static int copy_entry(struct fork *fork, uint64_t address, uint64_t *from, uint64_t *to)
{
	uint64_t value = entry_get(from);
	bool huge = value & PTE_HUGE;
	struct page *page = NULL;

	if (huge && !fork->spare)
		return NEED_SPARE;
	if (pte_maps(value))
		page = vm_normal_any_page(fork->area, address, value);
	else if (pte_parked(value) == PTE_PARKED_DEVICE)
		page = pfn_to_page(pte_pfn(value));
	if (page && !huge && page_may_be_pinned(page) && !(fork->area->flags & AREA_SHARED))
		return copy_pinned(fork, value, page, to);
	if (page)
		share(fork, page, huge);
	else if (huge)
		fork->child->counters[MM_HUGE]++;
	if (huge) {
		table_store_spare(fork->child, fork->spare);
		fork->spare = NULL;
	}
	read_only(from, fork->area);
	entry_set(to, child_value(fork, value));
	return COPIED;
}

static bool pinned_huge(const struct fork *fork, uint64_t address, const uint64_t *entry)
{
	uint64_t value = entry_get(entry);
	struct page *page = pte_maps(value) ? vm_normal_any_page(fork->area, address, value) : NULL;

	return page && page_may_be_pinned(page) && !(fork->area->flags & AREA_SHARED);
}

/* One table's worth from *@at on; *@at is how far it came. */
static int copy_table(struct fork *fork, uint64_t *at, uint64_t end)
{
	unsigned int level;
	uint64_t *from = table_leaf(fork->parent, *at, &level), *to;
	int result = COPIED;

	if (!from || (level == 1 && !entry_get(from))) {
		*at = end;
		return COPIED;
	}
	if (level == 1 && pinned_huge(fork, *at, from)) {
		table_split(fork->parent, *at, from);
		return COPIED; /* once more, in parts */
	}
	to = table_entry(fork->child, *at, level);
	if (!to)
		return COPIED; /* a huge entry was split since: the child needs one table more */
	if (level == 1) {
		result = copy_entry(fork, *at, from, to);
		*at = result == COPIED ? end : *at;
		return result;
	}
	for (; *at < end && result == COPIED; from++, to++) {
		if (entry_get(from) && !entry_get(to))
			result = copy_entry(fork, *at, from, to);
		*at += result == COPIED ? PAGE_SIZE : 0;
	}
	return result;
}

/* What copy_table() asked for, outside of the lock. */
static int provide(struct fork *fork, int need, uint64_t address)
{
	if (need == NEED_SPARE)
		fork->spare = table_new(fork->child);
	if (need == NEED_PAGE)
		fork->pinned_copy = page_new_anon(fork->child, fork->area, address, 0);
	return (need == NEED_SPARE && !fork->spare) || (need == NEED_PAGE && !fork->pinned_copy) ? -ENOMEM : 0;
}

/* The tables that the child will need between @at and @end, at most one table's worth apart. */
static int make_child_table(struct fork *fork, uint64_t at)
{
	unsigned int level;
	uint64_t *from = table_leaf(fork->parent, at, &level);

	if (!from || (level == 1 && !entry_get(from)))
		return 0;
	return table_entry_make(fork->child, at, level) ? 0 : -ENOMEM;
}

static int copy_area_entries(struct fork *fork)
{
	uint64_t at = fork->area->start;

	while (at < fork->area->end) {
		uint64_t end = MIN(fork->area->end, ALIGN_DOWN(at, HUGE_BYTES) + HUGE_BYTES);
		int need, error = make_child_table(fork, at);

		if (error)
			return error;
		spin_lock(&fork->parent->table_lock);
		/* The older first; as a trylock, for the lock-order checker knows one class. */
		while (!spin_trylock(&fork->child->table_lock))
			cpu_relax();
		need = copy_table(fork, &at, end);
		spin_unlock(&fork->child->table_lock);
		spin_unlock(&fork->parent->table_lock);
		error = provide(fork, need, at);
		if (error)
			return error;
	}
	return 0;
}

static int copy_area(struct fork *fork, const struct area *area)
{
	struct area *copy = area_clone(area, fork->child);

	if (!copy)
		return -ENOMEM;
	copy->flags &= ~(uint32_t)AREA_LOCKED; /* locks are not inherited */
	list_add_tail(&fork->child->areas, &copy->node);
	if (copy->ops && copy->ops->open)
		copy->ops->open(copy);
	fork->child->mapped_pages += (copy->end - copy->start) >> PAGE_SHIFT;
	fork->area = copy;
	return copy_area_entries(fork);
}

struct mm *mm_fork(struct mm *parent)
{
	struct fork fork = {.parent = parent, .child = mm_new_in(parent)};
	struct area *area;
	int error = 0;

	if (!fork.child)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&parent->lock);
	list_for_each_entry(area, &parent->areas, node) {
		error = copy_area(&fork, area);
		if (error)
			break;
	}
	address_space_flush(&parent->space, 0, USER_END);
	mutex_unlock(&parent->lock);
	if (fork.spare)
		table_free(fork.child, fork.spare);
	if (fork.pinned_copy)
		page_put(fork.pinned_copy);
	if (!error) {
		mm_publish(fork.child);
		return fork.child;
	}
	mm_put(fork.child);
	return ERR_PTR(error);
}
