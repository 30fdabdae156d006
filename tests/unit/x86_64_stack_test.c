/*
 * Kernel stacks: guarded, all their own, and given back.
 */
#include "arch/x86_64/paging.h"
#include "kernel/ktest.h"
#include "kernel/scheduler.h"
#include "lib/string.h"

KTEST(stack, a_stack_is_mapped_and_the_page_below_is_not)
{
	uint64_t top = arch_stack_alloc();
	unsigned int rights;

	REQUIRE(t, top);
	EXPECT_EQ(t, top % 16, 0u);
	memset((void *)(top - STACK_BYTES), 0x5a, STACK_BYTES);
	EXPECT(t, !paging_lookup(top - STACK_BYTES - 1, NULL, NULL));
	EXPECT(t, !paging_lookup(top, NULL, NULL));
	REQUIRE(t, paging_lookup(top - 1, NULL, &rights));
	EXPECT_EQ(t, rights, PAGING_WRITE);
	arch_stack_free(top);
}

/* More than are kept mapped, so that the others are unmapped for good and mapped again. */
KTEST(stack, many_stacks_share_nothing_and_come_back)
{
	enum { STACKS = 80 };
	static uint64_t tops[STACKS];
	unsigned int mapped = 0;

	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < STACKS; i++) {
			tops[i] = arch_stack_alloc();
			REQUIRE(t, tops[i]);
			*(uint64_t *)(tops[i] - STACK_BYTES) = *(uint64_t *)(tops[i] - 8) = tops[i];
		}
		for (unsigned int i = 0; i < STACKS; i++) {
			EXPECT_EQ(t, *(uint64_t *)(tops[i] - STACK_BYTES), tops[i]);
			EXPECT_EQ(t, *(uint64_t *)(tops[i] - 8), tops[i]);
		}
		for (unsigned int i = 0; i < STACKS; i++)
			arch_stack_free(tops[i]);
	}
	for (unsigned int i = 0; i < STACKS; i++)
		mapped += paging_lookup(tops[i] - 1, NULL, NULL);
	EXPECT(t, mapped <= 32);
}
