/*
 * Slabs of equal objects.
 *
 * A slab is a block of pages. Its first page's structure holds the list of free objects (private) and the number of
 * objects in use (mapcount); every page's structure names the cache (mapping) and the page's place in the slab
 * (index), so that any address leads to its slab. A free object holds the address of the next free one and a mark that
 * depends on its own address: an object that carries its mark when it is freed is freed twice. Slabs with room are on
 * the partial list; one empty slab per cache is kept for the next.
 */
#include "mm/slab_internal.h"

#include "kernel/kasan.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define FREE_MARK      0x5afe0b1ec70f4eedull
#define REDZONE	       0xbb5a5aa5a55abb11ull
#define POISON	       0x6b
#define OBJECT_ALIGN   16u
#define WANTED_OBJECTS 8u
#define MAGAZINE_BYTES 16384u /* what a CPU may keep idle, twice: one object of each size at least */

struct free_object {
	struct free_object *next;
	uint64_t mark;
};

static struct spinlock caches_lock = SPINLOCK_INIT("slab_caches");
static struct list_node caches = LIST_INIT(caches);

#ifdef BALLONET_DEBUG
#define REDZONE_BYTES OBJECT_ALIGN
#define POISONING     true
#else
#define REDZONE_BYTES 0u
#define POISONING     false
#endif

void slab_cache_init(struct slab_cache *cache, const char *name, size_t object_bytes)
{
	ASSERT(object_bytes && object_bytes <= 8192, "cache %s: %zu bytes", name, object_bytes);
	*cache = (struct slab_cache){.name = name};
	cache->object_bytes = (uint32_t)ALIGN_UP(MAX(object_bytes, sizeof(struct free_object)), OBJECT_ALIGN);
	cache->stride_bytes = cache->object_bytes + REDZONE_BYTES;
	while ((PAGE_SIZE << cache->order) / cache->stride_bytes < WANTED_OBJECTS)
		cache->order++;
	cache->objects = (uint32_t)((PAGE_SIZE << cache->order) / cache->stride_bytes);
	cache->inverse = (1ull << 32) / cache->stride_bytes + 1;
	cache->magazine = MIN(MAGAZINE_BYTES / cache->stride_bytes, SLAB_MAGAZINE);
	spin_lock_init(&cache->lock, "slab");
	list_init(&cache->partial);
	spin_lock(&caches_lock);
	list_add_tail(&caches, &cache->node);
	spin_unlock(&caches_lock);
}

/* ---- objects ------------------------------------------------------------------------------------------------------
 */

static uint64_t mark_of(const struct free_object *object)
{
	return FREE_MARK ^ (uint64_t)object;
}

static uint64_t *redzone_of(const struct slab_cache *cache, void *object)
{
	return (uint64_t *)((char *)object + cache->object_bytes);
}

/* Behind the two words that a free object uses itself. */
static void poison(const struct slab_cache *cache, struct free_object *object)
{
	if (POISONING)
		memset(object + 1, POISON, cache->object_bytes - sizeof(*object));
}

static void check_mark(const struct slab_cache *cache, struct free_object *object)
{
	if (object->mark != mark_of(object))
		panic("slab %s: free object %p was written to (its mark is gone)", cache->name, (void *)object);
}

static void check_handed_out(const struct slab_cache *cache, struct free_object *object)
{
	const uint8_t *bytes = (const uint8_t *)object;

	check_mark(cache, object);
	if (!POISONING)
		return;
	for (uint32_t at = sizeof(*object); at < cache->object_bytes; at++)
		if (bytes[at] != POISON)
			panic("slab %s: free object %p was written to at byte %u", cache->name, (void *)object, at);
	*redzone_of(cache, object) = REDZONE;
}

static void check_given_back(const struct slab_cache *cache, const struct page *slab, struct free_object *object)
{
	uint32_t offset = (uint32_t)((char *)object - (char *)page_address(slab));
	uint32_t number = (uint32_t)(offset * cache->inverse >> 32);

	if (unlikely(number * cache->stride_bytes != offset || number >= cache->objects))
		panic("slab %s: freeing %p, where no object begins", cache->name, (void *)object);
	if (unlikely(object->mark == mark_of(object)))
		panic("double free: %p of slab %s is free already", (void *)object, cache->name);
	if (POISONING && *redzone_of(cache, object) != REDZONE)
		panic("slab %s: object %p was written beyond its %u bytes", cache->name, (void *)object,
		      cache->object_bytes);
}

/* ---- slabs --------------------------------------------------------------------------------------------------------
 */

static struct page *slab_of(const void *object)
{
	struct page *page = virt_to_page(object);

	return page - page->index;
}

