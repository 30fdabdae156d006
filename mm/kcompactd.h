/*
 * kcompactd: a thread per node that makes large blocks before anybody has to wait for them.
 *
 * It is woken for a block of some order (kcompactd_wake()); and, by compaction_proactiveness, looks now and then
 * whether too much of the node's free memory is of no use for whole pageblocks.
 */
#pragma once

#include "kernel/wait.h"
#include "mm/zone.h"

struct thread;

struct kcompactd {
	struct thread *thread; /* NULL: not started; wake-ups are then no-ops */
	struct wait_queue wait;
	struct spinlock lock; /* of what is asked for */
	unsigned int order;
	enum zone_type highest;
	bool asked, look; /* for a block; to look whether there is something to do */
};

void kcompactd_init(struct kcompactd *kcompactd);
struct node;

/* The node's thread. 0 or -ENOMEM. */
int kcompactd_start(struct node *node) MUST_CHECK;
/* Ends it: for tests. */
void kcompactd_stop(struct node *node);
/* It looks at once whether the node's memory is too fragmented; after a change of compaction_proactiveness. */
void kcompactd_look(struct node *node);
