/*
 * Compaction's parts when memory for their own needs is lacking: an error, and everything as it was.
 */
#include "kernel/ktest.h"
#include "mm/cma.h"
#include "mm/kcompactd.h"
#include "mm/memory.h"
#include "tests/host/host.h"

KTEST(compaction_fault, an_area_that_gets_no_bitmap_is_not_made)
{
	static struct cma cma;

	host_fail_allocation(1);
	EXPECT_EQ(t, cma_declare(&cma, "test", MIB(4), 0), -ENOMEM);
	host_fail_allocation(0);
	for_each_zone(zone) EXPECT_EQ(t, zone->cma_pages + zone_free_of_type(zone, MIGRATE_CMA), 0u);
	EXPECT(t, !cma.pages);
}

KTEST(compaction_fault, an_area_that_finds_no_place_gives_its_bitmap_back)
{
	static struct cma cma;
	uint64_t live = host_live_allocations();

	EXPECT_EQ(t, cma_declare(&cma, "test", GIB(64), 0), -ENOMEM);
	EXPECT_EQ(t, host_live_allocations(), live);
}

KTEST(compaction_fault, a_daemon_that_cannot_start_is_not_there)
{
	static struct node node;

	kcompactd_init(&node.kcompactd);
	host_fail_allocation(1);
	EXPECT_EQ(t, kcompactd_start(&node), -ENOMEM);
	host_fail_allocation(0);
	EXPECT(t, !node.kcompactd.thread);
	kcompactd_stop(&node);
}
