/*
 * Device memory for address spaces in ivshmem's BAR.
 *
 * Of private memory the kernel's view stays within this file: it is the device's copy engine, and nobody else has the
 * address.
 */
#include "drivers/ivshmem_memory.h"

#include "kernel/cmdline.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/parse.h"
#include "lib/string.h"

struct ivshmem_memory {
	struct device_memory device;
	struct ivshmem *ivshmem;
	uint64_t offset;
	char name[16];
};

static struct ivshmem_memory *part_of(struct device_memory *device)
{
	return container_of(device, struct ivshmem_memory, device);
}

static void *engine_bytes(struct device_memory *device, uint64_t page)
{
	return part_of(device)->ivshmem->address + part_of(device)->offset + page * PAGE_SIZE;
}

static int add(struct ivshmem_memory *part, enum device_kind kind, uint64_t bytes)
{
	struct ivshmem *ivshmem = part->ivshmem;
	int error = IS_ALIGNED(bytes, PAGE_SIZE) ? ivshmem_take(ivshmem, bytes, 0, &part->offset) : -EINVAL;

	if (error)
		return error;
	format(part->name, sizeof(part->name), "%s%u", kind == DEVICE_COHERENT ? "coherent" : "private",
	       ivshmem->index);
	part->device = (struct device_memory){
		.name = part->name,
		.kind = kind,
		.first_pfn = (ivshmem->phys + part->offset) >> PAGE_SHIFT,
		.pages = bytes >> PAGE_SHIFT,
		.bytes = kind == DEVICE_COHERENT ? ivshmem->address + part->offset : NULL,
		.engine_bytes = engine_bytes,
	};
	error = page_structs_add(part->device.first_pfn, part->device.pages);
	if (!error)
		error = device_memory_add(&part->device);
	if (error)
		ivshmem_give_back(ivshmem, part->offset, bytes);
	return error;
}

struct device_memory *ivshmem_memory_add(struct ivshmem *ivshmem, enum device_kind kind, uint64_t bytes)
{
	struct ivshmem_memory *part = kzalloc(sizeof(*part));

	if (!part)
		return NULL;
	part->ivshmem = ivshmem;
	if (add(part, kind, bytes) == 0)
		return &part->device;
	kfree(part);
	return NULL;
}

int ivshmem_memory_remove(struct device_memory *device)
{
	struct ivshmem_memory *part = part_of(device);
	int error = device_memory_remove(device);

	if (error)
		return error;
	ivshmem_give_back(part->ivshmem, part->offset, device->pages * PAGE_SIZE);
	kfree(part);
	return 0;
}

static void start_kind(const char *key, enum device_kind kind)
{
	const char *text = cmdline_value(key);
	struct ivshmem *ivshmem = ivshmem_find(0);
	uint64_t bytes;

	if (!text)
		return;
	if (parse_size(text, &bytes) || !bytes || !IS_ALIGNED(bytes, PAGE_SIZE)) {
		pr_err("%s=%s: a size in whole pages was expected: no such memory", key, text);
		return;
	}
	if (!ivshmem)
		pr_err("%s=%s: there is no ivshmem device", key, text);
	for (unsigned int i = 0; (ivshmem = ivshmem_find(i)); i++)
		if (!ivshmem_memory_add(ivshmem, kind, bytes))
			pr_err("%s=%s: ivshmem%u has %lu KiB left: left alone", key, text, i,
			       ivshmem->free_bytes >> 10);
}

void ivshmem_memory_start(void)
{
	start_kind("ivshmem.coherent", DEVICE_COHERENT);
	start_kind("ivshmem.private", DEVICE_PRIVATE);
}
