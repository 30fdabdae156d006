/*
 * The list of shrinkers. They run one caller at a time: while one thread shrinks, another's pass goes without.
 */
#include "mm/shrinker.h"

#include "kernel/mutex.h"
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

uint64_t shrink_all(unsigned int priority)
{
	struct shrinker *shrinker;
	uint64_t freed = 0;

	if (!mutex_trylock(&lock))
		return 0;
	list_for_each_entry(shrinker, &shrinkers, node) {
		uint64_t there = shrinker->count(shrinker), wanted = shrinker->owed + (2 * there >> priority);

		wanted = MIN(wanted, 2 * there);
		shrinker->owed = wanted % BATCH;
		wanted -= shrinker->owed;
		if (!wanted)
			continue;
		vm_events(slabs_scanned, wanted);
		freed += shrinker->scan(shrinker, wanted);
	}
	mutex_unlock(&lock);
	return freed;
}
