/*
 * The fragmentation policies: what each forbids at which stage, what a fallback does to the marks, who stalls and who
 * never does.
 */
#include "mm/policy/policy.h"

#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/fallback.h"
#include "mm/pcp.h"
#include "mm/vmstat.h"
#include "tests/unit/mm_fixture.h"

static void restore_policy(void *name)
{
	ASSERT(frag_policy_set(name) == 0, "it was in force");
}

static void use_policy(struct ktest *t, const char *name)
{
	ktest_defer(t, restore_policy, (void *)frag_policy_get()->name);
	EXPECT_OK(t, frag_policy_set(name));
}

static struct alloc_request request_for(enum migratetype mt, uint32_t gfp, enum alloc_stage stage)
{
	return (struct alloc_request){
		.gfp = gfp,
		.mt = mt,
		.owner = PAGE_OWNER_TEST,
		.highest = ZONE_NORMAL,
		.node = &memory.nodes[0],
		.policy = frag_policy_get(),
		.stage = stage,
	};
}

static uint32_t restrictions(const struct alloc_request *request)
{
	return request->policy->restrictions ? request->policy->restrictions(request) : 0;
}

/* What a request for one page of @mt gets in @zone at @stage, under the policy in force. */
static uint32_t fall_back(struct zone *zone, enum migratetype mt, uint32_t gfp, enum alloc_stage stage)
{
	struct alloc_request request = request_for(mt, gfp, stage);
	uint32_t index;

	request.flags = restrictions(&request);
	spin_lock(&zone->lock);
	index = fallback_take_locked(zone, &request);
	spin_unlock(&zone->lock);
	return index;
}

/*
 * Of four pageblocks all is taken but one free block of @free_order in a pageblock of @type, so that any other type has
 * to fall back to it.
 */
static struct zone *tight_zone(struct ktest *t, unsigned int free_order, enum migratetype type)
{
	struct zone *zone = fixture_zone(t, 4 * PAGEBLOCK_PAGES);
	struct page *page;

	zone->watermark[WATERMARK_HIGH] = 1000;
	spin_lock(&zone->lock);
	for (uint32_t number = 0; number < 4; number++)
		buddy_set_migratetype_locked(zone, number, type);
	spin_unlock(&zone->lock);
	page = buddy_alloc(zone, MIN(free_order, MAX_ORDER), type);
	for (unsigned int order = NR_ORDERS; order-- > 0;)
		while (zone->free_blocks[order][type])
			EXPECT(t, buddy_alloc(zone, order, type));
	buddy_free(zone, page, free_order);
	return zone;
}

KTEST(policy, vanilla_mixes_at_once)
{
	struct zone *zone = tight_zone(t, 2, MIGRATE_MOVABLE);

	use_policy(t, "vanilla");
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_FAST) != ZONE_INDEX_NONE);
	EXPECT_EQ(t, zone->watermark_boost, 0u);
	EXPECT_OK(t, buddy_check(zone));
}

KTEST(policy, nofragment_mixes_in_the_second_walk_only)
{
	struct zone *zone = tight_zone(t, 2, MIGRATE_MOVABLE);
	struct alloc_request request;

	use_policy(t, "nofragment");
	EXPECT_EQ(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_FAST), ZONE_INDEX_NONE);
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_FAST_AGAIN) != ZONE_INDEX_NONE);
	EXPECT_EQ(t, zone->watermark_boost, 0u);
	/* Locality wins: the first walk ends at the node's border, the second does not. */
	request = request_for(MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_FAST);
	EXPECT(t, restrictions(&request) & ALLOC_LOCAL);
	request.stage = ALLOC_FAST_AGAIN;
	EXPECT_EQ(t, restrictions(&request), 0u);
}

KTEST(policy, nofragment_claims_whole_pageblocks_freely)
{
	struct zone *zone = tight_zone(t, PAGEBLOCK_ORDER, MIGRATE_MOVABLE);

	use_policy(t, "nofragment");
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_FAST) != ZONE_INDEX_NONE);
}

/* One that has to mix anew: what its type mixes in already is used up. */
static void fall_back_anew(struct zone *zone)
{
	zone->mixes_in[MIGRATE_RECLAIMABLE] = 0;
	fall_back(zone, MIGRATE_RECLAIMABLE, GFP_KERNEL, ALLOC_SLOW);
}

KTEST(policy, boost_rises_by_a_pageblock_up_to_the_factor)
{
	struct zone *zone = tight_zone(t, 5, MIGRATE_MOVABLE);

	use_policy(t, "boost");
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_SLOW) != ZONE_INDEX_NONE);
	EXPECT_EQ(t, zone->watermark_boost, PAGEBLOCK_PAGES);
	for (unsigned int i = 0; i < 4; i++)
		fall_back_anew(zone);
	EXPECT_EQ(t, zone->watermark_boost, 1500u); /* 150 % of 1000 */
	zone->watermark[WATERMARK_HIGH] = 10;
	zone->watermark_boost = 0;
	for (unsigned int i = 0; i < 2; i++)
		fall_back_anew(zone);
	EXPECT_EQ(t, zone->watermark_boost, PAGEBLOCK_PAGES); /* at least one pageblock */
}

