/*
 * The hosted test program: the same tests, on POSIX threads and the C library's memory, under the sanitizers.
 *
 *   ballonet-tests [pattern] [--list] [--seed N] [--slow] [--disturb N]
 *
 * --disturb N: at one in N of the places where preemption goes off or on, the thread sleeps for a moment. Orders of
 * threads that a quiet machine shows once in a hundred runs are then seen in one. In the builds with sanitizers only.
 *
 * Exit status 0: all passed; 1: a test failed; 2: the call was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/preempt.h"
#include "kernel/ktest.h"
#include "kernel/printk.h"
#include "kernel/work.h"
#include "tests/host/host.h"

static int usage(const char *why)
{
	fprintf(stderr,
		"ballonet-tests: %s\nusage: ballonet-tests [pattern] [--list] [--seed N] [--slow] [--disturb N]\n",
		why);
	return 2;
}

int main(int argc, char **argv)
{
	const char *pattern = "*";
	uint64_t seed = 1;
	bool slow = false;
	struct ktest_result result;

	host_init();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			ktest_list(console_sink());
			return 0;
		}
		if (strcmp(argv[i], "--slow") == 0)
			slow = true;
		else if (HOST_CAN_DISTURB && strcmp(argv[i], "--disturb") == 0 && i + 1 < argc)
			host_disturb_one_in = strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (argv[i][0] == '-')
			return usage(argv[i]);
		else
			pattern = argv[i];
	}
	work_start_workers();
	ktest_configure(seed, slow);
	result = ktest_run(pattern, console_sink());
	return result.failed ? 1 : 0;
}
