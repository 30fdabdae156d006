/*
 * The scheduler: a run queue per CPU, round robin, preemptive, tickless.
 *
 * A thread is on a CPU, in one run queue, or blocked. A CPU takes the first of its queue, steals from another if its
 * own is empty, or idles. A thread that becomes runnable goes to its last CPU if that one idles, else to any idle
 * CPU, else behind its last CPU's queue or one that is shorter by two; it does not push aside who runs there. Unless it
 * is urgent: if no CPU idles it runs next on the one that wakes it, for it is that one's work that it is to catch up
 * with; who is pushed aside has the rest of its slice after it. An urgent thread whose slice is over waits for one
 * other.
 *
 * Slices are timed only while somebody waits behind the running thread. The slice timer is never cancelled: when it
 * rings and the thread has not had its time yet, it is armed for the rest, so quick switches cost nothing. When a slice
 * is over and somebody waits while another CPU idles, that one is woken to steal: a thief may have passed over a thread
 * that was just being switched, and nothing else would make it look again.
 *
 * Two rules keep a thread from running in two places: on_cpu is cleared by the thread that runs *after* it, when its
 * registers are saved; who unblocks a thread waits for that before queueing it, and who steals passes it over.
 *
 * Locking: everything here runs with interrupts off. thread->raw_lock, then a run queue's lock; never two queues.
 */
#include <arch/percpu.h>

#include "kernel/address_space.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/scheduler_trace.h"
#include "kernel/thread_internal.h"
#include "lib/atomic.h"

#define SLICE_NS (4 * NS_PER_MS)

struct run_queue {
	uint32_t raw_lock;
	uint32_t length;
	struct list_node threads;
	struct thread *idle, *previous; /* previous: who ran before, until its switch is finished */
	bool idling;
	bool urgent;	  /* somebody urgent came */
	bool slice_armed; /* touched by its CPU alone, interrupts off */
	struct timer slice;
} CACHE_LINE_ALIGNED;

static struct run_queue queues[MAX_CPUS];

/* Without checks or preemption counting: the checker and the counting stand on the scheduler. Interrupts off. */
static void raw_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		while (load_relaxed(lock))
			cpu_relax();
}

static void raw_unlock(uint32_t *lock)
{
	store_release(lock, 0);
}

/* ---- queues ---- */

/* Ahead of all; behind who is urgent; behind one who is not; behind all. */
enum queue_place { QUEUE_FIRST, QUEUE_NEXT, QUEUE_SOON, QUEUE_LAST };

/* The first that is not urgent, or the queue's end. */
static struct list_node *first_patient(struct run_queue *queue)
{
	struct thread *thread;

	list_for_each_entry(thread, &queue->threads, run_node) {
		if (!thread->urgent)
			return &thread->run_node;
	}
	return &queue->threads;
}

/* Behind which of the queue's list it comes. */
static struct list_node *place_in(struct run_queue *queue, enum queue_place place)
{
	struct list_node *patient;

	if (place == QUEUE_FIRST)
		return &queue->threads;
	if (place == QUEUE_LAST)
		return queue->threads.prev;
	patient = first_patient(queue);
	return place == QUEUE_NEXT || patient == &queue->threads ? patient->prev : patient;
}

/* True if nobody waited there before. */
static bool queue_add(struct run_queue *queue, struct thread *thread, enum queue_place place)
{
	bool first;

	raw_lock(&queue->raw_lock);
	list_add(place_in(queue, place), &thread->run_node);
	first = queue->length == 0;
	store_relaxed(&queue->length, queue->length + 1);
	raw_unlock(&queue->raw_lock);
	return first;
}

/* The first thread that may run on @cpu; one that another CPU is still leaving, or that is pinned, is passed over. */
static struct thread *queue_take(struct run_queue *queue, int cpu, bool stealing)
{
	struct thread *thread, *found = NULL;

	if (load_relaxed(&queue->length) == 0)
		return NULL;
	raw_lock(&queue->raw_lock);
	list_for_each_entry(thread, &queue->threads, run_node) {
		if (stealing && (load_acquire(&thread->on_cpu) || thread->pinned_cpu != THREAD_ANY_CPU))
			continue;
		found = thread;
		list_del(&thread->run_node);
		store_relaxed(&queue->length, queue->length - 1);
		found->cpu = cpu;
		break;
	}
	raw_unlock(&queue->raw_lock);
	return found;
}

static struct thread *steal(int cpu)
{
	unsigned int count = cpu_count();

	for (unsigned int i = 1; i < count; i++) {
		struct thread *thread = queue_take(&queues[(cpu + i) % count], cpu, true);

		if (thread)
			return thread;
	}
	return NULL;
}

/* ---- waking CPUs ---- */

static bool claim_idle(int cpu)
{
	return load_relaxed(&queues[cpu].idling) && atomic_exchange(&queues[cpu].idling, false);
}

