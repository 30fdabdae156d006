/*
 * The list of shrinkers. They run one caller at a time: while one thread shrinks, another's pass goes without, but for
 * the last one, which waits.
 */
#include "mm/shrinker.h"

#include "kernel/mutex.h"
#include "mm/reclaim_trace.h"
#include "mm/slab.h"
#include "mm/vmstat.h"

#define BATCH 128u

static struct mutex lock = MUTEX_INIT(lock, "shrinkers");
static struct list_node shrinkers = LIST_INIT(shrinkers);

void shrinker_register(struct shrinker *shrinker)
{
	mutex_lock(&lock);
	list_add_tail(&shrinkers, &shrinker->node);
	mutex_unlock(&lock);
}

void shrinker_unregister(struct shrinker *shrinker)
{
	mutex_lock(&lock);
	list_del(&shrinker->node);
	mutex_unlock(&lock);
}

static uint64_t shrink_one(struct shrinker *shrinker, unsigned int priority)
{
	uint64_t there = shrinker->count(shrinker), owed = shrinker->owed, part = 2 * there >> priority;
	uint64_t wanted = MIN(owed + part, 2 * there), freed;

	shrinker->owed = priority ? wanted % BATCH : 0;
	wanted -= shrinker->owed;
	TRACE(mm_shrink_slab_start, .shrinker = shrinker, .name = shrinker->name, .owed = owed, .there = there,
	      .part = part, .wanted = wanted, .priority = (int)priority);
	freed = wanted ? shrinker->scan(shrinker, wanted) : 0;
	vm_events(slabs_scanned, wanted);
	TRACE(mm_shrink_slab_end, .shrinker = shrinker, .name = shrinker->name, .before = owed, .after = shrinker->owed,
	      .wanted = wanted, .freed = freed);
	return freed;
}

uint64_t shrink_all(unsigned int priority)
{
	struct shrinker *shrinker;
	uint64_t freed = 0;

	if (!priority)
		mutex_lock(&lock);
	else if (!mutex_trylock(&lock))
		return 0;
	list_for_each_entry(shrinker, &shrinkers, node)
		freed += shrink_one(shrinker, priority);
	mutex_unlock(&lock);
	if (!priority)
		slab_shrink_all();
	return freed;
}