static void fill_slab(struct slab_cache *cache, struct page *slab)
{
	char *memory = page_address(slab);
	struct free_object *next = NULL;

	for (uint32_t at = 0; at < 1u << cache->order; at++) {
		slab[at].mapping = cache;
		slab[at].index = at;
	}
	for (uint32_t at = cache->objects; at--;) {
		struct free_object *object = (struct free_object *)(memory + at * cache->stride_bytes);

		object->next = next;
		object->mark = mark_of(object);
		poison(cache, object);
		kasan_poison(object, cache->stride_bytes, KASAN_REDZONE);
		next = object;
	}
	slab->private = (uint64_t)next;
	slab->mapcount = 0;
}

static struct page *new_slab(struct slab_cache *cache, uint32_t gfp)
{
	uint32_t type = cache->reclaimable ? GFP_RECLAIMABLE : 0;
	struct page *slab = alloc_pages((gfp & 0xffffff) | type | GFP_OWNER(PAGE_OWNER_SLAB), cache->order);

	if (slab)
		fill_slab(cache, slab);
	return slab;
}

static void release_slab(struct slab_cache *cache, struct page *slab)
{
	for (uint32_t at = 0; at < 1u << cache->order; at++) {
		slab[at].mapping = NULL;
		slab[at].index = 0;
	}
	free_pages(slab, cache->order);
	memalloc_credit(1ull << cache->order);
}

static void *take_object_locked(struct slab_cache *cache, struct page *slab)
{
	struct free_object *object = (void *)slab->private;

	ASSERT(object, "slab %s: a full slab is on the list of those that have room", cache->name);
	check_mark(cache, object);
	slab->private = (uint64_t)object->next;
	if (slab->mapcount++ == 0)
		cache->nr_free_slabs--;
	if (!object->next)
		list_del(&slab->lru);
	cache->nr_taken++;
	return object;
}

/* Slabs that are empty and one too many go from all lists to @empties. */
static void put_object_locked(struct slab_cache *cache, struct free_object *object, struct list_node *empties)
{
	struct page *slab = slab_of(object);

	if (!slab->private)
		list_add(&cache->partial, &slab->lru);
	object->next = (void *)slab->private;
	slab->private = (uint64_t)object;
	cache->nr_taken--;
	if (--slab->mapcount)
		return;
	list_del(&slab->lru);
	if (cache->nr_free_slabs) {
		cache->nr_slabs--;
		list_add(empties, &slab->lru);
		return;
	}
	cache->nr_free_slabs++;
	list_add_tail(&cache->partial, &slab->lru);
}

uint32_t slab_take(struct slab_cache *cache, void **objects, uint32_t most)
{
	uint32_t count = 0;

	spin_lock(&cache->lock);
	while (count < most && !list_empty(&cache->partial))
		objects[count++] = take_object_locked(cache, list_first_entry(&cache->partial, struct page, lru));
	spin_unlock(&cache->lock);
	return count;
}

void slab_put(struct slab_cache *cache, void *const *objects, uint32_t count)
{
	struct list_node empties = LIST_INIT(empties);

	if (!count)
		return;
	spin_lock(&cache->lock);
	for (uint32_t at = 0; at < count; at++)
		put_object_locked(cache, objects[at], &empties);
	spin_unlock(&cache->lock);
	while (!list_empty(&empties)) {
		struct page *slab = list_first_entry(&empties, struct page, lru);

		list_del(&slab->lru);
		release_slab(cache, slab);
	}
}

/* Pages are had without the lock; who else comes meanwhile brings a slab of his own. */
static bool add_slab(struct slab_cache *cache, uint32_t gfp)
{
	struct page *slab = new_slab(cache, gfp);

	if (!slab)
		return false;
	spin_lock(&cache->lock);
	list_add(&cache->partial, &slab->lru);
	cache->nr_slabs++;
	cache->nr_free_slabs++;
	spin_unlock(&cache->lock);
	return true;
}

/* One for the caller, and a magazine full of others if there are so many. */
static NOINLINE void *take_batch(struct slab_cache *cache, uint32_t gfp)
{
	void *objects[SLAB_MAGAZINE + 1];
	uint32_t count;

	while (!(count = slab_take(cache, objects, cache->magazine + 1)))
		if (!add_slab(cache, gfp))
			return NULL;
	slab_put(cache, objects + 1, slab_magazine_fill(cache, objects + 1, count - 1));
	return objects[0];
}

void *slab_alloc(struct slab_cache *cache, uint32_t gfp)
{
	struct free_object *object = slab_magazine_take(cache);

	if (unlikely(!object))
		object = take_batch(cache, gfp);
	if (unlikely(!object))
		return NULL;
	check_handed_out(cache, object);
	object->mark = 0;
	kasan_unpoison(object, cache->object_bytes);
	return object;
}

