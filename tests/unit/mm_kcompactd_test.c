/*
 * kcompactd, and the files of compaction: what wakes it, what it does; formats, ranges, the text of events.
 */
#include "mm/kcompactd.h"

#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/string.h"
#include "mm/compaction_internal.h"
#include "mm/compaction_trace.h"
#include "mm/policy/policy.h"
#include "mm/vmstat.h"
#include "tests/unit/movable_owner.h"

static char buffer[4096];

/* ---- the thread ---------------------------------------------------------------------------------------------------
 */

static void stop(void *node)
{
	kcompactd_stop(node);
}

/* A node with one zone of 16 pageblocks, a quarter of each in use, and its kcompactd. */
static struct movable_owner *start(struct ktest *t, struct node *node)
{
	struct movable_owner *owner = mo_full_zone(t, 16);

	if (!owner)
		return NULL;
	mo_thin_out(owner, 0, owner->nr_slots, 4);
	*node = (struct node){.zonelist = {owner->zone}, .zones = {owner->zone}};
	kcompactd_init(&node->kcompactd);
	EXPECT_OK(t, kcompactd_start(node));
	ktest_defer(t, stop, node);
	return owner;
}

/* False: not within a minute. */
static bool comes_true(bool (*condition)(const struct zone *zone), const struct zone *zone)
{
	for (uint64_t end = time_ns() + 60 * NS_PER_S; time_ns() < end; sleep_ns(NS_PER_MS))
		if (condition(zone))
			return true;
	return condition(zone);
}

static bool has_whole(const struct zone *zone)
{
	return zone_whole_pages(zone) != 0;
}

static bool is_compact(const struct zone *zone)
{
	return compaction_score(zone) <= 5;
}

KTEST(kcompactd, it_makes_the_block_that_it_is_asked_for)
{
	static struct node node;
	struct movable_owner *owner = start(t, &node);
	uint64_t wakes = vm_event_read(VM_EVENT_compact_daemon_wake);
	uint64_t scanned = vm_event_read(VM_EVENT_compact_daemon_migrate_scanned);

	REQUIRE(t, owner);
	kcompactd_wake(&node, PAGEBLOCK_ORDER, ZONE_DMA);
	EXPECT(t, comes_true(has_whole, owner->zone));
	kcompactd_stop(&node);
	EXPECT(t, vm_event_read(VM_EVENT_compact_daemon_wake) > wakes);
	EXPECT(t, vm_event_read(VM_EVENT_compact_daemon_migrate_scanned) > scanned);
	/* Nobody is there any more: not a crash, but nothing. */
	kcompactd_wake(&node, PAGEBLOCK_ORDER, ZONE_DMA);
	EXPECT(t, mo_check(owner));
	EXPECT_OK(t, zone_check(owner->zone));
}

static void default_proactiveness(void *argument UNUSED)
{
	WRITE_ONCE(compaction_settings.proactiveness.value, 20);
}

KTEST(kcompactd, it_looks_for_fragmentation_by_itself)
{
	static struct node node;
	struct movable_owner *owner;

	/* At 0 it leaves even this zone, with a score of 100, alone. */
	WRITE_ONCE(compaction_settings.proactiveness.value, 0);
	ktest_defer(t, default_proactiveness, NULL);
	owner = start(t, &node);
	REQUIRE(t, owner);
	EXPECT_EQ(t, compaction_score(owner->zone), 100u);
	kcompactd_look(&node);
	sleep_ns(20 * NS_PER_MS);
	EXPECT(t, !has_whole(owner->zone));
	WRITE_ONCE(compaction_settings.proactiveness.value, 100);
	kcompactd_look(&node);
	EXPECT(t, comes_true(is_compact, owner->zone));
	kcompactd_stop(&node);
	EXPECT(t, mo_check(owner));
	EXPECT_OK(t, zone_check(owner->zone));
}

static void restore_policy(void *name)
{
	ASSERT(frag_policy_set(name) == 0);
}

