/*
 * Memory at boot: what the firmware and the tables say, into memblock, page tables and the allocator.
 */
#include "init/memory.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/platform.h"
#include "kernel/kasan.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "mm/kmalloc.h"
#include "mm/memory.h"

#include <arch/page.h>

/* The boot stub's tables reach this far. */
#define EARLY_LIMIT GIB(4)

static uint64_t take_early(uint64_t bytes, uint64_t align)
{
	return memblock_alloc(&memblock, bytes, align, 0, EARLY_LIMIT);
}

/* Once the direct map is whole. */
static uint64_t take_anywhere(uint64_t bytes, uint64_t align)
{
	return memblock_alloc(&memblock, bytes, align, 0, UINT64_MAX);
}

static uint64_t alloc_page(enum paging_purpose purpose)
{
	enum page_owner owner = purpose == PAGING_FOR_STACK ? PAGE_OWNER_STACK : PAGE_OWNER_PAGE_TABLE;
	struct page *page = alloc_pages(GFP_ATOMIC | GFP_OWNER(owner), 0);

	return page ? page_to_phys(page) : 0;
}

static void release_page(uint64_t phys)
{
	free_pages(pfn_to_page(phys >> PAGE_SHIFT), 0);
}

static int map_structs(uint64_t virt, uint64_t phys, uint64_t bytes)
{
	return paging_lookup(virt, NULL, NULL) ? -EEXIST : paging_map(virt, phys, bytes, PAGING_WRITE);
}

static void add_range(const struct boot_range *range)
{
	if (range->type != BOOT_MEMORY_USABLE && range->type != BOOT_MEMORY_BOOT_SERVICES)
		return;
	if (memblock_add(&memblock, range->start, range->end, 0))
		pr_warn("memory: too many ranges, [0x%lx, 0x%lx) is not used", range->start, range->end);
}

static void reserve(uint64_t start, uint64_t end)
{
	if (memblock_reserve(&memblock, start, end))
		panic("memory: no room to reserve [0x%lx, 0x%lx)", start, end);
}

static void set_node(const struct machine_memory *memory_of_node)
{
	if (memblock_set_node(&memblock, memory_of_node->start, memory_of_node->end, (int)memory_of_node->node))
		pr_warn("memory: too many ranges, part of node %u is taken for another's", memory_of_node->node);
}

void memory_init(const struct boot_info *info, const struct machine *machine)
{
	uint64_t low_page = smp_reserve_low_page(info);

	memblock_init(&memblock);
	for (size_t i = 0; i < info->nr_ranges; i++)
		add_range(&info->ranges[i]);
	reserve(0, PAGE_SIZE);
	reserve(ALIGN_DOWN(info->image_start, PAGE_SIZE), ALIGN_UP(info->image_end, PAGE_SIZE));
	if (low_page)
		reserve(low_page, low_page + PAGE_SIZE);
	else
		pr_warn("no page below 640 KiB: other CPUs cannot be started");
	for (size_t i = 0; i < machine->nr_memory; i++)
		set_node(&machine->memory[i]);
	paging_init(info, take_early);
	kasan_init(info, take_anywhere);
	boot_stamp("page tables");
	mm_init(&memblock, machine, map_structs);
	kmalloc_init();
	paging_use_allocator(alloc_page, release_page);
}
