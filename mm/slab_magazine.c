/*
 * Magazines of free objects, per cache and CPU, in front of the slabs: taking and giving back an object costs no lock.
 *
 *     taken from, put to ──▶ loaded ◀── exchanged when it is empty, or full ──▶ spare ── a batch at a time ──▶ slabs
 *
 * Each CPU has two: one in use and one that is all full or all empty, so that whoever takes and gives around the border
 * between two batches only exchanges them. An object in a magazine is free, marked and poisoned like one in a slab; for
 * its slab it is in use, so that a slab whose objects lie in magazines is not empty: slab_drain() puts them back first.
 *
 * A CPU's magazines are made when it first misses them, from a cache of their own that has none.
 * Locking: they are the CPU's own, others claim them (kernel/cpu_claim.h). Nothing is locked while one is inside; what
 * goes to the slabs is taken out first.
 */
#include "kernel/cpu_claim.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "mm/slab_internal.h"

struct magazine {
	uint32_t count;
	void *objects[SLAB_MAGAZINE];
};

struct slab_magazines {
	struct cpu_claim claim;
	struct magazine *loaded, *spare;
	struct magazine magazines[2];
};

static struct slab_cache own_cache;
static struct spinlock own_lock = SPINLOCK_INIT("slab_magazines");

/* NULL: this CPU has none. Preemption is off until leave(). */
static ALWAYS_INLINE struct slab_magazines *enter(struct slab_cache *cache)
{
	struct slab_magazines *own;

	preempt_disable();
	own = load_acquire(&cache->magazines[cpu_id()]);
	if (likely(own))
		cpu_claim_enter(&own->claim);
	return own;
}

static ALWAYS_INLINE void leave(struct slab_magazines *own)
{
	if (likely(own))
		cpu_claim_leave(&own->claim);
	preempt_enable();
}

static void exchange(struct slab_magazines *own)
{
	struct magazine *loaded = own->loaded;

	own->loaded = own->spare;
	own->spare = loaded;
}

static ALWAYS_INLINE void *pop(struct slab_magazines *own)
{
	struct magazine *loaded;

	if (unlikely(!own->loaded->count))
		exchange(own);
	loaded = own->loaded;
	if (unlikely(!loaded->count))
		return NULL;
	WRITE_ONCE(loaded->count, loaded->count - 1);
	return loaded->objects[loaded->count];
}

static ALWAYS_INLINE bool push(struct slab_cache *cache, struct slab_magazines *own, void *object)
{
	struct magazine *loaded;

	if (unlikely(own->loaded->count == cache->magazine))
		exchange(own);
	loaded = own->loaded;
	if (unlikely(loaded->count == cache->magazine))
		return false;
	loaded->objects[loaded->count] = object;
	WRITE_ONCE(loaded->count, loaded->count + 1);
	return true;
}

/* Empties @magazine into @objects; how many. */
static uint32_t take_out(struct magazine *magazine, void **objects)
{
	uint32_t count = magazine->count;

	memcpy(objects, magazine->objects, count * sizeof(*objects));
	WRITE_ONCE(magazine->count, 0);
	return count;
}

void *slab_magazine_take(struct slab_cache *cache)
{
	struct slab_magazines *own = enter(cache);
	void *object = own ? pop(own) : NULL;

	leave(own);
	return object;
}

/* ---- making them --------------------------------------------------------------------------------------------------
 */

static void make_own_cache(void)
{
	spin_lock(&own_lock);
	if (!own_cache.name) {
		slab_cache_init(&own_cache, "slab_magazines", sizeof(struct slab_magazines));
		own_cache.magazine = 0;
	}
	spin_unlock(&own_lock);
}

/* For this CPU, if there is memory at hand. */
static void make(struct slab_cache *cache)
{
	struct slab_magazines *own, *none = NULL;

	if (!cache->magazine)
		return;
	make_own_cache();
	own = slab_alloc(&own_cache, GFP_NOWAIT | GFP_NOWARN);
	if (!own)
		return;
	*own = (struct slab_magazines){.loaded = &own->magazines[0], .spare = &own->magazines[1]};
	cpu_claim_init(&own->claim, "slab_magazine");
	preempt_disable();
	if (atomic_cas(&cache->magazines[cpu_id()], &none, own))
		own = NULL;
	preempt_enable();
	slab_free(&own_cache, own); /* another thread was faster */
}

uint32_t slab_magazine_fill(struct slab_cache *cache, void *const *objects, uint32_t count)
{
	struct slab_magazines *own = enter(cache);

	if (unlikely(!own)) {
		leave(own);
		make(cache);
		own = enter(cache);
	}
	while (own && count && push(cache, own, objects[count - 1]))
		count--;
	leave(own);
	return count;
}

void slab_magazine_put(struct slab_cache *cache, void *object)
{
	void *objects[SLAB_MAGAZINE + 1];
	struct slab_magazines *own = enter(cache);
	uint32_t count = 0;

	if (likely(own && push(cache, own, object))) {
		leave(own);
		return;
	}
	if (own) {
		/* Both are full: after this there is room for as many as there are objects. */
		count = take_out(own->spare, objects);
		(void)push(cache, own, object);
	} else {
		objects[count++] = object;
	}
	leave(own);
	slab_put(cache, objects, count);
}

/* ---- for others ---------------------------------------------------------------------------------------------------
 */

static uint32_t held(const struct slab_magazines *magazines)
{
	return READ_ONCE(magazines->magazines[0].count) + READ_ONCE(magazines->magazines[1].count);
}

static uint32_t empty(struct slab_magazines *magazines, void **objects)
{
	uint32_t count = take_out(magazines->spare, objects);

	return count + take_out(magazines->loaded, objects + count);
}

static void drain(struct slab_cache *cache, unsigned int cpu)
{
	struct slab_magazines *magazines = load_acquire(&cache->magazines[cpu]);
	void *objects[2 * SLAB_MAGAZINE];
	uint32_t count = 0;

	/* What comes in just now may be missed. */
	if (!magazines || !held(magazines))
		return;
	preempt_disable();
	if (cpu == cpu_id()) {
		cpu_claim_enter(&magazines->claim);
		count = empty(magazines, objects);
		cpu_claim_leave(&magazines->claim);
	} else if (cpu_irqs_enabled()) {
		cpu_claim_begin(&magazines->claim, cpu);
		count = empty(magazines, objects);
		cpu_claim_end(&magazines->claim);
	}
	preempt_enable();
	slab_put(cache, objects, count);
}

void slab_drain(struct slab_cache *cache)
{
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		drain(cache, cpu);
}

uint64_t slab_magazine_objects(const struct slab_cache *cache)
{
	uint64_t objects = 0;

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		const struct slab_magazines *magazines = load_acquire(&cache->magazines[cpu]);

		objects += magazines ? held(magazines) : 0;
	}
	return objects;
}

void slab_magazine_destroy(struct slab_cache *cache)
{
	slab_drain(cache);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		slab_free(&own_cache, cache->magazines[cpu]);
		cache->magazines[cpu] = NULL;
	}
	if (own_cache.name)
		slab_shrink(&own_cache);
}
