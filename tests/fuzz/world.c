/*
 * See world.h. The main thread is the fuzzer's; the driver's worker is a coroutine on a stack of its own, which goes on
 * whenever the main thread sleeps or says so.
 */
#include "tests/fuzz/world.h"

#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <arch/cpu.h>

#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "kernel/work.h"
#include "lib/errno.h"
#include "mm/vmstat.h"

#define STACK_BYTES (256u << 10)
#define LOOK_NS	    (20 * NS_PER_US) /* what a look at the clock takes */
#define MOST_WORKS  8u

struct world world;
char *host_arena, *host_page_structs;
__thread bool host_irqs_off;
__thread unsigned int host_cpu_index = 1;

struct thread {
	ucontext_t context;
	int (*run)(void *argument);
	void *argument;
	int result;
	bool exists, ended, stop;
};

static struct thread worker, main_thread, *current = &main_thread;
static char stack[STACK_BYTES];
static struct work *queued[MOST_WORKS];

/* ---- threads ---- */

static void switch_to(struct thread *next)
{
	struct thread *from = current;

	current = next;
	swapcontext(&from->context, &next->context);
}

static void begin_worker(void)
{
	worker.result = worker.run(worker.argument);
	worker.ended = true;
	switch_to(&main_thread);
}

struct thread *thread_spawn_on(int cpu UNUSED, const char *name UNUSED, int (*run)(void *argument), void *argument)
{
	MUST(!worker.exists);
	worker = (struct thread){.run = run, .argument = argument, .exists = true};
	getcontext(&worker.context);
	worker.context.uc_stack.ss_sp = stack;
	worker.context.uc_stack.ss_size = sizeof(stack);
	makecontext(&worker.context, begin_worker, 0);
	return &worker;
}

bool world_run_worker(void)
{
	if (!worker.exists || worker.ended)
		return false;
	MUST(current == &main_thread);
	switch_to(&worker);
	return true;
}

/* The other one's turn: the main thread is asleep, or the worker is. */
static void give_way(void)
{
	if (current == &worker)
		switch_to(&main_thread);
	else
		world_run_worker();
}

void thread_stop(struct thread *thread)
{
	thread->stop = true;
}

int thread_join(struct thread *thread)
{
	while (world_run_worker())
		continue;
	thread->exists = false;
	return thread->result;
}

bool thread_should_stop(void)
{
	return current->stop;
}

struct thread *thread_current(void)
{
	return current;
}

void sleep_ns(uint64_t ns)
{
	world.now_ns += ns;
	give_way();
}

/* ---- time, waiting, locks ---- */

uint64_t time_ns(void)
{
	return world.now_ns += LOOK_NS;
}

uint64_t wait_deadline(uint64_t timeout_ns)
{
	return timeout_ns > UINT64_MAX - world.now_ns ? UINT64_MAX : world.now_ns + timeout_ns;
}

void host_relax(void)
{
	world.steer();
}

void wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
}

void wait_prepare(struct wait_queue *queue, struct waiter *waiter)
{
	*waiter = (struct waiter){.thread = current};
	list_add_tail(&queue->waiters, &waiter->node);
}

bool wait_sleep(struct waiter *waiter, uint64_t deadline_ns)
{
	while (!waiter->woken && !current->stop) {
		if (time_ns() >= deadline_ns)
			return false;
		/* Nobody else runs while the main thread sleeps but the worker: time is all that is left. */
		world.now_ns += current == &main_thread ? NS_PER_MS : 0;
		give_way();
	}
	return true;
}

void wait_finish(struct wait_queue *queue UNUSED, struct waiter *waiter)
{
	list_del(&waiter->node);
}

void wake_up_all(struct wait_queue *queue)
{
	struct waiter *waiter;

	list_for_each_entry(waiter, &queue->waiters, node)
		waiter->woken = true;
}

void mutex_init(struct mutex *mutex, const char *name)
{
	*mutex = (struct mutex){.name = name};
}

bool mutex_trylock(struct mutex *mutex)
{
	if (mutex->owner)
		return false;
	mutex->owner = current;
	return true;
}

void mutex_lock(struct mutex *mutex)
{
	MUST(mutex->owner != current);
	while (!mutex_trylock(mutex))
		give_way();
}

void mutex_unlock(struct mutex *mutex)
{
	MUST(mutex->owner == current);
	mutex->owner = NULL;
}

/* ---- work items ---- */

void work_init(struct work *work, void (*run)(struct work *work))
{
	*work = (struct work){.run = run};
}

void work_cancel_sync(struct work *work)
{
	for (unsigned int i = 0; i < MOST_WORKS; i++)
		queued[i] = queued[i] == work ? NULL : queued[i];
}

bool work_queue(struct work *work)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < MOST_WORKS; i++)
		if (queued[i] == work)
			return false;
	while (queued[at])
		MUST(++at < MOST_WORKS);
	queued[at] = work;
	return true;
}

void delayed_work_init(struct delayed_work *delayed, void (*run)(struct work *work))
{
	work_init(&delayed->work, run);
}

bool delayed_work_queue(struct delayed_work *delayed, uint64_t delay_ns UNUSED)
{
	return work_queue(&delayed->work);
}

void delayed_work_cancel_sync(struct delayed_work *delayed)
{
	work_cancel_sync(&delayed->work);
}

