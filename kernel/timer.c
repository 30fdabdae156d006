/*
 * Timers of the guest: a sorted list per CPU in front of the CPU's one-shot timer.
 *
 * Arming costs a walk past the earlier deadlines of this CPU: there are few, for most are a sleeping thread's. The
 * hardware is set to the first deadline or the end of the running slice, whichever comes first, and to nothing if there
 * is neither. An expired timer is off the list before its function runs, so the function may arm it again.
 *
 * Locking: a raw lock per CPU, interrupts off; not held while a function runs.
 */
#include <arch/cpu.h>

#include <arch/percpu.h>

#include "kernel/cpu.h"
#include "kernel/thread_internal.h"
#include "lib/atomic.h"

struct timer_queue {
	uint32_t raw_lock;
	bool ready;
	struct list_node timers; /* by deadline */
	struct timer *running;   /* whose function runs now */
	uint64_t slice_end_ns;
} CACHE_LINE_ALIGNED;

static struct timer_queue queues[MAX_CPUS];

static struct timer_queue *this_queue(void)
{
	struct timer_queue *queue = &queues[cpu_id()];

	if (!queue->ready) {
		list_init(&queue->timers);
		queue->slice_end_ns = UINT64_MAX;
		queue->ready = true;
	}
	return queue;
}

/* With the lock held, on the queue's CPU. */
static void set_hardware(struct timer_queue *queue)
{
	uint64_t first = UINT64_MAX;

	if (!list_empty(&queue->timers))
		first = list_first_entry(&queue->timers, struct timer, node)->deadline_ns;
	arch_timer_set(MIN(first, queue->slice_end_ns));
}

void timer_set_slice(uint64_t deadline_ns)
{
	struct timer_queue *queue = this_queue();

	raw_lock(&queue->raw_lock);
	queue->slice_end_ns = deadline_ns;
	set_hardware(queue);
	raw_unlock(&queue->raw_lock);
}

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
	list_init(&timer->node);
	timer->expire = expire;
	timer->deadline_ns = 0;
	timer->cpu = -1;
}

static void insert(struct timer_queue *queue, struct timer *timer)
{
	struct list_node *before = queue->timers.prev;

	/* From the back: a new deadline is mostly a late one. */
	while (before != &queue->timers && list_entry(before, struct timer, node)->deadline_ns > timer->deadline_ns)
		before = before->prev;
	list_insert_between(&timer->node, before, before->next);
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	struct timer_queue *queue;
	unsigned long flags;

	timer_cancel(timer);
	flags = cpu_irq_save();
	queue = this_queue();
	raw_lock(&queue->raw_lock);
	timer->deadline_ns = deadline_ns;
	store_relaxed(&timer->cpu, (int)cpu_id());
	insert(queue, timer);
	set_hardware(queue);
	raw_unlock(&queue->raw_lock);
	cpu_irq_restore(flags);
}

/* Takes it off the queue it is on; false if it is on none. */
static bool remove(struct timer *timer)
{
	int cpu;

	while ((cpu = load_relaxed(&timer->cpu)) >= 0) {
		struct timer_queue *queue = &queues[cpu];
		unsigned long flags = cpu_irq_save();
		bool found;

		raw_lock(&queue->raw_lock);
		found = timer->cpu == cpu;
		if (found) {
			list_del(&timer->node);
			store_relaxed(&timer->cpu, -1);
		}
		raw_unlock(&queue->raw_lock);
		cpu_irq_restore(flags);
		if (found)
			return true;
	}
	return false;
}

bool timer_cancel(struct timer *timer)
{
	bool was_armed = remove(timer);

	/* Its function may run on another CPU; on this one it can only be the caller itself. */
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		while (cpu != cpu_id() && load_acquire(&queues[cpu].running) == timer)
			cpu_relax();
	return was_armed;
}

/* Runs one timer whose time has come; false if there is none. */
static bool run_expired(struct timer_queue *queue, uint64_t now)
{
	struct timer *timer;

	raw_lock(&queue->raw_lock);
	if (list_empty(&queue->timers) || list_first_entry(&queue->timers, struct timer, node)->deadline_ns > now) {
		raw_unlock(&queue->raw_lock);
		return false;
	}
	timer = list_first_entry(&queue->timers, struct timer, node);
	list_del(&timer->node);
	store_relaxed(&queue->running, timer);
	store_relaxed(&timer->cpu, -1);
	raw_unlock(&queue->raw_lock);
	timer->expire(timer);
	store_release(&queue->running, NULL);
	return true;
}

void timer_interrupt(void)
{
	struct timer_queue *queue = this_queue();
	uint64_t now = time_ns();

	while (run_expired(queue, now))
		;
	raw_lock(&queue->raw_lock);
	if (queue->slice_end_ns <= now) {
		queue->slice_end_ns = UINT64_MAX;
		percpu_set_need_resched(true);
	}
	set_hardware(queue);
	raw_unlock(&queue->raw_lock);
}
