/*
 * Device memory, mapped on demand at addresses handed out one behind the other. Firmware puts 64-bit BARs where it
 * likes (896 GiB and higher), so their place in the kernel has nothing to do with their physical address.
 *
 * What was mapped stays mapped and is found again: drivers may ask for parts of one BAR one by one.
 */
#include "arch/x86_64/paging.h"

#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"

#include <arch/io.h>
#include <arch/page.h>

#define MAPPINGS_MAX 256

struct device_mapping {
	uint64_t phys, bytes, virt;
	enum device_caching caching;
};

static struct spinlock device_lock = SPINLOCK_INIT("device_map");
static struct device_mapping mappings[MAPPINGS_MAX];
static size_t nr_mappings;
static uint64_t next_virt = DEVICE_MAP_BASE;

static struct device_mapping *find(uint64_t phys, uint64_t bytes, enum device_caching caching)
{
	for (size_t i = 0; i < nr_mappings; i++) {
		struct device_mapping *at = &mappings[i];

		if (at->caching == caching && phys >= at->phys && phys - at->phys <= at->bytes &&
		    bytes <= at->bytes - (phys - at->phys))
			return at;
	}
	return NULL;
}

/* @phys and @bytes are whole pages. NULL with an error line. */
static struct device_mapping *add(uint64_t phys, uint64_t bytes, enum device_caching caching)
{
	/* The same place within 2 MiB as in physical memory lets large pages fit; a gap catches runaway accesses. */
	uint64_t virt = ALIGN_UP(next_virt + PAGE_SIZE, LARGE_PAGE_SIZE) + (phys & (LARGE_PAGE_SIZE - 1));
	unsigned int rights = PAGING_WRITE | (caching == DEVICE_UNCACHED ? PAGING_UNCACHED : 0);

	if (nr_mappings == MAPPINGS_MAX || bytes > STACK_AREA_BASE - virt) {
		pr_err("device_map: no room for 0x%lx bytes at 0x%lx", bytes, phys);
		return NULL;
	}
	if (paging_map(virt, phys, bytes, rights)) {
		pr_err("device_map: no memory for the page tables of 0x%lx bytes at 0x%lx", bytes, phys);
		return NULL;
	}
	next_virt = virt + bytes;
	mappings[nr_mappings] = (struct device_mapping){phys, bytes, virt, caching};
	return &mappings[nr_mappings++];
}

void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching)
{
	uint64_t first = ALIGN_DOWN(phys, PAGE_SIZE), end = ALIGN_UP(phys + bytes, PAGE_SIZE);
	struct device_mapping *mapping;
	unsigned long flags;

	if (bytes == 0 || end <= first || end > 1ul << 52) {
		pr_err("device_map: there is no device at 0x%lx of 0x%lx bytes", phys, bytes);
		return NULL;
	}
	flags = spin_lock_irqsave(&device_lock);
	mapping = find(first, end - first, caching);
	if (!mapping)
		mapping = add(first, end - first, caching);
	spin_unlock_irqrestore(&device_lock, flags);
	return mapping ? (char *)mapping->virt + (phys - mapping->phys) : NULL;
}
