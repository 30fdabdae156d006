/*
 * Set-up: the machine's nodes and zones as built from memblock.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "mm/memory.h"

KTEST(mm_setup, zones_keep_to_their_borders)
{
	static const uint64_t ends[NR_ZONE_TYPES] = {MIB(16), GIB(4), UINT64_MAX, UINT64_MAX};

	for_each_zone(zone)
	{
		uint64_t end_pfn = zone->start_pfn + zone->spanned_pages;

		EXPECT(t, end_pfn <= ends[zone->type] >> PAGE_SHIFT);
		EXPECT(t, zone->type == ZONE_DMA || zone->start_pfn >= ends[zone->type - 1] >> PAGE_SHIFT);
		EXPECT(t, zone->managed_pages <= zone->present_pages && zone->present_pages <= zone->spanned_pages);
		EXPECT(t, memory.nodes[zone->node].zones[zone->type] == zone);
		EXPECT(t, zone_of_pfn(end_pfn - 1) == zone);
	}
}

KTEST(mm_setup, zone_lists_begin_at_home_and_have_every_zone_once)
{
	for (uint32_t node = 0; node < memory.nr_nodes; node++) {
		struct zone **list = memory.nodes[node].zonelist;
		uint32_t count = 0, own = 0;

		while (list[count]) {
			if (count && list[count]->node == list[count - 1]->node)
				EXPECT(t, list[count]->type < list[count - 1]->type);
			own += list[count]->node == (int)node;
			for (uint32_t other = 0; other < count; other++)
				EXPECT(t, list[other] != list[count]);
			count++;
		}
		EXPECT_EQ(t, count, memory.nr_zones);
		for (uint32_t at = 0; at < own; at++)
			EXPECT_EQ(t, list[at]->node, (int)node);
	}
}

KTEST(mm_setup, a_granule_that_two_nodes_share_has_one_zone)
{
	if (!ktest_hosted()) {
		ktest_skip(t, "needs the hosted machine's memory map");
		return;
	}
	/* tests/host/mm.c: the border is at 4 GiB + 257 MiB. */
	EXPECT_EQ(t, page_node(pfn_to_page((GIB(4) + MIB(257)) >> PAGE_SHIFT)), 0);
	EXPECT_EQ(t, page_node(pfn_to_page((GIB(4) + MIB(259)) >> PAGE_SHIFT)), 0);
	EXPECT_EQ(t, page_node(pfn_to_page((GIB(4) + MIB(260)) >> PAGE_SHIFT)), 1);
	/* Reserved there: from 2 MiB, and a piece as large as pageblocks. */
	EXPECT_EQ(t, page_owner(pfn_to_page(MIB(2) >> PAGE_SHIFT)), PAGE_OWNER_RESERVED);
	EXPECT_EQ(t, page_owner(pfn_to_page(MIB(70) >> PAGE_SHIFT)), PAGE_OWNER_RESERVED);
	EXPECT(t, !pfn_valid(KIB(700) >> PAGE_SHIFT));
}
