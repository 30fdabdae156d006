/*
 * Four levels of tables of 512 entries (Intel SDM volume 3, 4.5). A page ("leaf") is 4 KiB at level 0, 2 MiB at
 * level 1 and 1 GiB at level 2.
 *
 * Mapping descends once per table, not once per page: the inner loop fills entries in a row. A direct map of 16 GiB
 * is 16 tables filled so, or one where the CPU knows 1 GiB pages.
 *
 * Entries are written whole, a table is complete before it is linked, and tables never go away; so lookups need no
 * lock.
 */
#include "arch/x86_64/page_table.h"

#include "kernel/panic.h"
#include "lib/errno.h"
#include "lib/string.h"

#include <arch/page.h>

#define ENTRIES	   512u
#define TOP_LEVEL  3u
#define TOP_LEAF   2u
#define LEVEL_BITS 9u

#define ENTRY_PRESENT	    BIT(0)
#define ENTRY_WRITE	    BIT(1)
#define ENTRY_WRITE_THROUGH BIT(3)
#define ENTRY_CACHE_DISABLE BIT(4)
#define ENTRY_LARGE	    BIT(7) /* a leaf above level 0 */
#define ENTRY_NO_EXECUTE    BIT(63)
#define ENTRY_ADDRESS	    0x000ffffffffff000ul

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + LEVEL_BITS * level;
}

static uint64_t level_bytes(unsigned int level)
{
	return 1ul << level_shift(level);
}

static unsigned int level_index(unsigned int level, uint64_t virt)
{
	return virt >> level_shift(level) & (ENTRIES - 1);
}

static uint64_t *entries_at(const struct page_table *table, uint64_t phys)
{
	return (uint64_t *)(table->memory + phys);
}

static bool is_leaf(uint64_t entry, unsigned int level)
{
	return level == 0 || (entry & ENTRY_LARGE);
}

static uint64_t leaf_bits(unsigned int rights)
{
	return ENTRY_PRESENT | (rights & PAGING_WRITE ? ENTRY_WRITE : 0) |
	       (rights & PAGING_EXECUTE ? 0 : ENTRY_NO_EXECUTE) |
	       (rights & PAGING_UNCACHED ? ENTRY_CACHE_DISABLE | ENTRY_WRITE_THROUGH : 0);
}

static unsigned int leaf_rights(uint64_t entry)
{
	return (entry & ENTRY_WRITE ? PAGING_WRITE : 0) | (entry & ENTRY_NO_EXECUTE ? 0 : PAGING_EXECUTE) |
	       (entry & ENTRY_CACHE_DISABLE ? PAGING_UNCACHED : 0);
}

/* The address of the lowest byte of a leaf: a large page has attributes below its size. */
static uint64_t leaf_phys(uint64_t entry, unsigned int level)
{
	return ALIGN_DOWN(entry & ENTRY_ADDRESS, level_bytes(level));
}

static uint64_t new_table(struct page_table *table)
{
	uint64_t phys = table->alloc(table->context);

	if (phys)
		memset(entries_at(table, phys), 0, PAGE_SIZE);
	return phys;
}

int page_table_init(struct page_table *table)
{
	table->root = new_table(table);
	return table->root ? 0 : -ENOMEM;
}

/* What is still to be mapped; shrinks from the front. */
struct mapping {
	uint64_t virt, phys, bytes, bits;
};

static bool leaf_fits(const struct page_table *table, const struct mapping *mapping, unsigned int level)
{
	uint64_t bytes = level_bytes(level);

	return level <= (table->has_gib_pages ? TOP_LEAF : 1) && mapping->bytes >= bytes &&
	       IS_ALIGNED(mapping->virt | mapping->phys, bytes);
}

/* The table below an entry, made if need be; NULL: no memory. */
static uint64_t *descend(struct page_table *table, uint64_t *entry)
{
	uint64_t phys;

	if (*entry & ENTRY_PRESENT) {
		ASSERT(!(*entry & ENTRY_LARGE), "mapping within a large page");
		return entries_at(table, *entry & ENTRY_ADDRESS);
	}
	phys = new_table(table);
	if (!phys)
		return NULL;
	WRITE_ONCE(*entry, phys | ENTRY_PRESENT | ENTRY_WRITE);
	return entries_at(table, phys);
}

int page_table_reserve_top(struct page_table *table, uint64_t virt)
{
	uint64_t *entries = entries_at(table, table->root);

	return descend(table, &entries[level_index(TOP_LEVEL, virt)]) ? 0 : -ENOMEM;
}

