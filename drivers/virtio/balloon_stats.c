/*
 * Statistics for the host (5.5.6.3): one buffer, sent when we begin and again each time the device gives it back.
 *
 * The buffer is an array of 10-byte entries, tag and value, the same tags in the same order every time. The first one
 * carries real figures too, for a device may take what comes first as an answer (QEMU breaks on an empty one).
 * Tags from 10 on are newer than the standard's text; a device that does not know them drops them.
 */
#include "drivers/virtio/balloon_internal.h"

#include "lib/errno.h"
#include "mm/vmstat.h"

enum {
	STAT_SWAP_IN,
	STAT_SWAP_OUT,
	STAT_MAJOR_FAULTS,
	STAT_MINOR_FAULTS,
	STAT_FREE,
	STAT_TOTAL,
	STAT_AVAILABLE,
	STAT_CACHES,
	STAT_HUGETLB_ALLOCS,
	STAT_HUGETLB_FAILURES,
	STAT_OOM_KILLS,
	STAT_ALLOC_STALLS,
	STAT_ASYNC_SCANS,
	STAT_DIRECT_SCANS,
	STAT_ASYNC_RECLAIMS,
	STAT_DIRECT_RECLAIMS,
	NR_STATS,
};

struct stat_entry {
	uint16_t tag;
	uint64_t value;
} PACKED;

_Static_assert(sizeof(struct stat_entry) == 10, "5.5.6.3: entries of 10 bytes");

static uint64_t alloc_stalls(void)
{
	return vm_event_read(VM_EVENT_allocstall_dma) + vm_event_read(VM_EVENT_allocstall_dma32) +
	       vm_event_read(VM_EVENT_allocstall_normal) + vm_event_read(VM_EVENT_allocstall_movable);
}

/* Memory in bytes, everything else in events; there are no hugetlb pages, so none was allocated and none refused. */
static void collect(uint64_t values[NR_STATS])
{
	struct memory_info info;

	memory_info_get(&info);
	values[STAT_SWAP_IN] = vm_event_read(VM_EVENT_pswpin) << PAGE_SHIFT;
	values[STAT_SWAP_OUT] = vm_event_read(VM_EVENT_pswpout) << PAGE_SHIFT;
	values[STAT_MAJOR_FAULTS] = vm_event_read(VM_EVENT_pgmajfault);
	values[STAT_MINOR_FAULTS] = vm_event_read(VM_EVENT_pgfault) - values[STAT_MAJOR_FAULTS];
	values[STAT_FREE] = info.free << PAGE_SHIFT;
	values[STAT_TOTAL] = info.total << PAGE_SHIFT;
	values[STAT_AVAILABLE] = info.available << PAGE_SHIFT;
	values[STAT_CACHES] = info.cached << PAGE_SHIFT;
	values[STAT_HUGETLB_ALLOCS] = 0;
	values[STAT_HUGETLB_FAILURES] = 0;
	values[STAT_OOM_KILLS] = vm_event_read(VM_EVENT_oom_kill);
	values[STAT_ALLOC_STALLS] = alloc_stalls();
	values[STAT_ASYNC_SCANS] = vm_event_read(VM_EVENT_pgscan_kswapd);
	values[STAT_DIRECT_SCANS] = vm_event_read(VM_EVENT_pgscan_direct);
	values[STAT_ASYNC_RECLAIMS] = vm_event_read(VM_EVENT_pgsteal_kswapd);
	values[STAT_DIRECT_RECLAIMS] = vm_event_read(VM_EVENT_pgsteal_direct);
}

static int send(struct balloon *balloon)
{
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_STATS];
	struct stat_entry *entries = page_address(balloon->stats_page);
	struct virtqueue_buffer buffer = {
		.address = page_to_phys(balloon->stats_page),
		.bytes = NR_STATS * sizeof(*entries),
	};
	uint64_t values[NR_STATS];
	int error;

	collect(values);
	for (unsigned int tag = 0; tag < NR_STATS; tag++)
		entries[tag] = (struct stat_entry){.tag = (uint16_t)tag, .value = values[tag]};
	error = virtqueue_add(vq, &buffer, 1, 0, balloon->stats_page);
	if (error)
		return error;
	balloon->stats_with_device = true;
	virtqueue_kick(vq);
	virtqueue_enable_interrupts(vq);
	return 0;
}

int balloon_stats_start(struct balloon *balloon)
{
	return balloon->queues[BALLOON_QUEUE_STATS] ? send(balloon) : 0;
}

int balloon_stats_poll(struct balloon *balloon)
{
	struct virtqueue *vq = balloon->queues[BALLOON_QUEUE_STATS];

	if (!vq)
		return 0;
	if (virtqueue_is_broken(vq))
		return -EIO;
	if (!virtqueue_get(vq, NULL))
		return 0;
	balloon->counters.stats_requests++;
	return send(balloon);
}
