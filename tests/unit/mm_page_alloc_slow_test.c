/*
 * The slow path on a zone of its own: what is tried before what.
 */
#include "kernel/memory.h"
#include "mm/buddy.h"
#include "mm/memory.h"
#include "mm/page_alloc_internal.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "tests/unit/mm_fixture.h"

static const struct frag_policy *defrag(struct ktest *t)
{
	const struct frag_policy *before = frag_policy_get(), *defrag;

	EXPECT_OK(t, frag_policy_set("defrag"));
	defrag = frag_policy_get();
	EXPECT_OK(t, frag_policy_set(before->name));
	return defrag;
}

static void take_all(struct zone *zone, enum migratetype mt)
{
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		while (zone->free_blocks[order][mt])
			(void)!buddy_alloc(zone, order, mt);
}

/*
 * Of an unmovable pageblock one page is free and its buddy in a CPU's magazine, of a movable one eight pages are free.
 * Regression: two unmovable pages came out of the movable pageblock, though the drained magazine would have made them.
 */
KTEST(page_alloc_slow, defrag_drains_magazines_rather_than_mix)
{
	struct zone *zone = fixture_real_zone(t);
	struct node *node = kzalloc(sizeof(*node));
	struct alloc_request request = {.gfp = GFP_NOWARN, .mt = MIGRATE_UNMOVABLE, .owner = PAGE_OWNER_TEST};
	struct page *movable, *pair;
	uint32_t first, second;

	REQUIRE(t, node);
	ktest_defer(t, kfree, node);
	node->zonelist[0] = zone;
	request.node = node;
	request.policy = defrag(t);
	spin_lock(&zone->lock);
	buddy_set_migratetype_locked(zone, 0, MIGRATE_UNMOVABLE);
	spin_unlock(&zone->lock);
	movable = buddy_alloc(zone, 3, MIGRATE_MOVABLE);
	first = pcp_bypass_take(zone, &request);
	second = pcp_bypass_take(zone, &request);
	REQUIRE(t, movable && second == (first ^ 1));
	take_all(zone, MIGRATE_UNMOVABLE);
	take_all(zone, MIGRATE_MOVABLE);
	buddy_free(zone, movable, 3);
	pcp_bypass_give(zone, first, 0);
	pcp_give(zone, second, 0);
	EXPECT_EQ(t, pcp_pages(zone), 1u);

	request.order = 1;
	pair = page_alloc_slow(&request);
	REQUIRE(t, pair);
	EXPECT_EQ(t, zone_index(zone, pair), MIN(first, second));
	EXPECT_EQ(t, pcp_pages(zone), 0u);
	/* Rather than fail it mixes. */
	EXPECT(t, page_alloc_slow(&request) == movable);
	EXPECT_OK(t, buddy_check(zone));
}
