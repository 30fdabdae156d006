/*
 * kmalloc in the guest: slabs of a dozen sizes, whole blocks of pages above.
 *
 * Between powers of two there is one more size, so that no object wastes more than a third. Caches need no
 * set-up of their own at boot: the first allocation of a size makes its first slab.
 */
#include "kernel/memory.h"

#include "kernel/kasan.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/page_alloc.h"
#include "mm/slab.h"

#define LARGEST_OBJECT 8192u

static const struct {
	uint16_t bytes;
	const char *name;
} sizes[] = {
	{16, "kmalloc-16"},	{32, "kmalloc-32"},	{64, "kmalloc-64"},	{96, "kmalloc-96"},
	{128, "kmalloc-128"},	{192, "kmalloc-192"},	{256, "kmalloc-256"},	{512, "kmalloc-512"},
	{1024, "kmalloc-1024"}, {2048, "kmalloc-2048"}, {4096, "kmalloc-4096"}, {8192, "kmalloc-8192"},
};

static struct slab_cache caches[ARRAY_SIZE(sizes)];

void kmalloc_init(void)
{
	for (size_t at = 0; at < ARRAY_SIZE(sizes); at++)
		slab_cache_init(&caches[at], sizes[at].name, sizes[at].bytes);
}

static struct slab_cache *cache_for(size_t bytes)
{
	size_t at = 0;

	while (sizes[at].bytes < bytes)
		at++;
	return &caches[at];
}

static unsigned int order_for(size_t bytes)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

/* What was not asked for is not to be used. */
static void *close_rest(void *object, size_t bytes, size_t given)
{
	if (object) {
		kasan_poison(object, given, KASAN_REDZONE);
		kasan_unpoison(object, bytes);
	}
	return object;
}

static void *allocate(size_t bytes, uint32_t gfp)
{
	struct page *page;

	if (bytes <= LARGEST_OBJECT) {
		struct slab_cache *cache = cache_for(bytes);

		return close_rest(slab_alloc(cache, gfp), bytes, cache->object_bytes);
	}
	if (bytes > PAGE_SIZE << MAX_ORDER)
		return NULL;
	page = alloc_pages(gfp, order_for(bytes));
	return page ? close_rest(page_address(page), bytes, PAGE_SIZE << page_order(page)) : NULL;
}

void *kmalloc(size_t bytes)
{
	return allocate(bytes, GFP_KERNEL);
}

void *kzalloc(size_t bytes)
{
	void *memory = kmalloc(bytes);

	return memory ? memset(memory, 0, bytes) : NULL;
}

void *kmalloc_atomic(size_t bytes)
{
	return allocate(bytes, GFP_ATOMIC);
}

void kfree(void *memory)
{
	struct slab_cache *cache;
	struct page *page;

	if (!memory)
		return;
	cache = slab_cache_of(memory);
	if (cache) {
		slab_free(cache, memory);
		return;
	}
	page = virt_to_page(memory);
	if (!IS_ALIGNED((uint64_t)memory, PAGE_SIZE) || page_owner(page) != PAGE_OWNER_KERNEL)
		panic("kfree: %p was not given by kmalloc, or is free already", memory);
	free_pages(page, page_order(page));
}

char *kstrdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = kmalloc(bytes);

	return copy ? memcpy(copy, s, bytes) : NULL;
}
