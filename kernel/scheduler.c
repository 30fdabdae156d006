/*
 * The scheduler: a run queue per CPU, round robin, preemptive, tickless.
 *
 * A thread is on a CPU, in one run queue, or blocked. A CPU takes the first of its queue, steals from another if its
 * own is empty, or idles. A slice is timed only while somebody waits behind the running thread. A thread that becomes
 * runnable goes to its last CPU if that one idles, else to any idle CPU, else behind its last CPU's queue.
 *
 * Two rules keep a thread from running in two places: on_cpu is cleared by the thread that runs *after* it, when its
 * registers are saved; who unblocks a thread waits for that before queueing it, and who steals passes it over.
 *
 * Locking: everything here runs with interrupts off. thread->raw_lock, then a run queue's lock; never two queues.
 */
#include <arch/percpu.h>

#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/thread_internal.h"
#include "lib/atomic.h"

#define SLICE_NS (4 * NS_PER_MS)

struct run_queue {
	uint32_t raw_lock;
	uint32_t length;
	struct list_node threads;
	struct thread *idle, *previous; /* previous: who ran before, until its switch is finished */
	bool idling, slice_running;
} CACHE_LINE_ALIGNED;

static struct run_queue queues[MAX_CPUS];

void raw_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		while (load_relaxed(lock))
			cpu_relax();
}

void raw_unlock(uint32_t *lock)
{
	store_release(lock, 0);
}

/* ---- queues ---- */

static void queue_add(struct run_queue *queue, struct thread *thread)
{
	raw_lock(&queue->raw_lock);
	list_add_tail(&queue->threads, &thread->run_node);
	store_relaxed(&queue->length, queue->length + 1);
	raw_unlock(&queue->raw_lock);
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

static void kick(int cpu)
{
	if (cpu == (int)cpu_id())
		percpu_set_need_resched(true);
	else
		arch_reschedule(cpu);
}

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

void scheduler_enqueue(struct thread *thread)
{
	int cpu = thread->pinned_cpu, idle;

	if (cpu == THREAD_ANY_CPU) {
		idle = idle_cpu(thread->cpu);
		cpu = idle >= 0 ? idle : thread->cpu;
	}
	queue_add(&queues[cpu], thread);
	kick(cpu);
}

/* ---- switching ---- */

void scheduler_finish_switch(void)
{
	struct thread *previous = queues[cpu_id()].previous;
	struct thread *joiner = NULL;

	if (previous->state == THREAD_DEAD) {
		joiner = atomic_exchange(&previous->joiner, NULL);
		store_release(&previous->on_cpu, false);
		store_release(&previous->finished, true);
	} else {
		store_release(&previous->on_cpu, false);
	}
	/* From here on @previous may be gone. */
	if (joiner)
		thread_unblock(joiner);
}

static void switch_to(struct run_queue *queue, struct thread *next)
{
	struct thread *previous = thread_current();
	uint64_t now = time_ns();

	previous->run_ns += now - previous->switched_in_ns;
	next->switched_in_ns = now;
	store_relaxed(&next->on_cpu, true);
	queue->previous = previous;
	store_relaxed(&queue->idling, next->is_idle);
	percpu_set_thread(next);
	arch_switch(&previous->context, &next->context);
	/* On @previous' stack again, perhaps on another CPU. */
	scheduler_finish_switch();
}

/* Times a slice if somebody waits behind @running; a CPU that idles may come and help. */
static void start_slice(struct run_queue *queue, const struct thread *running)
{
	bool contended = !running->is_idle && load_relaxed(&queue->length) > 0;

	if (contended != queue->slice_running) {
		queue->slice_running = contended;
		timer_set_slice(contended ? time_ns() + SLICE_NS : UINT64_MAX);
	}
}

void schedule(void)
{
	int cpu = cpu_id();
	struct run_queue *queue = &queues[cpu];
	struct thread *previous = thread_current(), *next;

	ASSERT(percpu_preempt_count() == 0, "switching threads with preemption off (%u)", percpu_preempt_count());
	percpu_set_need_resched(false);
	if (previous->state == THREAD_RUNNABLE && !previous->is_idle)
		queue_add(queue, previous);
	next = queue_take(queue, cpu, false);
	if (!next)
		next = steal(cpu);
	if (!next)
		next = queue->idle;
	queue->slice_running = false;
	start_slice(queue, next);
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

void preempt_disable(void)
{
	percpu_preempt_add(1);
	barrier();
}

void preempt_enable(void)
{
	barrier();
	DEBUG_ASSERT(percpu_preempt_count() > 0, "preempt_enable() without preempt_disable()");
	percpu_preempt_add(-1);
	if (unlikely(percpu_need_resched()) && percpu_preempt_count() == 0 && percpu_interrupt_depth() == 0 &&
	    cpu_irqs_enabled())
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
	if (!running || percpu_interrupt_depth() || percpu_preempt_count())
		return;
	if (percpu_need_resched())
		percpu_set_need_resched(false);
	else if (running->is_idle || !load_relaxed(&queue->length))
		return;
	/* A busy CPU goes on with its thread until the slice ends. */
	if (running->is_idle || queue->slice_running)
		schedule();
	else
		start_slice(queue, running);
}

void thread_yield(void)
{
	unsigned long flags = cpu_irq_save();

	if (percpu_preempt_count() == 0 && thread_current())
		schedule();
	cpu_irq_restore(flags);
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
		if (load_relaxed(&queue->length) || percpu_need_resched())
			schedule();
		else
			arch_idle();
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
