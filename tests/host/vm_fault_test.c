/*
 * Every allocation on the way to a file in an address space, to its fork and to a part of it fails in turn; so does
 * each on the way to device memory in a BAR: no area, no reference, no range of the BAR stays.
 */
#include "drivers/ivshmem_memory.h"
#include "lib/errno.h"
#include "mm/daemon.h"
#include "mm/vm/file_area.h"
#include "tests/host/host.h"
#include "tests/unit/vm_fixture.h"

#include <arch/page.h>

#define FILE_ID 0x700002ul

/* Maps, forks, cuts; what went wrong. All is taken down again. */
static int live_a_life(void)
{
	struct mm *mm = mm_new(), *child;
	int64_t at =
		mm ? mm_map_file(mm, FILE_ID, &(struct mapping_request){.bytes = 4 * PAGE_SIZE, .flags = RW}) : -ENOMEM;
	int error = (int)MIN(at, 0l);

	if (!error)
		error = mm_protect(mm, (uint64_t)at + PAGE_SIZE, PAGE_SIZE, AREA_READ);
	child = error ? NULL : mm_fork(mm);
	if (IS_ERR(child))
		error = (int)PTR_ERR(child);
	else if (child)
		mm_put(child);
	if (mm)
		mm_put(mm);
	return error;
}

KTEST(vm_faults, a_file_without_memory_for_its_areas_is_left_as_it_was)
{
	struct cache_file *file = cache_file_open(FILE_ID);
	unsigned int failures = 0;

	REQUIRE(t, file);
	daemons_hold(); /* allocations are counted */
	for (int error = -ENOMEM; error; failures++) {
		uint64_t live = host_live_allocations();

		host_fail_allocation(failures + 1);
		error = live_a_life();
		host_fail_allocation(0);
		EXPECT(t, !error || error == -ENOMEM);
		EXPECT_EQ(t, host_live_allocations(), live);
		EXPECT_EQ(t, file->opened, 1u);
		EXPECT(t, list_empty(&file->areas));
	}
	EXPECT(t, failures > 6); /* the space, its family, three areas, the child and its areas */
	daemons_release();
	cache_file_close(file);
}

KTEST(vm_faults, device_memory_without_memory_takes_nothing_of_the_bar)
{
	static uint64_t taken[1];
	struct ivshmem bar = {.phys = GIB(61), .bytes = 8 * PAGE_SIZE, .free_bytes = 8 * PAGE_SIZE};
	uint64_t live = host_live_allocations();

	bar.address = phys_to_virt(bar.phys);
	bar.taken = taken;
	mutex_init(&bar.lock, "test_ivshmem");
	host_fail_allocation(1);
	EXPECT(t, !ivshmem_memory_add(&bar, DEVICE_COHERENT, 4 * PAGE_SIZE));
	host_fail_allocation(0);
	EXPECT_EQ(t, bar.free_bytes, bar.bytes);
	EXPECT_EQ(t, host_live_allocations(), live);
}
