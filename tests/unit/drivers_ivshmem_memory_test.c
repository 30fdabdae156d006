/*
 * Parts of a BAR as device memory, on a pretended one: the arena far behind all memory.
 */
#include "drivers/ivshmem_memory.h"

#include "lib/errno.h"
#include "lib/string.h"
#include "mm/vm/consumers.h"
#include "tests/unit/vm_fixture.h"

#include <arch/page.h>

#define PAGES 16u
#define PLACE GIB(60)

struct fixture {
	struct ivshmem ivshmem;
	uint64_t taken[1];
	struct device_memory *coherent, *private;
};

static void new_bar(struct fixture *fixture)
{
	*fixture = (struct fixture){
		.ivshmem = {.phys = PLACE, .bytes = PAGES * PAGE_SIZE, .free_bytes = PAGES * PAGE_SIZE}};
	fixture->ivshmem.address = phys_to_virt(PLACE);
	fixture->ivshmem.taken = fixture->taken;
	mutex_init(&fixture->ivshmem.lock, "test_ivshmem");
	fixture->coherent = ivshmem_memory_add(&fixture->ivshmem, DEVICE_COHERENT, 4 * PAGE_SIZE);
	fixture->private = ivshmem_memory_add(&fixture->ivshmem, DEVICE_PRIVATE, 4 * PAGE_SIZE);
}

KTEST(ivshmem_memory, parts_of_the_bar_hold_pages_of_a_space)
{
	static struct fixture fixture;
	uint64_t at;
	struct mm *mm;

	new_bar(&fixture);
	REQUIRE(t, fixture.coherent && fixture.private);
	EXPECT_EQ(t, fixture.ivshmem.free_bytes, 8 * PAGE_SIZE);
	EXPECT_STR(t, fixture.coherent->name, "coherent0");
	EXPECT_STR(t, fixture.private->name, "private0");
	EXPECT_EQ(t, fixture.private->first_pfn, fixture.coherent->first_pfn + 4);
	EXPECT(t, !fixture.private->bytes);
	mm = fixture_mm(t);
	at = fixture_area(t, mm, 4, RW);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, 10 + i));
	EXPECT_EQ(t, device_migrate_to(mm, at, 2 * PAGE_SIZE, fixture.coherent), 2);
	EXPECT_EQ(t, device_migrate_to(mm, at + 2 * PAGE_SIZE, 2 * PAGE_SIZE, fixture.private), 2);
	/* The bytes are in the BAR: coherent ones at its beginning, private ones behind. */
	EXPECT_EQ(t, *(uint64_t *)fixture.ivshmem.address, 10u);
	EXPECT_EQ(t, *(uint64_t *)(fixture.ivshmem.address + 5 * PAGE_SIZE), 13u);
	*(uint64_t *)(fixture.ivshmem.address + 4 * PAGE_SIZE) = 99; /* the device computes */
	EXPECT_EQ(t, ivshmem_memory_remove(fixture.private), -EBUSY);
	EXPECT_EQ(t, peek(at + 2 * PAGE_SIZE), 99u);
	EXPECT_EQ(t, peek(at), 10u);
	EXPECT_OK(t, mm_check(mm));
	EXPECT_OK(t, mm_unmap(mm, at, 4 * PAGE_SIZE));
	EXPECT_OK(t, ivshmem_memory_remove(fixture.private));
	EXPECT_OK(t, ivshmem_memory_remove(fixture.coherent));
	EXPECT_EQ(t, fixture.ivshmem.free_bytes, fixture.ivshmem.bytes);
	EXPECT_EQ(t, fixture.taken[0], 0u);
}

KTEST(ivshmem_memory, what_does_not_fit_leaves_nothing_behind)
{
	static struct fixture fixture;

	new_bar(&fixture);
	REQUIRE(t, fixture.coherent && fixture.private);
	EXPECT(t, !ivshmem_memory_add(&fixture.ivshmem, DEVICE_COHERENT, 9 * PAGE_SIZE));
	EXPECT(t, !ivshmem_memory_add(&fixture.ivshmem, DEVICE_COHERENT, 100));
	EXPECT(t, !ivshmem_memory_add(&fixture.ivshmem, DEVICE_COHERENT, 0));
	EXPECT_EQ(t, fixture.ivshmem.free_bytes, 8 * PAGE_SIZE);
	EXPECT_OK(t, ivshmem_memory_remove(fixture.coherent));
	EXPECT_OK(t, ivshmem_memory_remove(fixture.private));
}
