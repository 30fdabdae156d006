/*
 * Traps that are survived, walks along the stack, contexts, and the timer.
 */
#include "arch/x86_64/percpu_internal.h"
#include "kernel/cpu.h"
#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "lib/string.h"

#include <arch/page.h>
#include <arch/panic.h>

KTEST(trap, reading_safely_gives_what_is_there_and_survives_what_is_not)
{
	uint64_t word = 0x1234567890abcdef, value = 7;

	REQUIRE(t, arch_read_safely((uint64_t)&word, &value));
	EXPECT_EQ(t, value, word);
	value = 7;
	EXPECT(t, !arch_read_safely(0, &value));
	EXPECT(t, !arch_read_safely(STACK_AREA_BASE, &value));
	EXPECT(t, !arch_read_safely(0x1234567812345678, &value)); /* not canonical: another exception */
	EXPECT(t, !arch_read_safely(UINT64_MAX - 7, &value));
	EXPECT_EQ(t, value, 7u);
	EXPECT(t, !this_cpu_block()->trap);
}

static NOINLINE size_t walk_here(uint64_t *addresses, size_t max)
{
	return arch_backtrace(0, addresses, max);
}

KTEST(trap, a_backtrace_names_its_callers)
{
	uint64_t addresses[32];
	size_t count = walk_here(addresses, ARRAY_SIZE(addresses));
	char name[96];

	REQUIRE(t, count >= 3);
	EXPECT(t, strstr(symbol_format(name, sizeof(name), addresses[0]), "walk_here+0x"));
	EXPECT(t, strstr(symbol_format(name, sizeof(name), addresses[1]), "a_backtrace_names_its_callers+0x"));
	EXPECT_EQ(t, walk_here(addresses, 2), 2u);
	EXPECT_EQ(t, walk_here(addresses, 0), 0u);
}

KTEST(trap, a_damaged_chain_just_ends)
{
	uint64_t frames[6], addresses[16], text = (uint64_t)arch_backtrace;

	/* A link, then one to nowhere. */
	frames[0] = (uint64_t)&frames[2];
	frames[1] = text;
	frames[2] = 0x1234567812345678;
	frames[3] = text;
	EXPECT_EQ(t, arch_backtrace((uint64_t)frames, addresses, ARRAY_SIZE(addresses)), 2u);
	/* A return address that is none. */
	frames[3] = (uint64_t)frames;
	EXPECT_EQ(t, arch_backtrace((uint64_t)frames, addresses, ARRAY_SIZE(addresses)), 1u);
	/* A circle, of one and of two. */
	frames[0] = (uint64_t)&frames[0];
	EXPECT_EQ(t, arch_backtrace((uint64_t)frames, addresses, ARRAY_SIZE(addresses)), 1u);
	frames[0] = (uint64_t)&frames[2];
	frames[2] = (uint64_t)&frames[0];
	frames[3] = text;
	EXPECT_EQ(t, arch_backtrace((uint64_t)frames, addresses, ARRAY_SIZE(addresses)), ARRAY_SIZE(addresses));
	/* Not aligned; nowhere at all. */
	EXPECT_EQ(t, arch_backtrace((uint64_t)frames + 1, addresses, ARRAY_SIZE(addresses)), 0u);
	EXPECT_EQ(t, arch_backtrace(8, addresses, ARRAY_SIZE(addresses)), 0u);
}

struct visit {
	struct thread_context here, there;
	uint64_t stack_top, stack_at;
	uint32_t arrivals;
	bool irqs;
};

static void visited(void *argument)
{
	struct visit *visit = argument;

	for (;;) {
		visit->stack_at = (uint64_t)__builtin_frame_address(0);
		visit->irqs = cpu_irqs_enabled();
		visit->arrivals++;
		arch_switch(&visit->there, &visit->here);
	}
}

KTEST(trap, a_context_begins_on_its_stack_and_goes_on_where_it_was_left)
{
	static struct visit visit;
	unsigned long flags;

	visit = (struct visit){.stack_top = arch_stack_alloc()};
	REQUIRE(t, visit.stack_top);
	arch_context_init(&visit.there, visit.stack_top, visited, &visit);
	flags = cpu_irq_save();
	for (uint32_t i = 1; i <= 3; i++) {
		arch_switch(&visit.here, &visit.there);
		EXPECT_EQ(t, visit.arrivals, i);
	}
	cpu_irq_restore(flags);
	EXPECT(t, !visit.irqs);
	EXPECT(t, visit.stack_at < visit.stack_top && visit.stack_at >= visit.stack_top - STACK_BYTES);
	EXPECT_EQ(t, visit.stack_at % 16, 0u);
	arch_stack_free(visit.stack_top);
}

static void note_block(void *argument)
{
	((struct percpu **)argument)[cpu_id()] = PERCPU_READ(struct percpu *, 8);
}

KTEST(trap, every_cpu_has_a_block_of_its_own)
{
	struct percpu *blocks[MAX_CPUS] = {NULL};

	cpu_call_all(note_block, blocks);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		REQUIRE(t, blocks[cpu]);
		EXPECT(t, blocks[cpu] == percpu_of(cpu));
		EXPECT_EQ(t, blocks[cpu]->cpu, cpu);
		for (unsigned int other = 0; other < cpu; other++)
			EXPECT(t, blocks[cpu]->apic_id != blocks[other]->apic_id);
	}
}
