/*
 * Work items: functions run later by a kernel worker thread, where sleeping is allowed.
 *
 * An item is queued at most once at a time; queued again while it runs, it runs once more after. The caller owns the
 * memory and cancels before freeing it. Queueing is allowed anywhere, interrupts too.
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
/* As above, but replaces a pending time. */
void delayed_work_requeue(struct delayed_work *delayed, uint64_t delay_ns);
void delayed_work_cancel_sync(struct delayed_work *delayed);
/* Everything queued before the call has run. May sleep. */
void work_flush(void);
/* Once, when threads can be made. */
void work_start_workers(void);