/* An idle CPU that nobody else chose meanwhile, or -1. */
static int idle_cpu(int preferred)
{
	if (claim_idle(preferred))
		return preferred;
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		if (claim_idle((int)cpu))
			return (int)cpu;
	return -1;
}

/* @preferred, or where at least two fewer wait: who does not sleep stays where it begins. */
static int short_queue(int preferred)
{
	int best = preferred;

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		if (load_relaxed(&queues[cpu].length) + 2 <= load_relaxed(&queues[best].length))
			best = (int)cpu;
	return best;
}

/* ---- slices ---- */

/* This CPU's queue has somebody waiting. */
static void time_slice(struct run_queue *queue)
{
	if (queue->slice_armed)
		return;
	queue->slice_armed = true;
	timer_arm(&queue->slice, time_ns() + SLICE_NS);
}

/* Who was pushed aside meanwhile has the rest of its slice. */
static uint64_t slice_end(const struct thread *thread)
{
	return thread->switched_in_ns + SLICE_NS - MIN(thread->slice_used_ns, SLICE_NS);
}

static void slice_over(struct timer *timer)
{
	struct run_queue *queue = container_of(timer, struct run_queue, slice);
	uint64_t now = time_ns(), end = slice_end(thread_current());
	int idle;

	queue->slice_armed = load_relaxed(&queue->length) > 0;
	if (!queue->slice_armed)
		return;
	if (end <= now) {
		percpu_set_need_resched(true);
		end = now + SLICE_NS;
	}
	timer_arm(timer, end);
	idle = idle_cpu((int)cpu_id());
	if (idle >= 0)
		arch_reschedule((unsigned int)idle);
}

void scheduler_enqueue(struct thread *thread)
{
	int cpu = thread->pinned_cpu, idle;
	bool urgent = thread->urgent;

	if (cpu == THREAD_ANY_CPU) {
		idle = idle_cpu(thread->cpu);
		cpu = idle >= 0 ? idle : urgent ? (int)cpu_id() : short_queue(thread->cpu);
	}
	trace_sched_wakeup(thread, cpu);
	/* Where somebody waits already, the slice is timed or an interrupt is on its way. */
	if (!queue_add(&queues[cpu], thread, urgent ? QUEUE_FIRST : QUEUE_LAST) && !urgent)
		return;
	if (urgent)
		store_relaxed(&queues[cpu].urgent, true);
	if (cpu != (int)cpu_id())
		arch_reschedule((unsigned int)cpu);
	else if (thread_current()->is_idle || urgent)
		percpu_set_need_resched(true);
	else
		time_slice(&queues[cpu]);
}

/* ---- switching ---- */

void scheduler_finish_switch(void)
{
	struct thread *previous = queues[cpu_id()].previous;
	bool dead = previous->state == THREAD_DEAD;

	store_release(&previous->on_cpu, false);
	/* From here on another CPU may run it, unless it is dead; then it is gone when its end is known. */
	if (dead)
		completion_done(&previous->ended);
}

static void switch_to(struct run_queue *queue, struct thread *next)
{
	struct thread *previous = thread_current();
	uint64_t now = time_ns();

	trace_sched_switch(previous, next);
	previous->run_ns += now - previous->switched_in_ns;
	store_relaxed(&next->switched_in_ns, now);
	store_relaxed(&next->on_cpu, true);
	queue->previous = previous;
	store_relaxed(&queue->idling, next->is_idle);
	percpu_set_thread(next);
	if (next->slots[THREAD_SLOT_MM])
		address_space_enter(next->slots[THREAD_SLOT_MM]);
	arch_switch(&previous->context, &next->context);
	/* On @previous' stack again, perhaps on another CPU. */
	scheduler_finish_switch();
}

void schedule(void)
{
	int cpu = cpu_id();
	struct run_queue *queue = &queues[cpu];
	struct thread *previous = thread_current(), *next;
	bool aside = load_relaxed(&queue->urgent);

	ASSERT(percpu_preempt_count() == 0, "switching threads with preemption off (%u)", percpu_preempt_count());
	percpu_set_need_resched(false);
	store_relaxed(&queue->urgent, false);
	previous->slice_used_ns = aside ? previous->slice_used_ns + time_ns() - previous->switched_in_ns : 0;
	if (previous->state == THREAD_RUNNABLE && !previous->is_idle)
		queue_add(queue, previous, previous->urgent ? QUEUE_SOON : aside ? QUEUE_NEXT : QUEUE_LAST);
	next = queue_take(queue, cpu, false);
	if (!next)
		next = steal(cpu);
	if (!next)
		next = queue->idle;
	if (load_relaxed(&queue->length))
		time_slice(queue);
	if (next != previous)
		switch_to(queue, next);
}

/* ---- blocking ---- */

static void deadline_passed(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct thread, deadline);

	store_release(&thread->timed_out, true);
	thread_unblock(thread);
}