void slab_free(struct slab_cache *cache, void *memory)
{
	struct free_object *object = memory;
	struct page *slab;

	if (!object)
		return;
	cache = cache ? cache : slab_cache_of(object);
	/* Every page of a slab names its cache. */
	if (unlikely(!cache || virt_to_page(object)->mapping != cache))
		panic("slab: freeing %p, which lies in no slab%s%s", memory, cache ? " of " : "",
		      cache ? cache->name : "");
	slab = slab_of(object);
	check_given_back(cache, slab, object);
	kasan_unpoison(object, cache->object_bytes); /* kmalloc closed what was not asked for */
	object->mark = mark_of(object);
	poison(cache, object);
	kasan_poison(object, cache->stride_bytes, KASAN_FREE_OBJECT);
	slab_magazine_put(cache, object);
}

struct slab_cache *slab_cache_of(const void *object)
{
	struct page *page = virt_to_page(object);

	if (!pfn_valid(page_to_pfn(page)))
		return NULL;
	/* A page that heads a block of another owner, or that is free, has no business with slabs. */
	if (page_owner(page) != PAGE_OWNER_SLAB && (page_owner(page) != PAGE_OWNER_NONE || !page->index))
		return NULL;
	return page_owner(page - page->index) == PAGE_OWNER_SLAB ? page->mapping : NULL;
}

/* ---- housekeeping -------------------------------------------------------------------------------------------------
 */

static struct page *detach_empty(struct slab_cache *cache)
{
	struct page *slab = NULL, *at;

	spin_lock(&cache->lock);
	list_for_each_entry(at, &cache->partial, lru)
		if (!at->mapcount)
			slab = at;
	if (slab) {
		list_del(&slab->lru);
		cache->nr_slabs--;
		cache->nr_free_slabs--;
	}
	spin_unlock(&cache->lock);
	return slab;
}

uint64_t slab_shrink(struct slab_cache *cache)
{
	uint64_t pages = 0;
	struct page *slab;

	slab_drain(cache);
	while ((slab = detach_empty(cache))) {
		release_slab(cache, slab);
		pages += 1u << cache->order;
	}
	return pages;
}

uint64_t slab_shrink_all(void)
{
	struct slab_cache *cache;
	uint64_t pages = 0;

	spin_lock(&caches_lock);
	list_for_each_entry(cache, &caches, node)
		pages += slab_shrink(cache);
	spin_unlock(&caches_lock);
	return pages;
}

static struct slab_info info_of(struct slab_cache *cache)
{
	struct slab_info info = {
		.name = cache->name,
		.object_bytes = cache->object_bytes,
		.objects_per_slab = cache->objects,
		.pages_per_slab = 1u << cache->order,
		.reclaimable = cache->reclaimable,
	};

	spin_lock(&cache->lock);
	info.objects = cache->nr_taken;
	info.slabs = cache->nr_slabs;
	spin_unlock(&cache->lock);
	info.objects -= MIN(info.objects, slab_magazine_objects(cache));
	return info;
}

size_t slab_info_get(struct slab_info *infos, size_t most)
{
	struct slab_cache *cache;
	size_t count = 0;

	spin_lock(&caches_lock);
	list_for_each_entry(cache, &caches, node)
		if (count < most)
			infos[count++] = info_of(cache);
	spin_unlock(&caches_lock);
	return count;
}

uint64_t slab_reclaimable_pages(void)
{
	struct slab_cache *cache;
	uint64_t pages = 0;

	spin_lock(&caches_lock);
	list_for_each_entry(cache, &caches, node)
		if (cache->reclaimable)
			pages += info_of(cache).slabs << cache->order;
	spin_unlock(&caches_lock);
	return pages;
}

void slab_cache_destroy(struct slab_cache *cache)
{
	slab_magazine_destroy(cache);
	slab_shrink(cache);
	spin_lock(&caches_lock);
	list_del(&cache->node);
	spin_unlock(&caches_lock);
	ASSERT(!cache->nr_taken && !cache->nr_slabs, "cache %s: %lu objects left", cache->name, cache->nr_taken);
}

static int check_slab(struct slab_cache *cache, const struct page *slab)
{
	uint32_t free = 0;

	for (struct free_object *at = (void *)slab->private; at && free <= cache->objects; at = at->next) {
		if (at->mark != mark_of(at))
			pr_err("slab_check: %s: free object %p has no mark", cache->name, (void *)at);
		free++;
	}
	if (free + slab->mapcount == cache->objects)
		return 0;
	pr_err("slab_check: %s: %u free, %u in use, %u in all", cache->name, free, slab->mapcount, cache->objects);
	return -EINVAL;
}

int slab_check(struct slab_cache *cache)
{
	struct page *slab;
	int result = 0;
	uint32_t empty = 0;

	slab_drain(cache);
	spin_lock(&cache->lock);
	list_for_each_entry(slab, &cache->partial, lru) {
		empty += !slab->mapcount;
		if (check_slab(cache, slab))
			result = -EINVAL;
	}
	if (empty != cache->nr_free_slabs)
		result = -EINVAL;
	spin_unlock(&cache->lock);
	return result;
}
