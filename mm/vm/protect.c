/*
 * Rights of areas (mprotect). More rights are found out by the next fault; fewer are taken from the entries at once,
 * and flushed before it returns.
 */
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

#define RIGHTS (AREA_READ | AREA_WRITE)

static int forbid_writing(struct table_walk *walk UNUSED, uint64_t address UNUSED, uint64_t *entry)
{
	if (entry_get(entry) & PTE_WRITE)
		entry_clear_bits(entry, PTE_WRITE);
	return 0;
}

/* Nothing may touch it: hinting (after its way elsewhere, too), and no fault will make it present while the area has no
 * rights. */
static int forbid_all(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t value = entry_get(entry);

	while ((value & PTE_PRESENT) && !atomic_cas(entry, &value, (value & ~(PTE_PRESENT | PTE_WRITE)) | PTE_HINT))
		;
	if (pte_parked(value))
		(void)atomic_fetch_or(entry, PTE_PARKED_HINT);
	return forbid_writing(walk, address, entry);
}

static void protect_area(struct mm *mm, struct area *area, uint32_t rights)
{
	struct table_walk walk = {.mm = mm, .area = area};
	uint32_t lost = area->flags & ~rights & RIGHTS;

	area->flags = (area->flags & ~(uint32_t)RIGHTS) | rights;
	if (!lost)
		return;
	walk.page = walk.huge = rights ? forbid_writing : forbid_all;
	(void)table_walk(&walk, area->start, area->end);
	address_space_flush(&mm->space, area->start, area->end - area->start);
}

static int protect_locked(struct mm *mm, uint64_t start, uint64_t end, uint32_t rights)
{
	uint64_t at = start;
	int error = area_isolate(mm, start, end);

	if (error)
		return error;
	for_each_area(area, mm, start, end) {
		if (area->start != at)
			break;
		protect_area(mm, area, rights);
		at = area->end;
	}
	area_merge(mm, start, end);
	return at < end ? -ENOMEM : 0;
}

int mm_protect(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t rights)
{
	int error;

	if (!IS_ALIGNED(start | bytes, PAGE_SIZE) || !bytes || (rights & ~RIGHTS) || start + bytes < start)
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = protect_locked(mm, start, start + bytes, rights);
	mutex_unlock(&mm->lock);
	return error;
}
