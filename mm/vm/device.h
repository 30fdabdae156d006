/*
 * Device memory with page structures of its own, in two kinds:
 *   - coherent: the CPU reads and writes it like RAM; entries map it (PTE_DEVICE);
 *   - private: the CPU cannot reach it; parked entries stand for it, and whoever touches one makes it come back.
 *
 * The device gives its pages out by itself: no zone, no LRU list, no owner tag.
 */
#pragma once

#include "mm/vm/page.h"

struct sink;

enum device_kind { DEVICE_COHERENT, DEVICE_PRIVATE };

struct device_memory {
	const char *name;
	enum device_kind kind;
	uint64_t first_pfn, pages;
	char *bytes; /* coherent: where the kernel sees it; private: NULL */
	/* Private: where the device's copy engine, and nobody else, reaches the page with number @page. */
	void *(*engine_bytes)(struct device_memory *device, uint64_t page);
	void *context;
	struct spinlock lock;
	struct list_node free; /* struct page.lru */
	uint64_t used;
	struct list_node node; /* in the list of all devices */
};

/*
 * Registers it; its page structures (of first_pfn on) are valid memory, and filled here. -EEXIST: overlaps. Removing
 * needs all its pages free (-EBUSY).
 */
int device_memory_add(struct device_memory *device) MUST_CHECK;
int device_memory_remove(struct device_memory *device) MUST_CHECK;
/* NULL: none has that frame. Any context. */
struct device_memory *device_of_pfn(uint64_t pfn);
/* By name; the first registered one of @kind for NULL. */
struct device_memory *device_find(const char *name, enum device_kind kind);
/* An anonymous area whose pages are a coherent device's (its object) while there are any. */
extern const struct area_ops device_area_ops;
/* A line per device: name, kind, where, pages, of them in use. */
int device_memory_show(struct sink *out, void *context);
/* A page of it, refcount 1, not cleared; NULL: all in use. */
struct page *device_page_alloc(struct device_memory *device) MUST_CHECK;
/* Those that are charged to a group; nobody frees any meanwhile. */
void device_for_each_page(void (*look)(struct page *page, uint64_t pages));
/* From page_put(). */
void device_page_free(struct page *page);
bool device_is_private(const struct page *page);
/* One page, at least one of them private: by the device's engine, from device to device without a stop in RAM. */
void device_copy(struct page *to, struct page *from);
