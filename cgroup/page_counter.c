/*
 * Page counters: see page_counter.h for the idea.
 *
 * A CPU's stock is a single word, (counter, pages), changed with compare-and-swap and taken out with an exchange.
 * So a drain by another CPU and a charge by the owner cannot count the same pages twice: the one that comes second
 * finds the word changed.
 *
 * A counter may be on its way out while somebody still carries pages of it from a stock to its levels: they are in
 * its usage until then. So a counter is freed only when its usage has come down to 0 (page_counter_settle), whoever
 * uncharges knows the next level before he lets go of one, and nobody is preempted in between.
 */
#include "cgroup/page_counter.h"

#include <arch/cpu.h>
#include <arch/page.h>
#include <arch/preempt.h>

#include "kernel/panic.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

/* The pages are in the top bits, which a canonical address leaves unused (bits 63..47 of it are equal). */
#define STOCK_SHIFT 48
#define STOCK_MASK  ((1ull << STOCK_SHIFT) - 1)

#define SETTLE_TRIES 1000000000ull /* far longer than anybody may take between two levels */

static struct {
	uint64_t word;
} CACHE_LINE_ALIGNED stocks[MAX_CPUS];

static uint64_t stock_pack(const struct page_counter *counter, uint64_t pages)
{
	return pages ? ((uint64_t)counter & STOCK_MASK) | pages << STOCK_SHIFT : 0;
}

static uint64_t stock_pages(uint64_t word)
{
	return word >> STOCK_SHIFT;
}

static bool stock_is_of(uint64_t word, const struct page_counter *counter)
{
	return word && ((word ^ (uint64_t)counter) & STOCK_MASK) == 0;
}

static struct page_counter *stock_counter(uint64_t word)
{
	/* Sign-extended from bit 47. */
	return (struct page_counter *)(uintptr_t)((int64_t)(word << (64 - STOCK_SHIFT)) >> (64 - STOCK_SHIFT));
}

void page_counter_init(struct page_counter *counter, struct page_counter *parent)
{
	*counter = (struct page_counter){.max = PAGE_COUNTER_MAX, .parent = parent};
}

/* Adds @pages to one level unless that would pass its limit. */
static bool reserve(struct page_counter *counter, uint64_t pages)
{
	uint64_t usage = load_relaxed(&counter->usage);

	do {
		uint64_t max = load_relaxed(&counter->max);

		if (pages > max || usage > max - pages)
			return false;
	} while (!atomic_cas(&counter->usage, &usage, usage + pages));
	return true;
}

static void unreserve(struct page_counter *counter, uint64_t pages)
{
	uint64_t before = atomic_fetch_sub(&counter->usage, pages);

	ASSERT(before >= pages, "page counter uncharged by %llu pages, had %llu", (unsigned long long)pages,
	       (unsigned long long)before);
}

static void raise_peak(struct page_counter *counter)
{
	uint64_t usage = load_relaxed(&counter->usage);
	uint64_t peak = load_relaxed(&counter->peak);

	while (usage > peak && !atomic_cas(&counter->peak, &peak, usage))
		;
}

/* From @counter up to, but not including, @end (NULL: all): all levels or none. */
static int charge_levels(struct page_counter *counter, struct page_counter *end, uint64_t pages,
			 struct page_counter **full)
{
	struct page_counter *at;

	for (at = counter; at != end; at = at->parent)
		if (!reserve(at, pages))
			goto undo;
	for (at = counter; at != end; at = at->parent)
		raise_peak(at);
	return 0;

undo:
	/* A rival may have seen the partial charge and failed: spurious, but never above a limit. */
	for (struct page_counter *done = counter; done != at; done = done->parent)
		unreserve(done, pages);
	*full = at;
	return -ENOMEM;
}

/* As above; a limit that is in the way is tried once more without stocks, and then counted. */
static int charge_drained(struct page_counter *counter, struct page_counter *end, uint64_t pages,
			  struct page_counter **full)
{
	struct page_counter *refusing;
	int error = charge_levels(counter, end, pages, &refusing);

	if (!error)
		return 0;
	page_counter_drain();
	error = charge_levels(counter, end, pages, &refusing);
	if (error) {
		atomic_add_relaxed(&refusing->failed, 1);
		if (full)
			*full = refusing;
	}
	return error;
}

