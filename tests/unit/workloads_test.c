/*
 * Workloads as a user runs them: what they find, and that they leave nothing behind.
 */
#include "workloads/workload.h"

#include "kernel/ktest.h"
#include "kernel/shell.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/memory.h"

static char shown[16384];

static int run(const char *line)
{
	struct text text;

	text_init(&text, shown, sizeof(shown));
	return shell_run_line(&text.sink, line);
}

/* The number behind "key": in what was shown last. */
static uint64_t figure(const char *key)
{
	char name[64];
	const char *at;
	uint64_t value = 0;

	format(name, sizeof(name), "\"%s\": ", key);
	at = strstr(shown, name);
	for (at = at ? at + strlen(name) : ""; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

static uint64_t workload_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_WORKLOAD];
}

/* Better than LLFree's 46.6 %, and near the 50 % that are possible. */
KTEST(workloads, single_pages_leave_large_blocks_whole)
{
	EXPECT_EQ(t, run("run frag seed=3"), 0);
	EXPECT(t, figure("pages") > 0 && figure("whole_pages") * 1000 > figure("pages") * 466);
	EXPECT_EQ(t, workload_pages(), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(workloads, churn_finds_nothing_wrong_and_gives_all_back)
{
	EXPECT_EQ(t, run("run churn threads=4 fill=90 operations=40000 seed=5"), 0);
	EXPECT(t, strstr(shown, " 0 pages wrong"));
	EXPECT_EQ(t, workload_pages(), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(workloads, noisy_gives_all_back_and_counts_every_round)
{
	EXPECT_EQ(t, run("run noisy threads=3 blocks=5 order=2 rounds=1000"), 0);
	EXPECT(t, strstr(shown, "noisy: 3000 rounds, 0 failed, 0 blocks wrong"));
	EXPECT_EQ(t, figure("count"), 3000u);
	EXPECT_EQ(t, workload_pages(), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(workloads, alloc_cost_gives_all_back_and_has_a_figure_for_each_loop)
{
	EXPECT_EQ(t, run("run alloc_cost pages=2000"), 0);
	EXPECT(t, figure("get_ns") && figure("put_ns") && figure("pair_ns") && figure("huge_pair_ns"));
	EXPECT(t, run("run alloc_cost pages=100000000") == -ENOMEM);
	EXPECT_EQ(t, workload_pages(), 0u);
	EXPECT_OK(t, memory_check());
}

KTEST(workloads, nonsense_is_refused_before_anything_starts)
{
	EXPECT(t, run("run churn threads=0") == -EINVAL && strstr(shown, "wants 1 to"));
	EXPECT(t, run("run noisy blocks=65") == -EINVAL && strstr(shown, "wants 1 to"));
	EXPECT(t, run("run noisy order=11") == -EINVAL && strstr(shown, "wants 1 to"));
	EXPECT(t, run("run frag colour=red") == -EINVAL && strstr(shown, "unknown parameter colour"));
	EXPECT(t, run("run thpfioscale policy=none") == -EINVAL && strstr(shown, "wants mode="));
	EXPECT(t, run("run thpfioscale mode=sometimes") == -EINVAL && strstr(shown, "wants mode="));
	EXPECT(t, run("run alloc_cost pages=3") == -EINVAL && strstr(shown, "at least 16"));
	EXPECT(t, run("run nothing") == -ENOENT);
}
