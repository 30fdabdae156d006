/*
 * The allocator's trace events: that they are emitted, and their text.
 */
#include "mm/trace.h"

#include "kernel/ktest.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

static char buffer[512];

static const char *show(const struct trace_event *event, const void *record)
{
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	event->show(&text.sink, record);
	return buffer;
}

KTEST(mm_trace, allocation_and_free_are_shown_as_linux_shows_them)
{
	struct trace_record_mm_page_alloc alloc = {
		.page = NULL, .pfn = 0x1234, .order = 3, .migratetype = 1, .gfp_flags = GFP_USER | GFP_ZERO};
	struct trace_record_mm_page_free freed = {.pfn = 0xabc, .order = 9};
	const char *text = show(&trace_event_mm_page_alloc, &alloc);

	EXPECT(t, string_starts(text, "page="));
	EXPECT_STR(t, strstr(text, "pfn="),
		   "pfn=0x1234 order=3 migratetype=1 gfp_flags=GFP_USER|__GFP_MOVABLE|__GFP_ZERO");
	alloc.gfp_flags = GFP_ATOMIC | GFP_OWNER(PAGE_OWNER_SLAB);
	EXPECT_STR(t, strstr(show(&trace_event_mm_page_alloc, &alloc), "gfp_flags="), "gfp_flags=GFP_ATOMIC");
	alloc.gfp_flags = 0;
	EXPECT_STR(t, strstr(show(&trace_event_mm_page_alloc, &alloc), "gfp_flags="), "gfp_flags=none");
	EXPECT_STR(t, strstr(show(&trace_event_mm_page_free, &freed), "pfn="), "pfn=0xabc order=9");
}

KTEST(mm_trace, batches_and_fallbacks_are_shown_as_linux_shows_them)
{
	struct trace_record_mm_page_alloc_zone_locked locked = {
		.pfn = 1, .order = 0, .migratetype = 2, .percpu_refill = 1};
	struct trace_record_mm_page_pcpu_drain drain = {.pfn = 16, .order = 0, .migratetype = 0};
	struct trace_record_mm_page_alloc_extfrag extfrag = {.pfn = 0x800,
							     .alloc_order = 0,
							     .fallback_order = 7,
							     .alloc_migratetype = 0,
							     .fallback_migratetype = 1,
							     .change_ownership = 1};

	EXPECT_STR(t, strstr(show(&trace_event_mm_page_alloc_zone_locked, &locked), "pfn="),
		   "pfn=0x1 order=0 migratetype=2 percpu_refill=1");
	EXPECT_STR(t, strstr(show(&trace_event_mm_page_pcpu_drain, &drain), "pfn="), "pfn=0x10 order=0 migratetype=0");
	EXPECT_STR(t, strstr(show(&trace_event_mm_page_alloc_extfrag, &extfrag), "pfn="),
		   "pfn=0x800 alloc_order=0 fallback_order=7 pageblock_order=9 alloc_migratetype=0 "
		   "fallback_migratetype=1 fragmenting=1 change_ownership=1");
	extfrag.fallback_order = 9;
	EXPECT(t, strstr(show(&trace_event_mm_page_alloc_extfrag, &extfrag), "fragmenting=0"));
}
