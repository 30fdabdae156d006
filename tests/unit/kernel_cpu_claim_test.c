/*
 * Claims: the owner goes in and out as fast as it can, a claimant now and then.
 */
#include "kernel/cpu_claim.h"

#include "kernel/ktest.h"
#include "kernel/time.h"
#include "kernel/wait.h"

#define TURNS	(ktest_hosted() ? 3000u : 200u) /* claims that came while the owner went in and out */
#define VISITS	(ktest_hosted() ? 2000000u : 20000u)
#define WAIT_NS (5 * NS_PER_S) /* where there is one processor, they take long turns */

struct duel {
	struct cpu_claim claim;
	uint64_t value; /* changed by the claimant, while it is inside */
	uint64_t visits, met;
	unsigned int cpu; /* the owner's */
	bool there, over;
};

static int visit(void *argument)
{
	struct duel *duel = argument;

	store_relaxed(&duel->cpu, cpu_id());
	store_release(&duel->there, true);
	while (!load_relaxed(&duel->over)) {
		uint64_t value;

		preempt_disable();
		cpu_claim_enter(&duel->claim);
		value = load_relaxed(&duel->value);
		for (unsigned int look = 0; look < 16; look++)
			duel->met += load_relaxed(&duel->value) != value;
		cpu_claim_leave(&duel->claim);
		preempt_enable();
		store_relaxed(&duel->visits, duel->visits + 1);
	}
	return 0;
}

/* False: this thread runs where the owner does, just now. */
static bool claim(struct duel *duel)
{
	bool elsewhere;

	preempt_disable();
	elsewhere = cpu_id() != duel->cpu;
	if (elsewhere) {
		cpu_claim_begin(&duel->claim, duel->cpu);
		for (unsigned int step = 0; step < 8; step++)
			store_relaxed(&duel->value, duel->value + 1);
		cpu_claim_end(&duel->claim);
	}
	preempt_enable();
	return elsewhere;
}

/* Without the claimant's cpu_barrier() they are: each reads that the other is not there before its own word is seen. */
KTEST(cpu_claim, owner_and_claimant_are_never_both_inside)
{
	struct duel duel = {.value = 0};
	struct thread *owner;
	uint64_t deadline = wait_deadline(WAIT_NS);
	unsigned int turns = 0;

	if (cpu_count() < 2) {
		ktest_skip(t, "one CPU");
		return;
	}
	cpu_claim_init(&duel.claim, "test_claim");
	/* The test runs on the first CPU or anywhere: the owner stays on its own. */
	owner = thread_spawn_on((cpu_id() + 1) % cpu_count(), "owner", visit, &duel);
	REQUIRE(t, !IS_ERR(owner));
	while (!load_acquire(&duel.there))
		thread_yield();
	while ((turns < TURNS || load_relaxed(&duel.visits) < VISITS) && time_ns() < deadline) {
		uint64_t before = load_relaxed(&duel.visits);

		turns += claim(&duel) && load_relaxed(&duel.visits) != before;
	}
	store_relaxed(&duel.over, true);
	thread_join(owner);
	EXPECT_EQ(t, duel.met, 0u);
	EXPECT(t, duel.visits > 0 && duel.value > 0);
}
