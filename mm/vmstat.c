/*
 * Event counters: an array per CPU, each on cache lines of its own, added up when read.
 *
 * Allocations and frees are not counted a second time: the per-CPU lists count them where they happen, and reading
 * adds them up by the zones' types.
 */
#include "mm/vmstat.h"

#include "kernel/cpu.h"
#include "lib/atomic.h"
#include "mm/memory.h"
#include "mm/pcp.h"

struct event_counts {
	uint64_t counts[NR_VM_EVENTS];
} CACHE_LINE_ALIGNED;

static struct event_counts event_counts[MAX_CPUS];

void vm_event_add(enum vm_event event, uint64_t count)
{
	/* Atomic, as the thread may move to another CPU in between. */
	atomic_add_relaxed(&event_counts[cpu_id()].counts[event], count);
}

static uint64_t allocated_from(enum zone_type type)
{
	uint64_t pages = 0;

	for_each_zone(zone) for (uint32_t cpu = 0; zone->type == type && cpu < zone->nr_cpus; cpu++) pages +=
		READ_ONCE(zone->pcps[cpu].allocated_pages);
	return pages;
}

static uint64_t freed(void)
{
	uint64_t pages = 0;

	for_each_zone(zone) for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++) pages +=
		READ_ONCE(zone->pcps[cpu].freed_pages);
	return pages;
}

uint64_t vm_event_read(enum vm_event event)
{
	uint64_t sum = 0;

	if (event <= VM_EVENT_pgalloc_movable)
		return allocated_from((enum zone_type)(event - VM_EVENT_pgalloc_dma));
	if (event == VM_EVENT_pgfree)
		return freed();
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		sum += load_relaxed(&event_counts[cpu].counts[event]);
	return sum;
}