KTEST(policy, a_claimed_whole_pageblock_boosts_nothing)
{
	struct zone *zone = tight_zone(t, PAGEBLOCK_ORDER, MIGRATE_MOVABLE);

	use_policy(t, "boost");
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_SLOW) != ZONE_INDEX_NONE);
	EXPECT_EQ(t, zone->watermark_boost, 0u);
}

KTEST(policy, a_movable_request_that_can_wait_does_not_steal_small_blocks)
{
	use_policy(t, "stall");
	for (unsigned int order = 0; order <= 5; order++) {
		struct zone *zone = tight_zone(t, order, MIGRATE_UNMOVABLE);
		uint32_t index = fall_back(zone, MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW);

		EXPECT_EQ(t, index == ZONE_INDEX_NONE, order < fragment_stall_order());
		/* The boost happens all the same. */
		EXPECT_EQ(t, zone->watermark_boost, PAGEBLOCK_PAGES);
	}
}

KTEST(policy, who_cannot_wait_or_cannot_move_never_stalls)
{
	static const struct {
		enum migratetype mt;
		uint32_t gfp;
		enum alloc_stage stage;
		bool restricted;
	} cases[] = {
		{MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW, true},
		{MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW_AGAIN, false},
		{MIGRATE_MOVABLE, GFP_USER, ALLOC_LAST, false},
		{MIGRATE_MOVABLE, GFP_ATOMIC, ALLOC_SLOW, false},
		{MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_SLOW, false},
		{MIGRATE_RECLAIMABLE, GFP_KERNEL, ALLOC_SLOW, false},
		{MIGRATE_UNMOVABLE, GFP_ATOMIC, ALLOC_SLOW, false},
	};
	struct alloc_request request;
	uintptr_t previous;

	use_policy(t, "stall");
	for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
		request = request_for(cases[at].mt, cases[at].gfp, cases[at].stage);
		EXPECT_EQ(t, (restrictions(&request) & ALLOC_NOSMALL) != 0, cases[at].restricted);
	}
	previous = memalloc_enter();
	request = request_for(MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW);
	EXPECT_EQ(t, restrictions(&request), 0u);
	memalloc_leave(previous);
	EXPECT(t, restrictions(&request) & ALLOC_NOSMALL);
}

static int64_t set_stall_order(struct ktest *t, const char *text)
{
	return vfile_write("/proc/sys/vm/fragment_stall_order", text, strlen(text));
}

static void make_files(struct ktest *t)
{
	static bool made;

	if (ktest_hosted() && !made)
		EXPECT_OK(t, memory_sysctls_init());
	made = true;
}

KTEST(policy, order_zero_switches_the_stall_off_and_nonsense_changes_nothing)
{
	struct alloc_request request;

	make_files(t);
	use_policy(t, "stall");
	EXPECT_EQ(t, set_stall_order(t, "0"), 0);
	request = request_for(MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW);
	EXPECT_EQ(t, restrictions(&request), 0u);
	EXPECT_EQ(t, set_stall_order(t, "4"), 0);
	EXPECT_EQ(t, set_stall_order(t, "11"), -EINVAL);
	EXPECT_EQ(t, set_stall_order(t, "-1"), -EINVAL);
	EXPECT_EQ(t, set_stall_order(t, "four"), -EINVAL);
	EXPECT_EQ(t, fragment_stall_order(), 4u);
}

KTEST(policy, sysctls_refuse_what_is_out_of_range)
{
	static const struct {
		const char *name, *text;
	} wrong[] = {
		{"min_free_kbytes", "127"},
		{"min_free_kbytes", "1048577"},
		{"watermark_scale_factor", "0"},
		{"watermark_scale_factor", "3001"},
		{"watermark_boost_factor", "-1"},
		{"watermark_boost_factor", "1000001"},
		{"percpu_pagelist_high_fraction", "-1"},
		{"percpu_pagelist_high_fraction", "1"},
		{"percpu_pagelist_high_fraction", "7"},
		{"percpu_pagelist_high_fraction", "1048577"},
		{"frag_policy", "none"},
		{"frag_policy", ""},
		{"fragment_stall_order", "11"},
		{"lowmem_reserve_ratio", "1 2"},
		{"lowmem_reserve_ratio", "1 2 many"},
	};
	char path[64], before[128], after[128];

	make_files(t);
	for (size_t at = 0; at < ARRAY_SIZE(wrong); at++) {
		struct text text;

		format(path, sizeof(path), "/proc/sys/vm/%s", wrong[at].name);
		text_init(&text, before, sizeof(before));
		EXPECT_OK(t, vfile_read(path, &text.sink));
		EXPECT_EQ(t, vfile_write(path, wrong[at].text, strlen(wrong[at].text)), -EINVAL);
		text_init(&text, after, sizeof(after));
		EXPECT_OK(t, vfile_read(path, &text.sink));
		EXPECT_STR(t, after, before);
	}
}

