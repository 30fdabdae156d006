/*
 * Page structures for frames that are no RAM: device memory that address spaces map.
 *
 * The array of page structures is one piece of virtual memory for all frames there can be, backed where RAM is. A
 * device's frames get theirs by backing a few more pages of it, wherever firmware put the device: pfn_to_page() is the
 * same arithmetic for all, and zones know nothing of them. What was backed stays so: another device may share a page.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memory.h"

/* The array ends where another user of the address space begins: 16 TiB of structures, 1 PiB of frames. */
#define FRAMES_MAX (1ul << 38)

/* One page of the array; it may be there already. */
static int back_page(uint64_t virt)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_DRIVER), 0);
	int error = page ? memory.map_structs(virt, page_to_phys(page), PAGE_SIZE) : -ENOMEM;

	if (page && error)
		free_pages(page, 0);
	return error == -EEXIST ? 0 : error;
}

int page_structs_add(uint64_t first_pfn, uint64_t pages)
{
	uint64_t at = ALIGN_DOWN((uint64_t)pfn_to_page(first_pfn), PAGE_SIZE);
	int error = 0;

	if (first_pfn >= FRAMES_MAX || pages > FRAMES_MAX - first_pfn)
		return -ERANGE;
	for (uint64_t end = (uint64_t)pfn_to_page(first_pfn + pages); memory.map_structs && at < end && !error;
	     at += PAGE_SIZE)
		error = back_page(at);
	return error;
}
