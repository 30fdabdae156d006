/*
 * replay: the same requests, in the same order, to this allocator as it is now.
 *
 * So that allocators can be compared whose kernels take different amounts for themselves, both begin with the same free
 * memory: a number of whole pageblocks. They are taken first, then everything else down to the watermarks, order by
 * order, then they are given back. What replaying itself needs was allocated before that. The end is the last event,
 * with all pages still held that were held then: that is what is counted.
 */
#include "workloads/alloc_replay.h"

#include "drivers/fw_cfg.h"
#include "kernel/memory.h"
#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/vmstat.h"
#include "workloads/alloc_record.h"
#include "workloads/workload.h"

#define GFP_REPLAY  (GFP_NOWARN | GFP_NORETRY | GFP_OWNER(PAGE_OWNER_WORKLOAD))
#define GFP_BALLAST (GFP_REPLAY | GFP_MOVABLE)

struct replay {
	const struct alloc_trace *trace;
	struct alloc_trace pages; /* a pointer for each number */
	struct list_node ballast;
	struct alloc_replay_result *result;
};

static struct page **page_of(const struct replay *replay, uint64_t number)
{
	return (struct page **)alloc_trace_word(&replay->pages, number);
}

/* ---- the memory to begin with -------------------------------------------------------------------------------------
 */

static bool take(struct list_node *list, unsigned int order)
{
	struct page *page = alloc_pages(GFP_BALLAST, order);

	if (page)
		list_add(list, &page->lru);
	return page;
}

static void give_all(struct list_node *list)
{
	while (!list_empty(list)) {
		struct page *page = list_first_entry(list, struct page, lru);

		list_del(&page->lru);
		free_pages(page, page_order(page));
	}
}

static int leave_whole(struct replay *replay, uint64_t whole, struct sink *out)
{
	struct list_node blocks = LIST_INIT(blocks);
	uint64_t got = 0;

	while (got < whole && take(&blocks, PAGEBLOCK_ORDER))
		got++;
	for (unsigned int order = NR_ORDERS; got == whole && order--;)
		while (take(&replay->ballast, order))
			;
	give_all(&blocks);
	if (got == whole)
		return 0;
	sink_printf(out, "replay: wants %lu whole pageblocks, %lu are free\n", whole, got);
	return -ENOMEM;
}

static void look(uint64_t *whole, uint64_t *free)
{
	struct memory_info info;

	*whole = 0;
	for_each_zone(zone)
	{
		pcp_drain_all(zone);
		*whole += zone_whole_pages(zone) / PAGEBLOCK_PAGES;
	}
	memory_info_get(&info);
	*free = info.free;
}

/* ---- replaying ----------------------------------------------------------------------------------------------------
 */

static void replay_event(struct replay *replay, const struct alloc_event *event)
{
	struct page **page = page_of(replay, event->page);

	if (event->kind == ALLOC_EVENT_ALLOC) {
		*page = alloc_pages(event->gfp | GFP_REPLAY, event->order);
		replay->result->allocations++;
		replay->result->failed += !*page;
	} else if (*page) {
		free_pages(*page, event->order);
		*page = NULL;
		replay->result->frees++;
	}
}

static int replay_all(struct replay *replay)
{
	uint64_t events = alloc_trace_header(replay->trace)->events;
	uint64_t fallbacks = vm_event_read(VM_EVENT_fragmenting_fallback), begin = time_ns();

	for (uint64_t at = 0; at < events; at++) {
		replay_event(replay, alloc_trace_event(replay->trace, at));
		if (at % 65536 == 0 && shell_interrupted())
			return -EINTR;
	}
	replay->result->ns = time_ns() - begin;
	replay->result->extfrag = vm_event_read(VM_EVENT_fragmenting_fallback) - fallbacks;
	return 0;
}

static void give_back(struct replay *replay)
{
	for (uint64_t number = 0; number < alloc_trace_header(replay->trace)->pages; number++) {
		struct page *page = *page_of(replay, number);

		if (!page)
			continue;
		replay->result->placement =
			(replay->result->placement + page_to_pfn(page) + number) * 0x9e3779b97f4a7c15;
		free_pages(page, page_order(page));
	}
}

