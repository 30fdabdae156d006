/*
 * Threads of the guest: made, named, listed, joined. How they share the CPUs: scheduler.c.
 *
 * A thread's structure comes from kmalloc, its stack from arch_stack_alloc() with an unmapped page below. It is freed
 * by thread_join(), after the switch away from it is done. The boot CPU's first context is "init"; idle threads have a
 * structure and a stack like any other, but are in no list of threads.
 */
#include <arch/percpu.h>

#include "kernel/cpu.h"
#include "kernel/lock_order.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/thread_internal.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_HOOKS 8

static struct thread init_thread = {.name = "init", .pinned_cpu = THREAD_ANY_CPU, .on_cpu = true};
static struct held_locks early_held; /* before there are threads */

static struct spinlock list_lock = SPINLOCK_INIT("thread_list");
static struct list_node all_threads = LIST_INIT(all_threads);
static uint32_t next_id = 1;

static void (*spawn_hooks[MAX_HOOKS])(struct thread *parent, struct thread *child);
static void (*exit_hooks[MAX_HOOKS])(struct thread *dying);
static unsigned int nr_spawn_hooks, nr_exit_hooks;

struct thread *thread_current(void)
{
	return percpu_thread();
}

struct held_locks *lock_order_held(void)
{
	struct thread *thread = percpu_thread();

	return thread ? &thread->held : &early_held;
}

const char *thread_name(const struct thread *thread)
{
	return thread->name;
}

uint32_t thread_id(const struct thread *thread)
{
	return thread->id;
}

void **thread_slot(struct thread *thread, enum thread_slot slot)
{
	return &thread->slots[slot];
}

void thread_on_spawn(void (*hook)(struct thread *parent, struct thread *child))
{
	ASSERT(nr_spawn_hooks < MAX_HOOKS);
	spawn_hooks[nr_spawn_hooks++] = hook;
}

void thread_on_exit(void (*hook)(struct thread *dying))
{
	ASSERT(nr_exit_hooks < MAX_HOOKS);
	exit_hooks[nr_exit_hooks++] = hook;
}

/* ---- birth ---- */

static void list_thread(struct thread *thread)
{
	spin_lock(&list_lock);
	thread->id = next_id++;
	list_add_tail(&all_threads, &thread->all);
	spin_unlock(&list_lock);
}

static struct thread *thread_make(const char *name)
{
	struct thread *thread = kzalloc(sizeof(*thread));

	if (!thread)
		return NULL;
	thread->stack_top = arch_stack_alloc();
	if (!thread->stack_top) {
		kfree(thread);
		return NULL;
	}
	string_copy(thread->name, name, sizeof(thread->name));
	thread->pinned_cpu = THREAD_ANY_CPU;
	list_init(&thread->run_node);
	list_init(&thread->all);
	completion_init(&thread->ended);
	return thread;
}

static void thread_end(struct thread *thread) NORETURN;
static void thread_end(struct thread *thread)
{
	for (unsigned int i = 0; i < nr_exit_hooks; i++)
		exit_hooks[i](thread);
	(void)cpu_irq_save();
	thread->state = THREAD_DEAD;
	schedule();
	panic("a dead thread was continued");
}

static void thread_start(void *argument)
{
	struct thread *thread = argument;

	scheduler_finish_switch();
	cpu_irq_restore(0x200); /* interrupts on */
	thread->result = thread->run(thread->argument);
	thread_end(thread);
}

struct thread *thread_spawn_on(int cpu, const char *name, int (*run)(void *), void *argument)
{
	struct thread *thread;
	unsigned long flags;

	lock_order_may_sleep("thread_spawn");
	ASSERT(cpu == THREAD_ANY_CPU || (unsigned int)cpu < cpu_count(), "thread %s for CPU %d", name, cpu);
	thread = thread_make(name);
	if (!thread)
		return ERR_PTR(-ENOMEM);
	thread->run = run;
	thread->argument = argument;
	thread->pinned_cpu = cpu;
	thread->cpu = cpu == THREAD_ANY_CPU ? (int)cpu_id() : cpu;
	arch_context_init(&thread->context, thread->stack_top, thread_start, thread);
	list_thread(thread);
	for (unsigned int i = 0; i < nr_spawn_hooks; i++)
		spawn_hooks[i](thread_current(), thread);
	flags = cpu_irq_save();
	scheduler_enqueue(thread);
	cpu_irq_restore(flags);
	return thread;
}