void world_run_work(void)
{
	struct work *now[MOST_WORKS];

	memcpy(now, queued, sizeof(now));
	memset(queued, 0, sizeof(queued));
	for (unsigned int i = 0; i < MOST_WORKS; i++)
		if (now[i])
			now[i]->run(now[i]);
}

/* ---- pages ---- */

bool pfn_valid(uint64_t pfn)
{
	return pfn < WORLD_PAGES;
}

enum page_owner page_owner(const struct page *page)
{
	return world.owner[page_to_pfn(page)];
}

unsigned int page_order(const struct page *page)
{
	return world.order[page_to_pfn(page)];
}

static bool is_free(uint64_t first, uint64_t pages)
{
	for (uint64_t pfn = first; pfn < first + pages; pfn++)
		if (world.owner[pfn])
			return false;
	return true;
}

struct page *alloc_pages_node(int node UNUSED, uint32_t gfp, unsigned int order)
{
	uint64_t pages = 1ull << order;

	if (world.fail_allocations) {
		world.fail_allocations--;
		return NULL;
	}
	for (uint64_t first = 0; world.free_pages >= pages && first < WORLD_PAGES; first += pages) {
		if (world.owner[first] || !is_free(first, pages))
			continue;
		memset(world.owner + first, MAX(gfp >> 24, 1u), pages);
		memset(world.order + first, (int)order, pages);
		world.free_pages -= pages;
		if (gfp & GFP_ZERO)
			memset(host_arena + (first << PAGE_SHIFT), 0, pages << PAGE_SHIFT);
		return pfn_to_page(first);
	}
	return NULL;
}

size_t alloc_pages_bulk(int node, uint32_t gfp, unsigned int order, size_t count, struct page **pages)
{
	size_t got = 0;

	while (got < count && (pages[got] = alloc_pages_node(node, gfp, order)))
		got++;
	return got;
}

void free_pages(struct page *page, unsigned int order)
{
	uint64_t first = page_to_pfn(page), pages = 1ull << order;

	MUST(first % pages == 0 && first + pages <= WORLD_PAGES && first && world.order[first] == order);
	for (uint64_t pfn = first; pfn < first + pages; pfn++)
		MUST(world.owner[pfn]);
	world.freeing(first, order);
	memset(world.owner + first, 0, pages);
	world.free_pages += pages;
}

void memory_info_get(struct memory_info *info)
{
	*info = (struct memory_info){.total = WORLD_PAGES, .free = world.free_pages, .available = world.free_pages};
}

uint64_t memory_reserve_pages(void)
{
	return 32;
}

uintptr_t memalloc_enter(void)
{
	return 0;
}

void *kmalloc(size_t bytes)
{
	return malloc(bytes);
}

void *kmalloc_atomic(size_t bytes)
{
	return world.fail_allocations && world.fail_allocations-- ? NULL : malloc(bytes);
}

void *kzalloc(size_t bytes)
{
	return calloc(1, bytes);
}

void kfree(void *memory)
{
	free(memory);
}

/* ---- what drivers register ---- */

void oom_notifier_register(struct oom_notifier *notifier)
{
	world.oom = notifier;
}

void oom_notifier_unregister(struct oom_notifier *notifier UNUSED)
{
	world.oom = NULL;
}

void shrinker_register(struct shrinker *shrinker)
{
	world.shrinker = shrinker;
}

void shrinker_unregister(struct shrinker *shrinker UNUSED)
{
	world.shrinker = NULL;
}

int page_hinting_enable(struct page_hinting_cb *cb)
{
	world.hinting = cb;
	return 0;
}

void page_hinting_disable(struct page_hinting_cb *cb)
{
	while (world.in_hinting && world.hinting == cb)
		give_way();
	world.hinting = world.hinting == cb ? NULL : world.hinting;
}

void movable_register(enum page_owner owner UNUSED, const struct movable_ops *ops)
{
	world.movable = ops;
}

int vfile_add(const char *path UNUSED, const struct vfile_ops *ops UNUSED, void *context UNUSED)
{
	return 0;
}

void vm_event_add(enum vm_event event UNUSED, uint64_t count UNUSED)
{
}

uint64_t vm_event_read(enum vm_event event)
{
	return event;
}

void printk(enum log_level level UNUSED, const char *fmt UNUSED, ...)
{
}

void assertion_failed(const char *condition, const char *file, int line, const char *fmt, ...)
{
	fprintf(stderr, "%s:%d: assertion %s (%s)\n", file, line, condition, fmt);
	abort();
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

/* ---- beginning and end ---- */

void world_init(void)
{
	size_t bytes = WORLD_PAGES << PAGE_SHIFT, structs = WORLD_PAGES * sizeof(struct page);

	host_arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	host_page_structs = aligned_alloc(64, structs);
	MUST(host_arena != MAP_FAILED && host_page_structs);
	memset(host_page_structs, 0, structs);
}

void world_reset(void)
{
	memset(world.owner, 0, sizeof(world.owner));
	world.owner[0] = PAGE_OWNER_RESERVED;
	world.free_pages = WORLD_PAGES - 1;
	world.fail_allocations = 0;
	world.now_ns = NS_PER_S;
	memset(queued, 0, sizeof(queued));
	MUST(!worker.exists && !world.oom && !world.shrinker && !world.hinting);
}
