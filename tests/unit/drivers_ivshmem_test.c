/*
 * Ranges of device memory, on a pretended BAR.
 */
#include "drivers/ivshmem.h"

#include "kernel/ktest.h"
#include "lib/errno.h"

#include <arch/page.h>

#define PAGES 130u

struct fixture {
	struct ivshmem ivshmem;
	uint64_t taken[3];
};

static struct ivshmem *new_memory(struct fixture *fixture)
{
	*fixture = (struct fixture){.ivshmem = {.phys = MIB(3), .bytes = PAGES * PAGE_SIZE}};
	fixture->ivshmem.free_bytes = fixture->ivshmem.bytes;
	fixture->ivshmem.taken = fixture->taken;
	mutex_init(&fixture->ivshmem.lock, "test_ivshmem");
	return &fixture->ivshmem;
}

KTEST(ivshmem, ranges_do_not_overlap_and_fill_all)
{
	static struct fixture fixture;
	struct ivshmem *memory = new_memory(&fixture);
	uint64_t a, b, c, d;

	EXPECT_OK(t, ivshmem_take(memory, 63 * PAGE_SIZE, 0, &a));
	EXPECT_OK(t, ivshmem_take(memory, 2 * PAGE_SIZE - 1, 0, &b)); /* across a word of the map */
	EXPECT_OK(t, ivshmem_take(memory, 65 * PAGE_SIZE, 0, &c));
	EXPECT_EQ(t, a, 0u);
	EXPECT_EQ(t, b, 63 * PAGE_SIZE);
	EXPECT_EQ(t, c, 65 * PAGE_SIZE);
	EXPECT_EQ(t, memory->free_bytes, 0u);
	EXPECT_EQ(t, ivshmem_take(memory, 1, 0, &d), -ENOMEM);
	ivshmem_give_back(memory, b, 2 * PAGE_SIZE);
	EXPECT_EQ(t, ivshmem_take(memory, 3 * PAGE_SIZE, 0, &d), -ENOMEM); /* a hole that is too small */
	EXPECT_OK(t, ivshmem_take(memory, PAGE_SIZE, 0, &d));
	EXPECT_EQ(t, d, b);
	ivshmem_give_back(memory, d, PAGE_SIZE);
	ivshmem_give_back(memory, a, 63 * PAGE_SIZE);
	ivshmem_give_back(memory, c, 65 * PAGE_SIZE);
	EXPECT_EQ(t, memory->free_bytes, memory->bytes);
}

KTEST(ivshmem, alignment_is_that_of_the_physical_address)
{
	static struct fixture fixture;
	struct ivshmem *memory = new_memory(&fixture);
	uint64_t at;

	memory->phys = MIB(3) + 3 * PAGE_SIZE;
	EXPECT_OK(t, ivshmem_take(memory, PAGE_SIZE, 64 * PAGE_SIZE, &at));
	EXPECT_EQ(t, (memory->phys + at) % (64 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, at, 61 * PAGE_SIZE);
	EXPECT_OK(t, ivshmem_take(memory, PAGE_SIZE, 64 * PAGE_SIZE, &at));
	EXPECT_EQ(t, at, 125 * PAGE_SIZE);
	EXPECT_EQ(t, ivshmem_take(memory, PAGE_SIZE, 64 * PAGE_SIZE, &at), -ENOMEM);
	EXPECT_EQ(t, ivshmem_take(memory, 0, 0, &at), -EINVAL);
	EXPECT_EQ(t, ivshmem_take(memory, 1, 3 * PAGE_SIZE, &at), -EINVAL);
	EXPECT_EQ(t, ivshmem_take(memory, 1, 64, &at), -EINVAL);
	EXPECT_EQ(t, ivshmem_take(memory, UINT64_MAX, 0, &at), -ENOMEM);
}
