/*
 * Work items: functions run later by one of a few worker threads, where sleeping is allowed.
 *
 * An item is queued at most once at a time; queued again while it runs, it runs once more after. Items begin in the
 * order of queueing, and different ones may overlap. The caller owns the memory and cancels before freeing it. Queueing
 * is allowed anywhere, interrupts too; it is refused (false) while somebody cancels the item.
 */
#pragma once

#include "kernel/time.h"
#include "lib/list.h"

struct work {
	struct list_node node;
	void (*run)(struct work *work);
	uint32_t state; /* private to work.c */
};

struct delayed_work {
	struct work work;
	struct timer timer;
};

void work_init(struct work *work, void (*run)(struct work *work));
/* False if it was queued already. */
bool work_queue(struct work *work);
/* On return it is neither queued nor running, and what was queued is dropped. May sleep; not from the item itself. */
void work_cancel_sync(struct work *work);

void delayed_work_init(struct delayed_work *delayed, void (*run)(struct work *work));
/* In @delay_ns from now; false (and unchanged) if it was pending already. */
bool delayed_work_queue(struct delayed_work *delayed, uint64_t delay_ns);
/* As above, but replaces a pending time; an item that waits for a worker is taken back and waits for its time. */
void delayed_work_requeue(struct delayed_work *delayed, uint64_t delay_ns);
void delayed_work_cancel_sync(struct delayed_work *delayed);
/* Everything queued before the call has run, or was cancelled. May sleep; not from an item. */
void work_flush(void);
/* Once, when threads can be made. */
void work_start_workers(void);