int alloc_replay(const struct alloc_trace *trace, uint64_t whole, struct sink *out, struct alloc_replay_result *result)
{
	struct replay replay = {.trace = trace, .ballast = LIST_INIT(replay.ballast), .result = result};
	int error = alloc_trace_make(&replay.pages, alloc_trace_header(trace)->pages * sizeof(struct page *));

	*result = (struct alloc_replay_result){0};
	if (error)
		return error;
	if (whole)
		error = leave_whole(&replay, whole, out);
	if (!error) {
		look(&result->whole_begin, &result->free_begin);
		error = replay_all(&replay);
		look(&result->whole_end, &result->free_end);
	}
	give_back(&replay);
	give_all(&replay.ballast);
	alloc_trace_cut(&replay.pages, 0);
	return error;
}

void alloc_replay_show(struct sink *out, const struct alloc_trace *trace, const struct alloc_replay_result *result)
{
	const struct alloc_trace_header *header = alloc_trace_header(trace);
	uint64_t each = result->ns / MAX(result->allocations + result->frees, 1ull);

	sink_printf(out, "replay: \"%s\", policy %s: %lu allocations, %lu failed, %lu frees, %lu ns each\n",
		    header->workload, frag_policy_get()->name, result->allocations, result->failed, result->frees,
		    each);
	sink_printf(
		out,
		"replay: %lu fallbacks below pageblocks; whole pageblocks free: %lu, then %lu; pages: %lu, then %lu\n",
		result->extfrag, result->whole_begin, result->whole_end, result->free_begin, result->free_end);
	sink_printf(out,
		    "json {\"workload\": \"replay\", \"policy\": \"%s\", \"events\": %lu, \"allocations\": %lu, "
		    "\"failed\": %lu, \"extfrag\": %lu, \"whole_begin\": %lu, \"whole_end\": %lu, \"free_begin\": %lu, "
		    "\"free_end\": %lu, \"placement\": \"%016lx\", \"each_ns\": %lu}\n",
		    frag_policy_get()->name, header->events, result->allocations, result->failed, result->extfrag,
		    result->whole_begin, result->whole_end, result->free_begin, result->free_end, result->placement,
		    each);
}

/* ---- the workload -------------------------------------------------------------------------------------------------
 */

static int load(struct alloc_trace *trace, const char *name, struct sink *out)
{
	long size = fw_cfg_size(name), count = 0;
	int error = size < 0 ? (int)size : alloc_trace_make(trace, (uint64_t)size);

	for (uint64_t at = 0; !error && at < trace->bytes; at += (uint64_t)count) {
		count = fw_cfg_read_at(name, at, trace->pieces[at / ALLOC_TRACE_PIECE], ALLOC_TRACE_PIECE);
		if (count <= 0)
			error = count ? (int)count : -EIO;
	}
	if (error)
		sink_printf(out, "replay: the host's file %s: %s\n", name, error_name(error));
	else
		error = alloc_trace_check(trace, out);
	if (error && trace->bytes)
		alloc_trace_cut(trace, 0);
	return error;
}

static int replay_and_show(struct sink *out, const struct alloc_trace *trace, uint64_t whole, const char *policy)
{
	const char *previous = frag_policy_get()->name;
	struct alloc_replay_result result;
	int error = frag_policy_set(policy);

	if (error) {
		sink_printf(out, "replay: no policy %s\n", policy);
		return error;
	}
	error = alloc_replay(trace, whole == UINT64_MAX ? alloc_replay_whole(trace) : whole, out, &result);
	if (!error)
		alloc_replay_show(out, trace, &result);
	return frag_policy_set(previous) ? -EINVAL : error;
}

static int replay_run(struct sink *out, struct workload_parameters *parameters)
{
	const char *file = workload_word(parameters, "file", NULL);
	const char *policy = workload_word(parameters, "policy", frag_policy_get()->name);
	uint64_t whole = workload_number(out, parameters, "whole", UINT64_MAX);
	const struct alloc_trace *recorded = NULL;
	struct alloc_trace loaded = {0};
	int error = workload_parameters_end(out, parameters);

	if (!error && file)
		error = load(&loaded, file, out);
	if (!error && !file) {
		recorded = alloc_record_take();
		if (!recorded) {
			sink_printf(out, "replay: nothing is recorded here: say file=, or record something first\n");
			error = -ENOENT;
		}
	}
	if (!error)
		error = replay_and_show(out, recorded ? recorded : &loaded, whole, policy);
	if (recorded)
		alloc_record_give();
	alloc_trace_cut(&loaded, 0);
	return error;
}
WORKLOAD(replay,
	 "file= whole= policy=", "recorded allocations once more: the host's fw_cfg file, or what was recorded last",
	 replay_run);
