/*
 * Device memory: ranges, their pages, and copies that only the device can make. See mm/vm/device.h.
 *
 * Ranges are few and looked up often: an array of pointers, read without a lock. One is registered once its pages are
 * ready, and goes only when none of them is in use; so nobody has a frame of it in hand then.
 */
#include "mm/vm/device.h"

#include "kernel/panic.h"
#include "lib/format.h"
#include "lib/string.h"

#define MAX_DEVICES 8

static struct device_memory *devices[MAX_DEVICES];
static struct spinlock devices_lock = SPINLOCK_INIT("device_memories");

struct device_memory *device_of_pfn(uint64_t pfn)
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		struct device_memory *device = load_acquire(&devices[i]);

		if (device && pfn - device->first_pfn < device->pages)
			return device;
	}
	return NULL;
}

struct device_memory *device_find(const char *name, enum device_kind kind)
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		struct device_memory *device = load_acquire(&devices[i]);

		if (device && (name ? strcmp(device->name, name) == 0 : device->kind == kind))
			return device;
	}
	return NULL;
}

static struct page *alloc_for_area(struct area *area)
{
	return device_page_alloc(area->object);
}

const struct area_ops device_area_ops = {.name = "device", .alloc = alloc_for_area};

int device_memory_show(struct sink *out, void *context UNUSED)
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		const struct device_memory *device = load_acquire(&devices[i]);

		if (device)
			sink_printf(out, "%s: %s, frames 0x%lx-0x%lx, %lu pages, %lu used\n", device->name,
				    device->kind == DEVICE_COHERENT ? "coherent" : "private", device->first_pfn,
				    device->first_pfn + device->pages, device->pages, load_relaxed(&device->used));
	}
	return 0;
}

static void fill(struct device_memory *device)
{
	spin_lock_init(&device->lock, "device_memory");
	list_init(&device->free);
	device->used = 0;
	for (uint64_t i = 0; i < device->pages; i++) {
		struct page *page = pfn_to_page(device->first_pfn + i);

		*page = (struct page){.flags = PAGE_DEVICE};
		list_add_tail(&device->free, &page->lru);
	}
}

static bool overlaps(const struct device_memory *a, const struct device_memory *b)
{
	return a->first_pfn < b->first_pfn + b->pages && b->first_pfn < a->first_pfn + a->pages;
}

int device_memory_add(struct device_memory *device)
{
	struct device_memory **place = NULL;
	int error = 0;

	spin_lock(&devices_lock);
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		if (!devices[i])
			place = place ? place : &devices[i];
		else if (overlaps(devices[i], device))
			error = -EEXIST;
	}
	if (!error && !place)
		error = -ENOSPC;
	if (!error) {
		fill(device);
		store_release(place, device);
	}
	spin_unlock(&devices_lock);
	return error;
}

int device_memory_remove(struct device_memory *device)
{
	int error = -ENOENT;

	spin_lock(&devices_lock);
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		if (devices[i] != device)
			continue;
		error = load_relaxed(&device->used) ? -EBUSY : 0;
		if (!error)
			store_release(&devices[i], NULL);
	}
	spin_unlock(&devices_lock);
	return error;
}

struct page *device_page_alloc(struct device_memory *device)
{
	struct page *page = NULL;

	spin_lock(&device->lock);
	if (!list_empty(&device->free)) {
		page = list_first_entry(&device->free, struct page, lru);
		list_del(&page->lru);
		page->refcount = 1;
		store_relaxed(&device->used, device->used + 1);
	}
	spin_unlock(&device->lock);
	return page;
}

void device_page_free(struct page *page)
{
	struct device_memory *device = device_of_pfn(page_to_pfn(page));

	ASSERT(device, "pfn 0x%lx: a device's page without a device", page_to_pfn(page));
	DEBUG_ASSERT(!tlb_reaches(page_to_pfn(page), 1, false), "pfn 0x%lx is freed, and a CPU may still use it",
		     page_to_pfn(page));
	store_relaxed(&page->flags, PAGE_DEVICE);
	page->mapping = NULL;
	page->index = 0;
	spin_lock(&device->lock);
	list_add(&device->free, &page->lru);
	store_relaxed(&device->used, device->used - 1);
	spin_unlock(&device->lock);
}

void device_for_each_page(void (*look)(struct page *page, uint64_t pages))
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		const struct device_memory *device = load_acquire(&devices[i]);

		for (uint64_t at = 0; device && at < device->pages; at++) {
			struct page *page = pfn_to_page(device->first_pfn + at);

			if (page->memcg)
				look(page, 1);
		}
	}
}

bool device_is_private(const struct page *page)
{
	return page_is(page, PAGE_DEVICE) && device_of_pfn(page_to_pfn(page))->kind == DEVICE_PRIVATE;
}

static void *engine_bytes(struct page *page)
{
	struct device_memory *device = device_is_private(page) ? device_of_pfn(page_to_pfn(page)) : NULL;

	return device ? device->engine_bytes(device, page_to_pfn(page) - device->first_pfn) : page_bytes(page);
}

void device_copy(struct page *to, struct page *from)
{
	memcpy(engine_bytes(to), engine_bytes(from), PAGE_SIZE);
}