/* Maps what lies within one table. */
static int map_level(struct page_table *table, uint64_t *entries, unsigned int level, struct mapping *mapping)
{
	uint64_t bytes = level_bytes(level), large = level ? ENTRY_LARGE : 0;
	unsigned int index = level_index(level, mapping->virt);

	for (; mapping->bytes && index < ENTRIES; index++) {
		if (leaf_fits(table, mapping, level)) {
			ASSERT(!(entries[index] & ENTRY_PRESENT), "0x%lx is mapped already", mapping->virt);
			WRITE_ONCE(entries[index], mapping->phys | mapping->bits | large);
			mapping->virt += bytes;
			mapping->phys += bytes;
			mapping->bytes -= bytes;
		} else {
			uint64_t *below = descend(table, &entries[index]);
			int result = below ? map_level(table, below, level - 1, mapping) : -ENOMEM;

			if (result)
				return result;
		}
	}
	return 0;
}

int page_table_map(struct page_table *table, uint64_t virt, uint64_t phys, uint64_t bytes, unsigned int rights)
{
	struct mapping mapping = {virt, phys, bytes, leaf_bits(rights)};
	int result;

	ASSERT(IS_ALIGNED(virt | phys | bytes, PAGE_SIZE), "0x%lx, 0x%lx, 0x%lx bytes", virt, phys, bytes);
	ASSERT(!(rights & PAGING_WRITE) || !(rights & PAGING_EXECUTE), "0x%lx writable and executable", virt);
	result = map_level(table, entries_at(table, table->root), TOP_LEVEL, &mapping);
	if (result)
		page_table_unmap(table, virt, mapping.virt - virt);
	return result;
}

/* Unmaps what lies within one table; the address behind it, or @end. */
static uint64_t unmap_level(struct page_table *table, uint64_t *entries, unsigned int level, uint64_t virt,
			    uint64_t end)
{
	uint64_t bytes = level_bytes(level);

	for (unsigned int index = level_index(level, virt); virt != end && index < ENTRIES; index++) {
		uint64_t next = ALIGN_DOWN(virt, bytes) + bytes;

		/* The last page of the address space ends at 0. */
		if (next - 1 > end - 1)
			next = end;
		if ((entries[index] & ENTRY_PRESENT) && is_leaf(entries[index], level)) {
			ASSERT(next - virt == bytes, "unmapping a part of a large page at 0x%lx", virt);
			WRITE_ONCE(entries[index], 0);
		} else if (entries[index] & ENTRY_PRESENT) {
			unmap_level(table, entries_at(table, entries[index] & ENTRY_ADDRESS), level - 1, virt, next);
		}
		virt = next;
	}
	return virt;
}

void page_table_unmap(struct page_table *table, uint64_t virt, uint64_t bytes)
{
	ASSERT(IS_ALIGNED(virt | bytes, PAGE_SIZE), "0x%lx, 0x%lx bytes", virt, bytes);
	if (bytes)
		unmap_level(table, entries_at(table, table->root), TOP_LEVEL, virt, virt + bytes);
}

static bool is_canonical(uint64_t virt)
{
	uint64_t top = virt >> (level_shift(TOP_LEVEL + 1) - 1);

	return top == 0 || top == UINT64_MAX >> (level_shift(TOP_LEVEL + 1) - 1);
}

bool page_table_lookup(const struct page_table *table, uint64_t virt, uint64_t *phys, unsigned int *rights)
{
	const uint64_t *entries = entries_at(table, table->root);

	if (!is_canonical(virt))
		return false;
	for (unsigned int level = TOP_LEVEL;; level--) {
		uint64_t entry = READ_ONCE(entries[level_index(level, virt)]);

		if (!(entry & ENTRY_PRESENT))
			return false;
		if (is_leaf(entry, level)) {
			if (phys)
				*phys = leaf_phys(entry, level) | (virt & (level_bytes(level) - 1));
			if (rights)
				*rights = leaf_rights(entry);
			return true;
		}
		entries = entries_at(table, entry & ENTRY_ADDRESS);
	}
}

static uint64_t sign_extend(uint64_t virt)
{
	unsigned int unused = 64 - level_shift(TOP_LEVEL + 1);

	return (uint64_t)((int64_t)(virt << unused) >> unused);
}

struct visitor {
	const struct page_table *table;
	void (*visit)(const struct page_table_leaf *leaf, void *context);
	void *context;
};

static void visit_level(const struct visitor *visitor, const uint64_t *entries, unsigned int level, uint64_t virt)
{
	for (unsigned int index = 0; index < ENTRIES; index++, virt += level_bytes(level)) {
		uint64_t entry = READ_ONCE(entries[index]);

		if (!(entry & ENTRY_PRESENT))
			continue;
		if (is_leaf(entry, level)) {
			struct page_table_leaf leaf = {.virt = sign_extend(virt),
						       .phys = leaf_phys(entry, level),
						       .bytes = level_bytes(level),
						       .rights = leaf_rights(entry)};

			visitor->visit(&leaf, visitor->context);
		} else {
			visit_level(visitor, entries_at(visitor->table, entry & ENTRY_ADDRESS), level - 1, virt);
		}
	}
}

void page_table_visit(const struct page_table *table, void (*visit)(const struct page_table_leaf *leaf, void *context),
		      void *context)
{
	struct visitor visitor = {table, visit, context};

	visit_level(&visitor, entries_at(table, table->root), TOP_LEVEL, 0);
}