KTEST(kcompactd, it_keeps_the_whole_pageblocks_that_the_policy_wants)
{
	struct movable_owner *owner = mo_full_zone(t, 64);

	REQUIRE(t, owner);
	mo_thin_out(owner, 0, owner->nr_slots, 8);
	ktest_defer(t, restore_policy, (void *)frag_policy_get()->name);
	compaction_keep_whole(owner->zone);
	EXPECT(t, !has_whole(owner->zone));
	REQUIRE_OK(t, frag_policy_set("defrag"));
	compaction_keep_whole(owner->zone);
	EXPECT_EQ(t, zone_whole_pages(owner->zone), 4u * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, owner->moves, 4u * PAGEBLOCK_PAGES / 8);
	/* There are enough. */
	compaction_keep_whole(owner->zone);
	EXPECT_EQ(t, owner->moves, 4u * PAGEBLOCK_PAGES / 8);
	EXPECT(t, mo_check(owner));
	EXPECT_OK(t, zone_check(owner->zone));
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static void make_files(struct ktest *t)
{
	static bool made;

	if (ktest_hosted() && !made)
		EXPECT_OK(t, compaction_files_init());
	made = true;
}

static const char *read_file(struct ktest *t, const char *path)
{
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	EXPECT_OK(t, vfile_read(path, &text.sink));
	return buffer;
}

static int write_file(const char *path, const char *value)
{
	return vfile_write(path, value, strlen(value));
}

KTEST(compaction_files, what_is_out_of_range_changes_nothing)
{
	static const struct {
		const char *path, *shown, *bad[4];
	} settings[] = {
		{"/proc/sys/vm/extfrag_threshold", "500\n", {"-1", "1001", "x", ""}},
		{"/proc/sys/vm/compaction_proactiveness", "20\n", {"-1", "101", "5x", ""}},
		{"/proc/sys/vm/compact_scan", "linear [fullest]\n", {"2", "full", "linear fullest", ""}},
	};

	make_files(t);
	for (size_t at = 0; at < ARRAY_SIZE(settings); at++)
		for (size_t bad = 0; bad < ARRAY_SIZE(settings[at].bad); bad++) {
			EXPECT_EQ(t, write_file(settings[at].path, settings[at].bad[bad]), -EINVAL);
			EXPECT_STR(t, read_file(t, settings[at].path), settings[at].shown);
		}
	EXPECT_EQ(t, write_file("/proc/sys/vm/compact_memory", "0"), -EINVAL);
	EXPECT_EQ(t, write_file("/proc/sys/vm/compact_memory", "2"), -EINVAL);
	EXPECT_EQ(t, write_file("/proc/sys/vm/compact_memory", ""), -EINVAL);
}

KTEST(compaction_files, a_scan_is_chosen_by_name)
{
	make_files(t);
	EXPECT_OK(t, write_file("/proc/sys/vm/compact_scan", "linear"));
	EXPECT_STR(t, read_file(t, "/proc/sys/vm/compact_scan"), "[linear] fullest\n");
	EXPECT_OK(t, write_file("/proc/sys/vm/compact_memory", "1"));
	EXPECT_OK(t, write_file("/proc/sys/vm/compact_scan", "fullest"));
	EXPECT_OK(t, write_file("/proc/sys/vm/compact_memory", "1"));
	EXPECT_OK(t, memory_check());
}

KTEST(compaction_files, indices_are_shown_as_linux_shows_them)
{
	const char *text, *end;

	make_files(t);
	text = read_file(t, "/sys/kernel/debug/extfrag/extfrag_index");
	EXPECT(t, string_starts(text, "Node 0, zone      DMA -1.000 -1.000 "));
	end = strchr(text, '\n');
	/* 11 orders and a blank. */
	EXPECT(t, end && end - text == (long)strlen("Node 0, zone      DMA ") + 11 * 7);
	text = read_file(t, "/sys/kernel/debug/extfrag/unusable_index");
	EXPECT(t, string_starts(text, "Node 0, zone      DMA 0.000 0."));
	end = strchr(text, '\n');
	EXPECT(t, end && end - text == (long)strlen("Node 0, zone      DMA ") + 11 * 6);
}

static const char *show(const struct trace_event *event, const void *record)
{
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	event->show(&text.sink, record);
	return buffer;
}

KTEST(compaction_files, events_are_shown_as_linux_shows_them)
{
	struct trace_record_mm_compaction_isolate_freepages isolate = {0x800, 0xa00, 17, 32};
	struct trace_record_mm_compaction_end end = {0x1000, 0x1200, 0x3e00, 0x4000, true, "complete"};
	struct trace_record_mm_compaction_suitable suitable = {"DMA32", "continue", 0, 9};
	struct trace_record_mm_compaction_deferred deferred = {
		.zone = "Normal", .node = 1, .order = 9, .considered = 3, .defer_shift = 6, .order_failed = 4};
	struct trace_record_mm_compaction_kcompactd_wake wake = {.zone = "Normal", .node = 0, .order = 9};
	struct trace_record_mm_compaction_migratepages moved = {30, 2};

	EXPECT_STR(t, show(&trace_event_mm_compaction_isolate_freepages, &isolate),
		   "range=(0x800 ~ 0xa00) nr_scanned=17 nr_taken=32");
	EXPECT_STR(t, show(&trace_event_mm_compaction_migratepages, &moved), "nr_migrated=30 nr_failed=2");
	EXPECT_STR(t, show(&trace_event_mm_compaction_end, &end),
		   "zone_start=0x1000 migrate_pfn=0x1200 free_pfn=0x3e00 zone_end=0x4000, mode=sync status=complete");
	EXPECT_STR(t, show(&trace_event_mm_compaction_suitable, &suitable),
		   "node=0 zone=DMA32    order=9 ret=continue");
	EXPECT_STR(t, show(&trace_event_mm_compaction_deferred, &deferred),
		   "node=1 zone=Normal   order=9 order_failed=4 consider=3 limit=64");
	EXPECT_STR(t, show(&trace_event_mm_compaction_kcompactd_wake, &wake), "nid=0 order=9 classzone_idx=Normal  ");
}
