/*
 * kernel/thread.h and kernel/time.h on POSIX threads.
 *
 * A thread that was not spawned through here (main, the timer thread) gets its structure at its first use.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "kernel/lock_order.h"
#include "kernel/lock_order_internal.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "lib/string.h"

#define MAX_HOOKS 8

struct thread {
	pthread_t posix;
	pthread_mutex_t mutex;
	pthread_cond_t unblocked;
	bool token; /* an unblock that no block has used up */
	bool stop;
	char name[THREAD_NAME_SIZE];
	uint32_t id;
	int (*run)(void *argument);
	void *argument;
	int result;
	void *slots[THREAD_SLOTS];
};

static __thread struct thread *self;
__thread int host_preempt_depth;
static __thread int interrupt_depth;
__thread bool host_irqs_off;
static uint32_t next_id;
static void (*spawn_hooks[MAX_HOOKS])(struct thread *parent, struct thread *child);
static void (*exit_hooks[MAX_HOOKS])(struct thread *dying);
static unsigned int nr_spawn_hooks, nr_exit_hooks;

struct held_locks *lock_order_held(void)
{
	static __thread struct held_locks held;

	return &held;
}

/* ---- CPU indices ---- */

__thread unsigned int host_cpu_index;
static uint64_t cpus_in_use;
static pthread_key_t cpu_key;
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

static void cpu_give_back(void *index)
{
	atomic_fetch_and(&cpus_in_use, ~BIT((uintptr_t)index - 1));
}

static void cpu_make_key(void)
{
	pthread_key_create(&cpu_key, cpu_give_back);
}

unsigned int host_cpu_assign(void)
{
	uint64_t in_use = load_relaxed(&cpus_in_use);

	pthread_once(&cpu_once, cpu_make_key);
	do {
		if (~in_use == 0)
			panic("more than %d threads at once", MAX_CPUS);
	} while (!atomic_cas(&cpus_in_use, &in_use, in_use | BIT(__builtin_ctzll(~in_use))));
	host_cpu_index = __builtin_ctzll(~in_use) + 1;
	pthread_setspecific(cpu_key, (void *)(uintptr_t)host_cpu_index);
	return host_cpu_index - 1;
}

void host_relax(void)
{
	static __thread unsigned int spins;

	if (++spins % 64 == 0)
		sched_yield();
	else
		__asm__ volatile("pause" ::: "memory");
}

unsigned int host_disturb_one_in;

void host_sleep_at_random(void)
{
	static __thread struct rand rand;
	static __thread bool seeded;

	if (!seeded)
		rand_seed(&rand, time_ns());
	seeded = true;
	if (rand_below(&rand, host_disturb_one_in) == 0)
		usleep(rand_below(&rand, 300));
}

unsigned int cpu_count(void)
{
	return MAX_CPUS;
}

unsigned int cpu_node(unsigned int cpu UNUSED)
{
	return 0;
}

/* All threads of the process, rather than one; the slow form needs no registration. */
void cpu_barrier(unsigned int cpu UNUSED)
{
	static bool registered;

	if (!load_acquire(&registered)) {
		syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
		store_release(&registered, true);
	}
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		ASSERT(!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

/* ---- time ---- */

uint64_t time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void delay_ns(uint64_t ns)
{
	uint64_t end = time_ns() + ns;

	while (time_ns() < end)
		cpu_relax();
}

void sleep_ns(uint64_t ns)
{
	uint64_t deadline = time_ns() + ns;

	lock_order_may_sleep("sleep_ns");
	while (!thread_should_stop() && thread_block(deadline))
		;
}

/* ---- threads ---- */

static struct thread *thread_make(const char *name)
{
	struct thread *thread = kzalloc(sizeof(*thread));
	pthread_condattr_t attributes;

	if (!thread)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&thread->unblocked, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&thread->mutex, NULL);
	string_copy(thread->name, name, sizeof(thread->name));
	thread->id = atomic_fetch_add(&next_id, 1);
	return thread;
}

struct thread *thread_current(void)
{
	static struct thread *main_thread;

	if (!self) {
		self = thread_make("main");
		main_thread = self; /* stays reachable for the leak checker */
		(void)main_thread;
	}
	return self;
}

static void *thread_main(void *argument)
{
	self = argument;
	host_disturb();
	self->result = self->run(self->argument);
	for (unsigned int i = 0; i < nr_exit_hooks; i++)
		exit_hooks[i](self);
	return NULL;
}

struct thread *thread_spawn_on(int cpu UNUSED, const char *name, int (*run)(void *), void *argument)
{
	struct thread *parent = thread_current(), *thread = thread_make(name);

	if (!thread)
		return ERR_PTR(-ENOMEM);
	thread->run = run;
	thread->argument = argument;
	for (unsigned int i = 0; i < nr_spawn_hooks; i++)
		spawn_hooks[i](parent, thread);
	if (pthread_create(&thread->posix, NULL, thread_main, thread) != 0)
		panic("hosted thread %s cannot be made", name);
	return thread;
}

int thread_join(struct thread *thread)
{
	int result;

	lock_order_may_sleep("thread_join");
	pthread_join(thread->posix, NULL);
	result = thread->result;
	pthread_cond_destroy(&thread->unblocked);
	pthread_mutex_destroy(&thread->mutex);
	kfree(thread);
	return result;
}

bool thread_block(uint64_t deadline_ns)
{
	struct thread *thread = thread_current();
	struct timespec until = {deadline_ns / NS_PER_S, deadline_ns % NS_PER_S};
	int error = 0;

	pthread_mutex_lock(&thread->mutex);
	while (!thread->token && error != ETIMEDOUT) {
		if (deadline_ns == UINT64_MAX)
			pthread_cond_wait(&thread->unblocked, &thread->mutex);
		else
			error = pthread_cond_timedwait(&thread->unblocked, &thread->mutex, &until);
	}
	error = thread->token ? 0 : ETIMEDOUT;
	thread->token = false;
	pthread_mutex_unlock(&thread->mutex);
	return error == 0;
}

void thread_unblock(struct thread *thread)
{
	host_disturb();
	pthread_mutex_lock(&thread->mutex);
	thread->token = true;
	pthread_cond_signal(&thread->unblocked);
	pthread_mutex_unlock(&thread->mutex);
}

void thread_stop(struct thread *thread)
{
	store_release(&thread->stop, true);
	thread_unblock(thread);
}

void thread_be_urgent(void)
{
}

bool thread_should_stop(void)
{
	return load_acquire(&thread_current()->stop);
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

void thread_yield(void)
{
	sched_yield();
}

bool preemptible(void)
{
	return host_preempt_depth == 0 && interrupt_depth == 0;
}

bool in_interrupt(void)
{
	return interrupt_depth != 0;
}

void interrupt_enter(void)
{
	host_irqs_off = true;
	interrupt_depth++;
}

void interrupt_leave(void)
{
	interrupt_depth--;
	host_irqs_off = false;
}

void thread_show_all(struct sink *out)
{
	sink_printf(out, "threads of the host\n");
}