KTEST(policy, the_marks_follow_the_sysctls)
{
	struct zone *zone = &memory.zones[memory.nr_zones - 1];
	uint64_t min = zone->watermark[WATERMARK_MIN], low = zone->watermark[WATERMARK_LOW];
	char old[32];
	struct text text;

	make_files(t);
	text_init(&text, old, sizeof(old));
	EXPECT_OK(t, vfile_read("/proc/sys/vm/watermark_scale_factor", &text.sink));
	EXPECT_OK(t, vfile_write("/proc/sys/vm/watermark_scale_factor", "1000", 4));
	EXPECT_EQ(t, zone->watermark[WATERMARK_MIN], min);
	EXPECT_EQ(t, zone->watermark[WATERMARK_LOW], min + zone->managed_pages / 10);
	EXPECT_OK(t, vfile_write("/proc/sys/vm/watermark_scale_factor", old, strlen(old)));
	EXPECT_EQ(t, zone->watermark[WATERMARK_LOW], low);
}

/* Linux's rule: 0, or 8 and more. */
KTEST(policy, a_cpus_list_is_an_eighth_of_a_zone_at_most)
{
	static const char path[] = "/proc/sys/vm/percpu_pagelist_high_fraction";
	struct zone *zone = &memory.zones[memory.nr_zones - 1];
	uint64_t high = pcp_limits(zone, 0).high, share = zone->managed_pages / zone->nr_cpus;

	make_files(t);
	EXPECT_EQ(t, vfile_write(path, "7", 1), -EINVAL);
	EXPECT_EQ(t, (uint64_t)pcp_limits(zone, 0).high, high);
	EXPECT_OK(t, vfile_write(path, "8", 1));
	EXPECT_EQ(t, (uint64_t)pcp_limits(zone, 0).high, MIN(high, share / 8));
	EXPECT_OK(t, vfile_write(path, "1048576", 7));
	EXPECT_EQ(t, (uint64_t)pcp_limits(zone, 0).high, MIN(high, share >> 20));
	EXPECT_OK(t, vfile_write(path, "0", 1));
	EXPECT_EQ(t, (uint64_t)pcp_limits(zone, 0).high, high);
}

/* No kswapd needed: the sleep ends by itself, is counted, and raises the boost by the fast step. */
KTEST(policy, a_stall_is_short_counted_and_boosts_fast)
{
	struct alloc_request request;
	uint64_t stalls = vm_event_read(VM_EVENT_fragment_stall), before, start = time_ns();
	struct zone *zone;

	use_policy(t, "stall");
	request = request_for(MIGRATE_MOVABLE, GFP_USER, ALLOC_SLOW);
	zone = request.node->zonelist[0]->type <= request.highest ? request.node->zonelist[0]
								  : request.node->zonelist[1];
	spin_lock(&zone->lock);
	before = zone->watermark_boost = 0; /* what other tests raised it by may be all there can be */
	spin_unlock(&zone->lock);
	request.policy->stall(&request);
	EXPECT_EQ(t, vm_event_read(VM_EVENT_fragment_stall), stalls + 1);
	EXPECT(t, time_ns() - start < 10 * NS_PER_S);
	if (ktest_hosted()) /* nobody took it off */
		EXPECT(t, zone->watermark_boost > before || zone->managed_pages < 4 * PAGEBLOCK_PAGES);
	spin_lock(&zone->lock);
	zone->watermark_boost = 0;
	spin_unlock(&zone->lock);
}

KTEST(policy, defrag_mixes_at_the_last_stage_only)
{
	struct zone *zone = tight_zone(t, 6, MIGRATE_MOVABLE);

	use_policy(t, "defrag");
	for (enum alloc_stage stage = ALLOC_FAST; stage < ALLOC_LAST; stage++)
		EXPECT_EQ(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, stage), ZONE_INDEX_NONE);
	EXPECT(t, fall_back(zone, MIGRATE_UNMOVABLE, GFP_KERNEL, ALLOC_LAST) != ZONE_INDEX_NONE);
}

KTEST(policy, a_request_keeps_the_policy_it_began_with)
{
	struct alloc_request request;

	use_policy(t, "vanilla");
	request = request_for(MIGRATE_MOVABLE, GFP_USER, ALLOC_FAST);
	EXPECT_OK(t, frag_policy_set("defrag"));
	EXPECT_STR(t, request.policy->name, "vanilla");
	EXPECT_EQ(t, frag_policy_set("no such"), -EINVAL);
	EXPECT_STR(t, frag_policy_get()->name, "defrag");
}
