/*
 * A block of 2 MiB that plays device memory. Nobody but the "device" looks at the bytes of a private one.
 */
#include "mm/vm/device_ram.h"

#include "kernel/memory.h"
#include "lib/string.h"

static void *engine_bytes(struct device_memory *device, uint64_t page)
{
	return (char *)device->context + page * PAGE_SIZE;
}

static void free_block(struct page *block)
{
	for (unsigned int i = 0; i < PTE_ENTRIES; i++)
		free_pages(&block[i], 0);
}

struct device_memory *device_from_ram(const char *name, enum device_kind kind, uint64_t pages)
{
	struct page *block = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DRIVER), HUGE_ORDER);
	struct device_memory *device = block ? kmalloc(sizeof(*device)) : NULL;

	if (block)
		split_page(block, 0);
	if (device) {
		*device = (struct device_memory){
			.name = name,
			.kind = kind,
			.first_pfn = page_to_pfn(block),
			.pages = MIN(pages, (uint64_t)PTE_ENTRIES),
			.bytes = kind == DEVICE_COHERENT ? page_address(block) : NULL,
			.context = page_address(block),
			.engine_bytes = engine_bytes,
		};
		if (device_memory_add(device) == 0)
			return device;
	}
	if (block)
		free_block(block);
	kfree(device);
	return NULL;
}

int device_ram_free(struct device_memory *device)
{
	int error = device_memory_remove(device);

	if (error)
		return error;
	free_block(pfn_to_page(device->first_pfn));
	kfree(device);
	return 0;
}
