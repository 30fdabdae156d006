/*
 * Out of memory: asking those who keep some, one after the other, one caller at a time.
 */
#include "mm/oom.h"

#include "kernel/mutex.h"
#include "kernel/printk.h"

#define WANTED_PAGES 256u /* 1 MiB: so that the next few requests need not come here too */

static struct mutex lock = MUTEX_INIT(lock, "oom");
static struct list_node notifiers = LIST_INIT(notifiers);

void oom_notifier_register(struct oom_notifier *notifier)
{
	mutex_lock(&lock);
	list_add_tail(&notifiers, &notifier->node);
	mutex_unlock(&lock);
}

void oom_notifier_unregister(struct oom_notifier *notifier)
{
	mutex_lock(&lock);
	list_del(&notifier->node);
	mutex_unlock(&lock);
}

uint64_t oom_give_back(unsigned int order)
{
	uint64_t wanted = MAX(WANTED_PAGES, 2u << order), freed = 0;
	struct oom_notifier *notifier;
	uintptr_t previous = memalloc_enter();

	mutex_lock(&lock);
	list_for_each_entry(notifier, &notifiers, node) {
		uint64_t pages = freed < wanted ? notifier->give(notifier, wanted - freed) : 0;

		if (pages)
			pr_info("out of memory: %s gave back %lu pages", notifier->name, pages);
		freed += pages;
	}
	mutex_unlock(&lock);
	memalloc_leave(previous);
	return freed;
}
