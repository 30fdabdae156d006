/*
 * The gate page: one page that is in every address space, at the same place, in none of its areas. It is there so that
 * lookups by address have the case of an entry without an area of the space's own (get_user_pages).
 */
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"

static struct page *gate_page;
struct area gate_area = {.start = GATE_START, .end = GATE_START + PAGE_SIZE, .flags = AREA_READ};

void gate_init(struct page *page)
{
	gate_page = page;
}

int gate_fault(struct mm *mm)
{
	uint64_t *entry = table_entry_make(mm, GATE_START, 0);

	if (!entry)
		return -ENOMEM;
	spin_lock(&mm->table_lock);
	if (!entry_get(entry)) {
		page_get(gate_page);
		page_mapped(gate_page);
		entry_set(entry, page_to_pfn(gate_page) << PAGE_SHIFT | PTE_PRESENT | PTE_NO_EXECUTE | PTE_ACCESSED);
	}
	spin_unlock(&mm->table_lock);
	return 0;
}

/* The space is being taken down; no CPU has it. */
void gate_unmap(struct mm *mm)
{
	unsigned int level;
	uint64_t *entry = table_leaf(mm, GATE_START, &level);

	if (!entry || level || !entry_exchange(entry, 0))
		return;
	page_unmapped(gate_page);
	page_put(gate_page);
}