static void uncharge_levels(struct page_counter *counter, struct page_counter *end, uint64_t pages)
{
	while (counter != end) {
		struct page_counter *parent = counter->parent;

		unreserve(counter, pages); /* and it may be gone */
		counter = parent;
	}
}

/* Replaces a slot's word and uncharges what the old one stood for. */
static void stock_replace(uint64_t *slot, uint64_t word)
{
	uint64_t old;

	preempt_disable();
	old = atomic_exchange(slot, word);
	if (old)
		uncharge_levels(stock_counter(old), NULL, stock_pages(old));
	preempt_enable();
}

/*
 * Serves a charge from this CPU's stock, or empties it: what is about to be charged must not come on top of what is
 * not used any more. Being moved to another CPU in between is harmless.
 */
static bool stock_take(const struct page_counter *counter, uint64_t pages)
{
	uint64_t *slot = &stocks[cpu_id()].word;
	uint64_t word = load_relaxed(slot);

	if (stock_is_of(word, counter) && stock_pages(word) >= pages)
		return atomic_cas(slot, &word, stock_pack(counter, stock_pages(word) - pages));
	if (word)
		stock_replace(slot, 0);
	return false;
}

/* Keeps a small uncharge in this CPU's stock; false if it must go to the levels. */
static bool stock_keep(struct page_counter *counter, uint64_t pages)
{
	uint64_t *slot = &stocks[cpu_id()].word;
	uint64_t word = load_relaxed(slot);

	if (pages > PAGE_COUNTER_STOCK)
		return false;
	if (!stock_is_of(word, counter)) {
		stock_replace(slot, stock_pack(counter, pages));
		return true;
	}
	return stock_pages(word) + pages <= PAGE_COUNTER_STOCK &&
	       atomic_cas(slot, &word, stock_pack(counter, stock_pages(word) + pages));
}

int page_counter_try_charge(struct page_counter *counter, uint64_t pages, struct page_counter **full)
{
	ASSERT(pages > 0);
	if (stock_take(counter, pages))
		return 0;
	return charge_drained(counter, NULL, pages, full);
}

void page_counter_uncharge(struct page_counter *counter, uint64_t pages)
{
	if (!stock_keep(counter, pages))
		uncharge_levels(counter, NULL, pages);
}

static bool is_ancestor(const struct page_counter *ancestor, const struct page_counter *of)
{
	while (of && of != ancestor)
		of = of->parent;
	return of != NULL;
}

static struct page_counter *first_common(const struct page_counter *from, struct page_counter *to)
{
	while (to && !is_ancestor(to, from))
		to = to->parent;
	return to;
}

int page_counter_move_begin(struct page_counter *from, struct page_counter *to, uint64_t pages,
			    struct page_counter **full)
{
	return charge_drained(to, first_common(from, to), pages, full);
}

void page_counter_move_end(struct page_counter *from, struct page_counter *to, uint64_t moved, uint64_t rest)
{
	struct page_counter *common = first_common(from, to);

	uncharge_levels(from, common, moved);
	uncharge_levels(to, common, rest);
}

int page_counter_transfer(struct page_counter *from, struct page_counter *to, uint64_t pages)
{
	int error = page_counter_move_begin(from, to, pages, NULL);

	if (!error)
		page_counter_move_end(from, to, pages, 0);
	return error;
}

void page_counter_drain(void)
{
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (load_relaxed(&stocks[cpu].word))
			stock_replace(&stocks[cpu].word, 0);
}

void page_counter_settle(struct page_counter *counter)
{
	uint64_t tries = 0;

	for (page_counter_drain(); load_acquire(&counter->usage); page_counter_drain()) {
		ASSERT(++tries < SETTLE_TRIES, "page counter freed with %llu pages charged",
		       (unsigned long long)load_relaxed(&counter->usage));
		cpu_relax();
	}
}

uint64_t page_counter_read(const struct page_counter *counter)
{
	page_counter_drain();
	return load_acquire(&counter->usage);
}

void page_counter_set_max(struct page_counter *counter, uint64_t pages)
{
	store_release(&counter->max, pages);
}

int page_counter_parse_max(const char *text, uint64_t *pages)
{
	uint64_t bytes;

	if (strcmp(text, "max") == 0) {
		*pages = PAGE_COUNTER_MAX;
		return 0;
	}
	if (parse_size(text, &bytes))
		return -EINVAL;
	*pages = bytes / PAGE_SIZE;
	return 0;
}
