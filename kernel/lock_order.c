/*
 * The lock-order checker of debug builds; see lock_order.h for the idea.
 *
 * Classes are numbered as they are met. A class is the text of a name; a small hash table leads from the pointer to the
 * number, and only a pointer that was never seen is compared as text. after[a] is the set of classes that were taken
 * while a was held, directly. A new edge a → b asks whether a can be reached from b: then the two orders contradict
 * each other, and the path found is the other order. Edges are kept for ever, so the search runs once per new
 * edge and the common case is one bit test. Each edge remembers where both its locks were taken, for the report.
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
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/string.h"

#define MAX_CLASSES 192
#define SET_WORDS   BITMAP_WORDS(MAX_CLASSES)
#define MAX_EDGES   1024
#define NAME_SLOTS  1024u /* pointers of names; a power of two */

static struct lock_class {
	const char *name;
	enum lock_kind kind;
	bool in_interrupt;	 /* was taken by an interrupt handler */
	bool with_interrupts_on; /* was taken with interrupts on */
	uint64_t after[SET_WORDS];
} classes[MAX_CLASSES];
static unsigned int nr_classes;
static uint32_t table_lock;
static bool reporting; /* an inversion was found: the report takes locks too, and they are not checked any more */

/* Where the locks of an edge were taken when it was met first. */
static struct edge_places {
	uint16_t from, to;
	const void *from_where, *to_where;
} edges[MAX_EDGES];
static unsigned int nr_edges;

/* Published by the name; the class is there before. */
static struct name_slot {
	const char *name;
	unsigned int class;
} name_slots[NAME_SLOTS];

static bool enabled(void)
{
	return !load_relaxed(&reporting) && !panicking();
}

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

/* The slot of this pointer, or the free one where it belongs. */
static struct name_slot *slot_of(const char *name)
{
	uint32_t hash = (uint32_t)(((uintptr_t)name * 0x9e3779b97f4a7c15ull) >> 32);

	for (uint32_t probe = 0; probe < NAME_SLOTS; probe++) {
		struct name_slot *slot = &name_slots[(hash + probe) % NAME_SLOTS];
		const char *there = load_acquire(&slot->name);

		if (there == name || !there)
			return slot;
	}
	panic("more than %u names of locks", NAME_SLOTS);
}

/* With the table's lock: by its text, or a new one. MAX_CLASSES: there is no room. */
static unsigned int class_of_text(const char *name, enum lock_kind kind)
{
	unsigned int at = 0;

	while (at < nr_classes && strcmp(classes[at].name, name) != 0)
		at++;
	if (at == nr_classes && at < MAX_CLASSES) {
		classes[at].name = name;
		classes[at].kind = kind;
		store_release(&nr_classes, nr_classes + 1);
	}
	return at;
}

static unsigned int class_of(const char *name, enum lock_kind kind)
{
	struct name_slot *slot = slot_of(name);
	unsigned int class;
	unsigned long flags;

	/* Not just "taken": another name may have taken the free slot since it was found. */
	if (likely(load_acquire(&slot->name) == name))
		return slot->class;
	flags = table_take();
	class = class_of_text(name, kind);
	slot = slot_of(name);
	if (!load_relaxed(&slot->name) && class < MAX_CLASSES) {
		slot->class = class;
		store_release(&slot->name, name);
	}
	table_release(flags);
	ASSERT(class < MAX_CLASSES, "more than %d lock classes", MAX_CLASSES);
	return class;
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

static const char *place(char buffer[80], const void *where)
{
	return symbol_format(buffer, 80, (uint64_t)(uintptr_t)where);
}

static void report_edge(unsigned int from, unsigned int to)
{
	char from_place[80], to_place[80];

	for (unsigned int i = 0; i < nr_edges; i++)
		if (edges[i].from == from && edges[i].to == to)
			pr_err("lock order:   earlier %s was taken at %s while %s, taken at %s, was held",
			       classes[to].name, place(to_place, edges[i].to_where), classes[from].name,
			       place(from_place, edges[i].from_where));
}

static void inversion(unsigned int held, const void *held_where, unsigned int wanted, const void *where,
		      const uint16_t *path, size_t length) NORETURN;
static void inversion(unsigned int held, const void *held_where, unsigned int wanted, const void *where,
		      const uint16_t *path, size_t length)
{
	char chain[400], held_place[80], wanted_place[80];
	size_t at = 0;

	pr_err("lock order: now %s is to be taken at %s while %s, taken at %s, is held", classes[wanted].name,
	       place(wanted_place, where), classes[held].name, place(held_place, held_where));
	for (size_t i = 1; i < length; i++)
		report_edge(path[i - 1], path[i]);
	for (size_t i = 0; i < length && at < sizeof(chain); i++)
		at += (size_t)format(chain + at, sizeof(chain) - at, "%s%s", i ? " -> " : "", classes[path[i]].name);
	panic("lock order inversion: %s is taken while %s is held, but before it was %s", classes[wanted].name,
	      classes[held].name, chain);
}

static void note_edge(unsigned int held, const void *held_where, unsigned int wanted, const void *where)
{
	uint64_t *word = &classes[held].after[wanted / BITS_PER_WORD];

	if (nr_edges < MAX_EDGES)
		edges[nr_edges++] = (struct edge_places){(uint16_t)held, (uint16_t)wanted, held_where, where};
	store_relaxed(word, *word | 1ull << (wanted % BITS_PER_WORD));
}

static void add_edge(unsigned int held, const void *held_where, unsigned int wanted, const void *where)
{
	static uint64_t seen[SET_WORDS];
	static uint16_t path[MAX_CLASSES];
	unsigned long flags;
	size_t length;

	if (has_edge(held, wanted))
		return;
	flags = table_take();
	if (load_relaxed(&reporting)) { /* another CPU found one, and uses the path */
		table_release(flags);
		return;
	}
	memset(seen, 0, sizeof(seen));
	length = find_path(wanted, held, seen, path, 0);
	if (length)
		store_relaxed(&reporting, true);
	else if (!has_edge(held, wanted))
		note_edge(held, held_where, wanted, where);
	table_release(flags);
	if (length)
		inversion(held, held_where, wanted, where, path, length);
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

static void held_push(struct held_locks *held, const void *lock, const void *where, unsigned int class,
		      enum lock_kind kind)
{
	unsigned long flags = cpu_irq_save();

	ASSERT(held->count < MAX_HELD_LOCKS, "more than %d locks are held by one thread", MAX_HELD_LOCKS);
	held->locks[held->count].lock = lock;
	held->locks[held->count].where = where;
	held->locks[held->count].class = (uint16_t) class;
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

void lock_order_acquire(const void *lock, const char *name, enum lock_kind kind, bool try_only, const void *where)
{
	struct held_locks *held;
	unsigned int class;

	if (!enabled())
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
		add_edge(held->locks[i].class, held->locks[i].where, class, where);
	}
	held_push(held, lock, where, class, kind);
}

void lock_order_release(const void *lock, const char *name)
{
	if (enabled() && !held_remove(lock_order_held(), lock))
		panic("lock %s is released by a thread that does not hold it", name);
}

void lock_order_may_sleep(const char *what)
{
	struct held_locks *held = lock_order_held();

	if (!enabled())
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
