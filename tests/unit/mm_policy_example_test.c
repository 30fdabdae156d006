/*
 * The policy of docs/prototyping.md, as a new one would be written; the page quotes it from here.
 */
#include "mm/policy/policy.h"

#include "kernel/ktest.h"
#include "kernel/panic.h"

/* example: begin */
/* patient: who can reclaim does so before it mixes types in a pageblock; who cannot, mixes at once. */
static uint32_t patient_restrictions(const struct alloc_request *request)
{
	if (!request_may_reclaim(request) || request->stage == ALLOC_LAST)
		return 0;
	return ALLOC_NOFRAGMENT;
}

static const struct frag_policy patient = {
	.name = "patient",
	.restrictions = patient_restrictions,
	.fragmenting = frag_boost,
};
FRAG_POLICY(patient);
/* example: end */

static const struct frag_policy *previous;

static void restore(void *nothing UNUSED)
{
	if (frag_policy_set(previous->name) != 0)
		panic("it was in force");
}

KTEST(policy_example, it_can_be_chosen_and_memory_can_be_had)
{
	struct page *page;

	previous = frag_policy_get();
	EXPECT_OK(t, frag_policy_set("patient"));
	ktest_defer(t, restore, NULL);
	EXPECT(t, frag_policy_get() == &patient);
	page = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_TEST), 2);
	REQUIRE(t, page);
	free_pages(page, 2);
}

KTEST(policy_example, only_the_last_stage_of_who_can_reclaim_may_mix)
{
	struct alloc_request request = {.gfp = GFP_KERNEL, .stage = ALLOC_SLOW_AGAIN};

	EXPECT_EQ(t, patient_restrictions(&request), ALLOC_NOFRAGMENT);
	request.stage = ALLOC_LAST;
	EXPECT_EQ(t, patient_restrictions(&request), 0u);
	request = (struct alloc_request){.gfp = GFP_ATOMIC, .stage = ALLOC_FAST};
	EXPECT_EQ(t, patient_restrictions(&request), 0u);
}
