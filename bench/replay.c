/*
 * A recorded sequence of allocations, replayed hosted: the real allocator at native speed on memory of a given size.
 *
 *   build/host/bench-replay FILE [MiB[:WHOLE] [POLICY...]]
 *
 * The same as `run replay` in the guest (workloads/alloc_replay.c), with all policies if none is named; WHOLE free
 * pageblocks to begin with, else as many as there were.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/panic.h"
#include "mm/memory.h"
#include "mm/policy/policy.h"
#include "tests/host/host.h"
#include "workloads/alloc_replay.h"

static void print(struct sink *sink UNUSED, const char *bytes, size_t length)
{
	fwrite(bytes, 1, length, stdout);
}

static struct sink out = {.write = print};
static struct alloc_trace trace;

static bool load(const char *path)
{
	FILE *from = fopen(path, "rb");
	long size = from && !fseek(from, 0, SEEK_END) ? ftell(from) : -1;
	bool loaded = size >= 0 && !fseek(from, 0, SEEK_SET) && !alloc_trace_make(&trace, (uint64_t)size);

	for (uint64_t at = 0; loaded && at < trace.bytes; at += ALLOC_TRACE_PIECE) {
		size_t bytes = MIN(trace.bytes - at, (uint64_t)ALLOC_TRACE_PIECE);

		loaded = fread(trace.pieces[at / ALLOC_TRACE_PIECE], 1, bytes, from) == bytes;
	}
	if (from)
		fclose(from);
	return loaded;
}

static void set_up(uint64_t bytes)
{
	static const struct machine machine = {.nr_cpus = 1, .nr_nodes = 1};

	memblock_init(&memblock);
	ASSERT(!memblock_add(&memblock, MIB(1), MIN(bytes, GIB(3)), 0));
	if (bytes > GIB(3))
		ASSERT(!memblock_add(&memblock, GIB(4), GIB(1) + bytes, 0));
	mm_init(&memblock, &machine, NULL);
}

static bool replay(const char *policy, uint64_t bytes, uint64_t whole)
{
	struct alloc_replay_result result;

	set_up(bytes);
	if (frag_policy_set(policy)) {
		fprintf(stderr, "bench-replay: no policy %s\n", policy);
		return false;
	}
	if (alloc_replay(&trace, whole, &out, &result))
		return false;
	alloc_replay_show(&out, &trace, &result);
	return true;
}

int main(int argc, char **argv)
{
	static char *all[] = {"vanilla", "nofragment", "boost", "stall", "defrag", NULL};
	uint64_t bytes, whole;
	bool good = true;
	char *rest = "";

	if (argc < 2 || !load(argv[1])) {
		fprintf(stderr, "bench-replay: wants a recording, and perhaps MiB and policies\n");
		return 2;
	}
	host_init();
	if (alloc_trace_check(&trace, &out))
		return 1;
	bytes = alloc_trace_header(&trace)->pages * PAGE_SIZE + MIB(64);
	if (argc > 2)
		bytes = MIB(strtoull(argv[2], &rest, 0));
	whole = *rest == ':' ? strtoull(rest + 1, NULL, 0) : alloc_replay_whole(&trace);
	if (bytes < MIB(32) || bytes > GIB(60)) {
		fprintf(stderr, "bench-replay: wants 32 MiB to 60 GiB\n");
		return 2;
	}
	for (char **policy = argc > 3 ? argv + 3 : all; *policy; policy++)
		good = replay(*policy, bytes, whole) && good;
	return good ? 0 : 1;
}