/* ---- death ---- */

int thread_join(struct thread *thread)
{
	int result;

	lock_order_may_sleep("thread_join");
	ASSERT(thread != thread_current(), "a thread joins itself");
	completion_wait(&thread->ended, WAIT_FOREVER);
	spin_lock(&list_lock);
	list_del(&thread->all);
	spin_unlock(&list_lock);
	result = thread->result;
	arch_stack_free(thread->stack_top);
	kfree(thread);
	return result;
}

void thread_stop(struct thread *thread)
{
	store_release(&thread->stop, true);
	thread_unblock(thread);
}

void thread_be_urgent(void)
{
	thread_current()->urgent = true;
}

bool thread_should_stop(void)
{
	return load_acquire(&thread_current()->stop);
}

void sleep_ns(uint64_t ns)
{
	uint64_t deadline = time_ns() + ns;

	lock_order_may_sleep("sleep_ns");
	while (!thread_should_stop() && time_ns() < deadline)
		(void)thread_block(deadline);
}

/* ---- set-up ---- */

static struct thread *idle_make(int cpu)
{
	char name[THREAD_NAME_SIZE];
	struct thread *idle;

	format(name, sizeof(name), "idle/%d", cpu);
	idle = thread_make(name);
	if (idle)
		scheduler_adopt(cpu, idle);
	return idle;
}

void scheduler_init(void)
{
	init_thread.switched_in_ns = time_ns();
	list_init(&init_thread.run_node);
	percpu_set_thread(&init_thread);
	list_thread(&init_thread);
	ASSERT(idle_make(0), "no memory for the first idle thread");
}

uint64_t scheduler_prepare_cpu(unsigned int cpu)
{
	struct thread *idle = idle_make((int)cpu);

	return idle ? idle->stack_top : 0;
}

/* ---- showing ---- */

static const char *state_name(const struct thread *thread)
{
	if (load_relaxed(&thread->on_cpu))
		return "running";
	switch (load_relaxed(&thread->state)) {
	case THREAD_RUNNABLE:
		return "ready";
	case THREAD_BLOCKED:
		return "sleeping";
	default:
		return "dead";
	}
}

/* A thread's line, copied under the lock: printing may sleep. */
struct row {
	uint32_t id;
	char name[THREAD_NAME_SIZE];
	const char *state;
	int cpu;
	uint64_t run_ns;
};

static void fill_row(struct row *row, const struct thread *thread)
{
	row->id = thread->id;
	row->state = state_name(thread);
	row->cpu = load_relaxed(&thread->cpu);
	row->run_ns = load_relaxed(&thread->run_ns);
	if (load_relaxed(&thread->on_cpu))
		row->run_ns += time_ns() - load_relaxed(&thread->switched_in_ns);
	string_copy(row->name, thread->name, sizeof(row->name));
}

/* The thread with the lowest number from @id on: the list is in their order. */
static bool next_row(uint32_t id, struct row *row)
{
	struct thread *thread;
	bool found = false;

	spin_lock(&list_lock);
	list_for_each_entry(thread, &all_threads, all) {
		found = thread->id >= id;
		if (!found)
			continue;
		fill_row(row, thread);
		break;
	}
	spin_unlock(&list_lock);
	return found;
}

void thread_show_all(struct sink *out)
{
	struct row row;

	sink_printf(out, "%5s %-16s %-9s %3s %12s\n", "ID", "NAME", "STATE", "CPU", "RUN-US");
	for (uint32_t id = 0; next_row(id, &row); id = row.id + 1)
		sink_printf(out, "%5u %-16s %-9s %3d %12llu\n", row.id, row.name, row.state, row.cpu,
			    (unsigned long long)(row.run_ns / NS_PER_US));
}
