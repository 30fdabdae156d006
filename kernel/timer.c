/*
 * Timers: one queue for each CPU, sorted by deadline, in both worlds.
 *
 * A timer goes into the queue of the CPU that arms it. The hardware is told the earliest deadline only when that comes
 * closer; a cancelled one is left to ring in vain, which costs an interrupt rather than a reprogramming each time.
 * Cost: expiring and cancelling are O(1). Arming walks from the latest end, so a timer behind all others (time-outs of
 * equal length) is O(1), and the worst case is the number of timers of that CPU: a few, one per thread that sleeps
 * with a time-out.
 *
 * timer->cpu says who may touch the links, and makes racing calls safe without a lock in the timer:
 *   TIMER_IDLE    in no queue; who changes it to TIMER_MOVING by compare-and-swap owns the timer
 *   0..           in that CPU's queue; changed only under that queue's lock
 *   TIMER_MOVING  owned by a caller with interrupts off, for a few instructions
 *
 * timer->home is the queue it was in last, and the only one in which it can be running: a timer that is armed elsewhere
 * while its function runs goes back into the queue where it runs. So a canceller looks at one queue, under its lock, to
 * see that the timer neither waits nor runs. The function may hand the timer's memory back: after calling it nothing
 * of the timer is touched, its address is only compared.
 */
#include "kernel/time.h"

#include <arch/cpu.h>

#include "kernel/cpu.h"
#include "kernel/scheduler.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"

#define TIMER_IDLE   (-1)
#define TIMER_MOVING (-2)

struct timer_queue {
	struct spinlock lock;
	bool ready; /* the list is initialised */
	struct list_node timers;
	uint64_t programmed_ns; /* what the hardware was told; UINT64_MAX: nothing */
	struct timer *running;
} CACHE_LINE_ALIGNED;

static struct timer_queue queues[MAX_CPUS] = {
	[0 ... MAX_CPUS - 1] = {.lock = SPINLOCK_INIT("timer_queue"), .programmed_ns = UINT64_MAX},
};

void timer_init(struct timer *timer, void (*expire)(struct timer *timer))
{
	*timer = (struct timer){.expire = expire, .cpu = TIMER_IDLE};
}

/* With the queue's lock. */
static void insert(struct timer_queue *queue, struct timer *timer)
{
	struct list_node *at;

	if (!queue->ready) {
		list_init(&queue->timers);
		queue->ready = true;
	}
	for (at = queue->timers.prev; at != &queue->timers; at = at->prev)
		if (list_entry(at, struct timer, node)->deadline_ns <= timer->deadline_ns)
			break;
	list_add(at, &timer->node);
}

static void program(struct timer_queue *queue, uint64_t deadline_ns)
{
	if (deadline_ns >= queue->programmed_ns)
		return;
	queue->programmed_ns = deadline_ns;
	arch_timer_set(deadline_ns);
}

/* Makes the timer ours (TIMER_MOVING), out of whatever queue. Interrupts off. True if it had been armed. */
static bool claim(struct timer *timer)
{
	for (;;) {
		int cpu = load_acquire(&timer->cpu);

		if (cpu == TIMER_IDLE) {
			if (atomic_cas(&timer->cpu, &cpu, TIMER_MOVING))
				return false;
		} else if (cpu >= 0) {
			struct timer_queue *queue = &queues[cpu];
			bool mine;

			spin_lock(&queue->lock);
			mine = load_relaxed(&timer->cpu) == cpu;
			if (mine) {
				list_del(&timer->node);
				store_relaxed(&timer->cpu, TIMER_MOVING);
			}
			spin_unlock(&queue->lock);
			if (mine)
				return true;
		}
		cpu_relax();
	}
}

/*
 * The queue for a timer that is ours to move, locked: this CPU's, or the one in which its function runs now. That one
 * will program the hardware when the function returns.
 */
static struct timer_queue *lock_queue_for(struct timer *timer)
{
	int here = (int)timer_home(), last = load_relaxed(&timer->home);

	if (last != here) {
		spin_lock(&queues[last].lock);
		if (queues[last].running == timer)
			return &queues[last];
		spin_unlock(&queues[last].lock);
		store_relaxed(&timer->home, here);
	}
	spin_lock(&queues[here].lock);
	return &queues[here];
}

void timer_arm(struct timer *timer, uint64_t deadline_ns)
{
	unsigned long flags = cpu_irq_save();
	struct timer_queue *queue;

	claim(timer);
	timer->deadline_ns = deadline_ns;
	queue = lock_queue_for(timer);
	insert(queue, timer);
	store_release(&timer->cpu, (int)(queue - queues));
	if (!queue->running)
		program(queue, deadline_ns);
	spin_unlock(&queue->lock);
	cpu_irq_restore(flags);
}

bool timer_is_armed(const struct timer *timer)
{
	return load_acquire(&timer->cpu) != TIMER_IDLE;
}

static bool disarm(struct timer *timer)
{
	unsigned long flags;
	bool was_armed;

	if (load_acquire(&timer->cpu) == TIMER_IDLE)
		return false;
	flags = cpu_irq_save();
	was_armed = claim(timer);
	store_release(&timer->cpu, TIMER_IDLE);
	cpu_irq_restore(flags);
	return was_armed;
}

/* Neither waits nor runs. For a call from its own function, that run does not count. */
static bool at_rest(struct timer *timer)
{
	unsigned int home = (unsigned int)load_relaxed(&timer->home);
	struct timer_queue *queue = &queues[home];
	unsigned long flags = spin_lock_irqsave(&queue->lock);
	bool inside = in_interrupt() && home == timer_home();
	bool runs = queue->running == timer && !inside;
	bool waits = load_relaxed(&timer->cpu) != TIMER_IDLE;

	spin_unlock_irqrestore(&queue->lock, flags);
	return !runs && !waits;
}

bool timer_cancel(struct timer *timer)
{
	bool was_armed = disarm(timer);

	while (!at_rest(timer)) {
		cpu_relax();
		was_armed |= disarm(timer);
	}
	return was_armed;
}

/* Takes the first timer off if its time has come, and marks it running. */
static struct timer *take_expired(struct timer_queue *queue, uint64_t now_ns)
{
	struct timer *timer;

	if (!queue->ready || list_empty(&queue->timers))
		return NULL;
	timer = list_first_entry(&queue->timers, struct timer, node);
	if (timer->deadline_ns > now_ns)
		return NULL;
	list_del(&timer->node);
	queue->running = timer;
	store_release(&timer->cpu, TIMER_IDLE);
	return timer;
}

void timer_interrupt(void)
{
	struct timer_queue *queue = &queues[timer_home()];
	struct timer *timer;

	spin_lock(&queue->lock);
	queue->programmed_ns = UINT64_MAX;
	while ((timer = take_expired(queue, time_ns()))) {
		spin_unlock(&queue->lock);
		timer->expire(timer);
		spin_lock(&queue->lock);
		queue->running = NULL;
	}
	if (queue->ready && !list_empty(&queue->timers))
		program(queue, list_first_entry(&queue->timers, struct timer, node)->deadline_ns);
	spin_unlock(&queue->lock);
}
