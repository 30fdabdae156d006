/*
 * ivshmem-plain: finding the devices, and a first-fit range allocator over each one's pages.
 *
 * The device has no registers that matter here (BAR 0 is for doorbells, which the plain kind lacks): BAR 2 is all.
 * It is mapped write-back: the host sees the same cache.
 */
#include "drivers/ivshmem.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/bitmap.h"
#include "lib/errno.h"

#include <arch/io.h>
#include <arch/page.h>

#define VENDOR_IVSHMEM 0x1af4
#define DEVICE_IVSHMEM 0x1110
#define MEMORY_BAR     2

static struct list_node devices = LIST_INIT(devices);
static unsigned int nr_devices;

/* NULL, or what is not as it should be. */
static const char *set_up(struct ivshmem *ivshmem)
{
	const struct pci_bar *bar = pci_bar(ivshmem->pci, MEMORY_BAR);

	if (bar->is_io || !bar->address || bar->bytes < PAGE_SIZE)
		return "no memory in BAR 2";
	ivshmem->phys = bar->address;
	ivshmem->bytes = ivshmem->free_bytes = bar->bytes;
	pci_enable(ivshmem->pci);
	ivshmem->address = device_map(ivshmem->phys, ivshmem->bytes, DEVICE_WRITE_BACK);
	ivshmem->taken = kzalloc(BITMAP_WORDS(ivshmem->bytes / PAGE_SIZE) * sizeof(uint64_t));
	return ivshmem->address && ivshmem->taken ? NULL : "no memory to map it";
}

static void take_device(struct pci_device *pci)
{
	struct ivshmem *ivshmem = kzalloc(sizeof(*ivshmem));
	const char *wrong = "no memory";

	if (ivshmem) {
		ivshmem->pci = pci;
		mutex_init(&ivshmem->lock, "ivshmem");
		wrong = set_up(ivshmem);
	}
	if (wrong) {
		pr_err("ivshmem %02x:%02x.%x: %s: left alone", pci->bus, pci->slot, pci->function, wrong);
		if (ivshmem)
			kfree(ivshmem->taken);
		kfree(ivshmem);
		return;
	}
	ivshmem->index = nr_devices++;
	pci->driver = "ivshmem";
	pci->driver_data = ivshmem;
	list_add_tail(&devices, &ivshmem->node);
	pr_info("ivshmem%u: %llu KiB at 0x%lx", ivshmem->index, (unsigned long long)(ivshmem->bytes >> 10),
		ivshmem->phys);
}

unsigned int ivshmem_probe(struct list_node *pci_devices)
{
	struct pci_device *pci;

	list_for_each_entry(pci, pci_devices, node)
		if (pci->vendor == VENDOR_IVSHMEM && pci->device == DEVICE_IVSHMEM && !pci->driver_data)
			take_device(pci);
	return nr_devices;
}

struct ivshmem *ivshmem_find(unsigned int index)
{
	struct ivshmem *ivshmem;

	list_for_each_entry(ivshmem, &devices, node)
		if (ivshmem->index == index)
			return ivshmem;
	return NULL;
}

/* ---- ranges ---- */

/* The lowest page that is suitably aligned and begins @count free ones, or @end. */
static uint64_t find_free(const struct ivshmem *ivshmem, uint64_t count, uint64_t align, uint64_t end)
{
	uint64_t first = ivshmem->phys / PAGE_SIZE, at = 0;

	for (;;) {
		uint64_t used;

		at = ALIGN_UP(first + bitmap_next_clear(ivshmem->taken, end, at), align / PAGE_SIZE) - first;
		if (at > end || count > end - at)
			return end;
		used = bitmap_next_set(ivshmem->taken, at + count, at);
		if (used == at + count)
			return at;
		at = used;
	}
}

int ivshmem_take(struct ivshmem *ivshmem, uint64_t bytes, uint64_t align, uint64_t *offset)
{
	uint64_t end = ivshmem->bytes / PAGE_SIZE, count = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0), at;

	align = align ? align : PAGE_SIZE;
	if (!bytes || align < PAGE_SIZE || (align & (align - 1)))
		return -EINVAL;
	mutex_lock(&ivshmem->lock);
	at = find_free(ivshmem, count, align, end);
	if (at < end) {
		bitmap_set_range(ivshmem->taken, at, count);
		ivshmem->free_bytes -= count * PAGE_SIZE;
	}
	mutex_unlock(&ivshmem->lock);
	*offset = at * PAGE_SIZE;
	return at < end ? 0 : -ENOMEM;
}

void ivshmem_give_back(struct ivshmem *ivshmem, uint64_t offset, uint64_t bytes)
{
	uint64_t at = offset / PAGE_SIZE, count = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0);

	mutex_lock(&ivshmem->lock);
	ASSERT(offset % PAGE_SIZE == 0 && (at + count) * PAGE_SIZE <= ivshmem->bytes &&
		       bitmap_next_clear(ivshmem->taken, at + count, at) == at + count,
	       "ivshmem%u: [0x%llx, +0x%llx) is not all taken", ivshmem->index, (unsigned long long)offset,
	       (unsigned long long)bytes);
	bitmap_clear_range(ivshmem->taken, at, count);
	ivshmem->free_bytes += count * PAGE_SIZE;
	mutex_unlock(&ivshmem->lock);
}
