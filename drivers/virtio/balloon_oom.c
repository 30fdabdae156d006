/*
 * DEFLATE_ON_OOM (5.5.3, bit 2): when the guest has nothing left, the balloon gives back before an allocation fails.
 *
 * Who runs out of memory asks from wherever it stands, perhaps with locks held, so it only leaves a number and waits;
 * the worker, which never waits for memory, gives back until that many pages have arrived, whatever the target says.
 * Then it is starved for a while: it comes back for the pages, if the host still wants them, when they are free
 * beyond the reserve again. A worker that cannot answer in time is not waited for.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"

#define ANSWER_NS (2 * NS_PER_S)

static uint64_t give(struct oom_notifier *notifier, uint64_t wanted)
{
	struct balloon *balloon = container_of(notifier, struct balloon, oom);

	if (thread_current() == balloon->worker || load_relaxed(&balloon->dev->broken))
		return 0;
	store_relaxed(&balloon->oom_given, 0);
	store_release(&balloon->oom_wanted, wanted);
	balloon_poke(balloon);
	if (!wait_event_timeout(&balloon->oom_answer, !load_acquire(&balloon->oom_wanted), ANSWER_NS))
		store_release(&balloon->oom_wanted, 0);
	return load_acquire(&balloon->oom_given);
}

uint64_t balloon_oom_missing(struct balloon *balloon)
{
	uint64_t wanted = load_acquire(&balloon->oom_wanted), deflated = balloon->counters.deflated_pages;
	uint64_t given = deflated - balloon->oom_start;

	if (!wanted) {
		balloon->oom_start = deflated;
		return 0;
	}
	if (given < wanted && (balloon_held_pages(balloon) || balloon->deflating_pages || balloon->inflating_pages))
		return wanted - given;
	balloon->counters.oom_pages += given;
	store_release(&balloon->oom_given, given);
	store_release(&balloon->oom_wanted, 0);
	wake_up_all(&balloon->oom_answer);
	balloon->oom_start = deflated;
	return 0;
}

void balloon_oom_start(struct balloon *balloon)
{
	wait_queue_init(&balloon->oom_answer);
	balloon->oom = (struct oom_notifier){.name = balloon->dev->name, .give = give};
	if (virtio_has_feature(balloon->dev, BALLOON_F_DEFLATE_ON_OOM))
		oom_notifier_register(&balloon->oom);
}

void balloon_oom_stop(struct balloon *balloon)
{
	if (virtio_has_feature(balloon->dev, BALLOON_F_DEFLATE_ON_OOM))
		oom_notifier_unregister(&balloon->oom);
}
