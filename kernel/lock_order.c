/*
 * The lock-order checker of debug builds; see lock_order.h for the idea.
 *
 * Classes are numbered as they are met, found by the text of their name. after[a] is the set of classes that were taken
 * while a was held, directly. A new edge a → b asks whether a can be reached from b: then the two orders contradict
 * each other, and the path found is the other order. Edges are kept for ever, so the search runs once per new
 * edge and the common case is one bit test.
 *
 * A class that an interrupt handler takes must never be held with interrupts on: both facts are noted per class.
 *
 * The checker's own lock is a bare word taken with interrupts off: it must not check itself.
 */
#include "kernel/lock_order.h"

#ifdef BALLONET_DEBUG

#include <arch/cpu.h>

#include "kernel/lock_order_internal.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/string.h"

#define MAX_CLASSES 192
#define SET_WORDS   BITMAP_WORDS(MAX_CLASSES)

static struct lock_class {
	const char *name;
	enum lock_kind kind;
	bool in_interrupt;       /* was taken by an interrupt handler */
	bool with_interrupts_on; /* was taken with interrupts on */
	uint64_t after[SET_WORDS];
} classes[MAX_CLASSES];
static unsigned int nr_classes;
static uint32_t table_lock;

static unsigned long table_take(void)
{
	unsigned long flags = cpu_irq_save();

	while (__atomic_exchange_n(&table_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	return flags;
}

static void table_release(unsigned long flags)
{
	store_release(&table_lock, 0);
	cpu_irq_restore(flags);
}

/* ---- classes ---- */

static int find_class(const char *name, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (classes[i].name == name || strcmp(classes[i].name, name) == 0)
			return (int)i;
	return -1;
}

static unsigned int class_of(const char *name, enum lock_kind kind)
{
	int found = find_class(name, load_acquire(&nr_classes));
	unsigned long flags;

	if (found >= 0)
		return (unsigned int)found;
	flags = table_take();
	found = find_class(name, nr_classes);
	if (found < 0) {
		found = (int)nr_classes;
		if (found < MAX_CLASSES) {
			classes[found].name = name;
			classes[found].kind = kind;
			store_release(&nr_classes, nr_classes + 1);
		}
	}
	table_release(flags);
	ASSERT(found < MAX_CLASSES, "more than %d lock classes", MAX_CLASSES);
	return (unsigned int)found;
}

/* ---- edges ---- */

static bool has_edge(unsigned int from, unsigned int to)
{
	return load_relaxed(&classes[from].after[to / BITS_PER_WORD]) >> (to % BITS_PER_WORD) & 1;
}

/* Depth first; @path gets the classes from @from to @to. Its length, or 0 if there is no way. */
static size_t find_path(unsigned int from, unsigned int to, uint64_t *seen, uint16_t *path, size_t depth)
{
	path[depth] = (uint16_t)from;
	if (from == to)
		return depth + 1;
	bitmap_set(seen, from);
	for (unsigned int next = 0; next < nr_classes; next++) {
		size_t length;

		if (!has_edge(from, next) || bitmap_test(seen, next))
			continue;
		length = find_path(next, to, seen, path, depth + 1);
		if (length)
			return length;
	}
	return 0;
}

static void inversion(unsigned int held, unsigned int wanted, const uint16_t *path, size_t length) NORETURN;
static void inversion(unsigned int held, unsigned int wanted, const uint16_t *path, size_t length)
{
	char chain[400];
	size_t at = 0;

	for (size_t i = 0; i < length && at < sizeof(chain); i++)
		at += (size_t)format(chain + at, sizeof(chain) - at, "%s%s", i ? " -> " : "", classes[path[i]].name);
	panic("lock order inversion: %s is taken while %s is held, but before it was %s", classes[wanted].name,
	      classes[held].name, chain);
}

static void add_edge(unsigned int held, unsigned int wanted)
{
	static uint64_t seen[SET_WORDS];
	static uint16_t path[MAX_CLASSES];
	unsigned long flags;
	size_t length;

	if (has_edge(held, wanted))
		return;
	flags = table_take();
	memset(seen, 0, sizeof(seen));
	length = find_path(wanted, held, seen, path, 0);
	if (!length)
		store_relaxed(&classes[held].after[wanted / BITS_PER_WORD],
			      classes[held].after[wanted / BITS_PER_WORD] | 1ull << (wanted % BITS_PER_WORD));
	table_release(flags);
	if (length)
		inversion(held, wanted, path, length);
}

/* ---- interrupts ---- */

static void note_context(unsigned int class)
{
	struct lock_class *c = &classes[class];

	if (in_interrupt())
		store_relaxed(&c->in_interrupt, true);
	else if (cpu_irqs_enabled())
		store_relaxed(&c->with_interrupts_on, true);
	else
		return;
	if (load_relaxed(&c->in_interrupt) && load_relaxed(&c->with_interrupts_on))
		panic("lock %s is taken by interrupt handlers, and elsewhere with interrupts on", c->name);
}

/* ---- what a thread holds; interrupts add to it too, so it changes with interrupts off ---- */

static void held_push(struct held_locks *held, const void *lock, unsigned int class, enum lock_kind kind)
{
	unsigned long flags = cpu_irq_save();

	ASSERT(held->count < MAX_HELD_LOCKS, "more than %d locks are held by one thread", MAX_HELD_LOCKS);
	held->locks[held->count].lock = lock;
	held->locks[held->count].class = (uint16_t)class;
	held->locks[held->count].is_spin = kind == LOCK_SPIN;
	held->count++;
	cpu_irq_restore(flags);
}

static bool held_remove(struct held_locks *held, const void *lock)
{
	unsigned long flags = cpu_irq_save();
	uint32_t at = held->count;
	bool found;

	while (at > 0 && held->locks[at - 1].lock != lock)
		at--;
	found = at > 0;
	if (found) {
		for (; at < held->count; at++)
			held->locks[at - 1] = held->locks[at];
		held->count--;
	}
	cpu_irq_restore(flags);
	return found;
}

/* ---- the calls ---- */

void lock_order_acquire(const void *lock, const char *name, enum lock_kind kind, bool try_only)
{
	struct held_locks *held;
	unsigned int class;

	if (panicking())
		return;
	class = class_of(name, kind);
	held = lock_order_held();
	if (kind == LOCK_SPIN)
		note_context(class);
	for (uint32_t i = 0; i < held->count && !try_only; i++) {
		if (held->locks[i].lock == lock)
			panic("lock %s is taken again by the thread that holds it", name);
		/* Two locks of one class: no order is known among them, so none may be assumed. */
		if (held->locks[i].class == class)
			panic("two locks of class %s are taken together", name);
		add_edge(held->locks[i].class, class);
	}
	held_push(held, lock, class, kind);
}

void lock_order_release(const void *lock, const char *name)
{
	if (!panicking() && !held_remove(lock_order_held(), lock))
		panic("lock %s is released by a thread that does not hold it", name);
}

void lock_order_may_sleep(const char *what)
{
	struct held_locks *held = lock_order_held();

	if (panicking())
		return;
	for (uint32_t i = 0; i < held->count; i++)
		if (held->locks[i].is_spin)
			panic("%s may sleep, but spin lock %s is held", what, classes[held->locks[i].class].name);
	if (!preemptible())
		panic("%s may sleep, but %s", what, in_interrupt() ? "this is an interrupt" : "preemption is off");
}

void lock_order_show(struct sink *out)
{
	unsigned int count = load_acquire(&nr_classes);

	sink_printf(out, "%u lock classes; a line each: kind, name, then what was taken while it was held\n", count);
	for (unsigned int i = 0; i < count; i++) {
		sink_printf(out, "%-5s %-24s", classes[i].kind == LOCK_SPIN ? "spin" : "mutex", classes[i].name);
		for (unsigned int next = 0; next < count; next++)
			if (has_edge(i, next))
				sink_printf(out, " %s", classes[next].name);
		sink_printf(out, "\n");
	}
}

#else

void lock_order_show(struct sink *out)
{
	sink_printf(out, "off: this is not a debug build\n");
}

#endif