/* True: an unblock had come already. */
static bool use_token(struct thread *thread)
{
	bool had;

	raw_lock(&thread->raw_lock);
	had = thread->token;
	thread->token = false;
	if (!had)
		thread->state = THREAD_BLOCKED;
	raw_unlock(&thread->raw_lock);
	return had;
}

bool thread_block(uint64_t deadline_ns)
{
	struct thread *thread = thread_current();
	unsigned long flags;
	bool timed_out;

	ASSERT(preemptible(), "sleeping where that is not allowed");
	if (deadline_ns != UINT64_MAX && deadline_ns <= time_ns())
		return false;
	store_relaxed(&thread->timed_out, false);
	if (deadline_ns != UINT64_MAX) {
		timer_init(&thread->deadline, deadline_passed);
		timer_arm(&thread->deadline, deadline_ns);
	}
	flags = cpu_irq_save();
	if (!use_token(thread))
		schedule();
	cpu_irq_restore(flags);
	if (deadline_ns != UINT64_MAX)
		timer_cancel(&thread->deadline);
	timed_out = load_acquire(&thread->timed_out);
	return !timed_out;
}

void thread_unblock(struct thread *thread)
{
	unsigned long flags = cpu_irq_save();
	bool was_blocked;

	raw_lock(&thread->raw_lock);
	was_blocked = thread->state == THREAD_BLOCKED;
	if (was_blocked) {
		/* Its CPU is on the way out of it, with interrupts off: this is short. */
		while (load_acquire(&thread->on_cpu))
			cpu_relax();
		thread->state = THREAD_RUNNABLE;
	} else {
		thread->token = true;
	}
	raw_unlock(&thread->raw_lock);
	if (was_blocked)
		scheduler_enqueue(thread);
	cpu_irq_restore(flags);
}

/* ---- preemption and interrupts ---- */

void preempt_catch_up(void)
{
	if (percpu_preempt_count() == 0 && percpu_interrupt_depth() == 0 && cpu_irqs_enabled())
		thread_yield();
}

bool preemptible(void)
{
	return percpu_preempt_count() == 0 && percpu_interrupt_depth() == 0;
}

bool in_interrupt(void)
{
	return percpu_interrupt_depth() != 0;
}

void interrupt_enter(void)
{
	percpu_interrupt_add(1);
}

void interrupt_leave(void)
{
	struct thread *running = thread_current();
	struct run_queue *queue = &queues[cpu_id()];

	percpu_interrupt_add(-1);
	if (load_relaxed(&queue->urgent))
		percpu_set_need_resched(true); /* now, or when preemption is on again */
	if (!running || percpu_interrupt_depth() || percpu_preempt_count())
		return;
	if (percpu_need_resched())
		schedule();
	else if (!running->is_idle && load_relaxed(&queue->length))
		time_slice(queue); /* somebody was queued from afar */
}

unsigned int timer_home(void)
{
	return cpu_id();
}

void thread_yield(void)
{
	unsigned long flags = cpu_irq_save();

	if (percpu_preempt_count() == 0 && thread_current())
		schedule();
	cpu_irq_restore(flags);
	/* Who yields waits for somebody, perhaps on a CPU that has its turn only when this one pauses. */
	cpu_relax();
}

/* ---- idle ---- */

static void idle_loop(void) NORETURN;
static void idle_loop(void)
{
	struct run_queue *queue = &queues[cpu_id()];

	for (;;) {
		(void)cpu_irq_save();
		store_relaxed(&queue->idling, true);
		smp_mb(); /* whoever queues here after this sends an interrupt */
		if (!load_relaxed(&queue->length) && !percpu_need_resched()) {
			arch_idle();
			(void)cpu_irq_save();
		}
		/* Also when the own queue is empty: the interrupt may have been a call for help. */
		schedule();
	}
}

static void idle_start(void *argument UNUSED)
{
	scheduler_finish_switch();
	idle_loop();
}

void scheduler_adopt(int cpu, struct thread *idle)
{
	list_init(&queues[cpu].threads);
	timer_init(&queues[cpu].slice, slice_over);
	queues[cpu].idle = idle;
	idle->is_idle = true;
	arch_context_init(&idle->context, idle->stack_top, idle_start, NULL);
}

void scheduler_enter_cpu(void)
{
	struct thread *idle = queues[cpu_id()].idle;

	idle->on_cpu = true;
	idle->switched_in_ns = time_ns();
	percpu_set_thread(idle);
	idle_loop();
}

uint64_t scheduler_idle_ns(void)
{
	uint64_t sum = 0, now = time_ns();

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		const struct thread *idle = queues[cpu].idle;

		sum += load_relaxed(&idle->run_ns);
		if (load_relaxed(&idle->on_cpu))
			sum += now - load_relaxed(&idle->switched_in_ns);
	}
	return sum;
}
