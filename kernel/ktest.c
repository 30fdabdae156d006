/*
 * The test runner: finds the registered tests, runs those that match, writes KTAP version 1.
 *
 *   KTAP version 1
 *   1..<suites>
 *       KTAP version 1
 *       # Subtest: <suite>
 *       1..<tests>
 *       ok 1 <test>
 *       # <file>:<line>: expected ...          (diagnostics come before the result they belong to)
 *       not ok 2 <test>
 *   not ok 1 <suite>
 *   # passed <n> failed <n> skipped <n>
 *
 * The last line is ours: a log that ends before it was cut short.
 */
#include "kernel/ktest.h"

#include "kernel/panic.h"
#include "kernel/time.h"
#include "lib/parse.h"
#include "lib/rand.h"
#include "lib/sort.h"
#include "lib/string.h"

#define MAX_TESTS  2048
#define MAX_DEFERS 64
#define INDENT	   "    "

struct ktest {
	const struct ktest_case *test;
	struct sink *out;
	uint32_t failures;
	bool skipped;
	char skip_reason[96];
	size_t nr_defers;
	struct {
		void (*run)(void *argument);
		void *argument;
	} defers[MAX_DEFERS];
};

extern const struct ktest_case *const __start_ktests[], *const __stop_ktests[];

static const struct ktest_case *selected[MAX_TESTS];
static uint64_t base_seed;
static bool run_slow;

void ktest_configure(uint64_t seed, bool slow)
{
	base_seed = seed;
	run_slow = slow;
}

/* ---- what tests call ---- */

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	t->failures++;
	sink_printf(t->out, INDENT "# %s:%d: ", file, line);
	va_start(args, fmt);
	sink_printf_v(t->out, fmt, args);
	va_end(args);
	sink_printf(t->out, "\n");
}

void ktest_note(struct ktest *t, const char *fmt, ...)
{
	va_list args;

	sink_printf(t->out, INDENT "# ");
	va_start(args, fmt);
	sink_printf_v(t->out, fmt, args);
	va_end(args);
	sink_printf(t->out, "\n");
}

void ktest_skip(struct ktest *t, const char *fmt, ...)
{
	va_list args;

	t->skipped = true;
	va_start(args, fmt);
	format_v(t->skip_reason, sizeof(t->skip_reason), fmt, args);
	va_end(args);
}

void ktest_defer(struct ktest *t, void (*run)(void *argument), void *argument)
{
	if (t->nr_defers == MAX_DEFERS) {
		ktest_fail(t, __FILE__, __LINE__, "more than %d deferred calls", MAX_DEFERS);
		run(argument);
		return;
	}
	t->defers[t->nr_defers].run = run;
	t->defers[t->nr_defers++].argument = argument;
}

uint64_t ktest_seed(struct ktest *t)
{
	struct rand rand;
	uint64_t seed = base_seed;

	/* Different for every test, the same for a test whatever else runs. */
	for (const char *c = t->test->name; *c; c++)
		seed = seed * 31 + (unsigned char)*c;
	rand_seed(&rand, seed);
	seed = rand_u64(&rand);
	ktest_note(t, "seed=%llu gives %llu", (unsigned long long)base_seed, (unsigned long long)seed);
	return seed;
}

/* ---- running ---- */

static int compare_cases(const void *a, const void *b)
{
	const struct ktest_case *x = *(const struct ktest_case *const *)a, *y = *(const struct ktest_case *const *)b;
	int order = strcmp(x->suite, y->suite);

	return order ? order : strcmp(x->name, y->name);
}

static bool matches(const struct ktest_case *test, const char *pattern)
{
	char full[160];

	format(full, sizeof(full), "%s.%s", test->suite, test->name);
	if (string_starts(test->name, "slow_") && !run_slow && strcmp(pattern, full) != 0)
		return false;
	return glob_match(pattern, full) || glob_match(pattern, test->suite);
}

static size_t select_tests(const char *pattern)
{
	size_t count = 0;

	for (const struct ktest_case *const *at = __start_ktests; at < __stop_ktests; at++) {
		if (matches(*at, pattern)) {
			ASSERT(count < MAX_TESTS, "there are more tests: MAX_TESTS must grow");
			selected[count++] = *at;
		}
	}
	sort(selected, count, sizeof(selected[0]), compare_cases);
	return count;
}

static void run_one(struct sink *out, const struct ktest_case *test, uint32_t number, struct ktest_result *result)
{
	struct ktest t = {.test = test, .out = out};

	test->run(&t);
	while (t.nr_defers) {
		t.nr_defers--;
		t.defers[t.nr_defers].run(t.defers[t.nr_defers].argument);
	}
	if (t.failures) {
		result->failed++;
		sink_printf(out, INDENT "not ok %u %s\n", number, test->name);
	} else if (t.skipped) {
		result->skipped++;
		sink_printf(out, INDENT "ok %u %s # SKIP %s\n", number, test->name, t.skip_reason);
	} else {
		result->passed++;
		sink_printf(out, INDENT "ok %u %s\n", number, test->name);
	}
}

/* The tests from @first on that belong to the same suite. */
static size_t suite_length(size_t first, size_t count)
{
	size_t end = first;

	while (end < count && strcmp(selected[end]->suite, selected[first]->suite) == 0)
		end++;
	return end - first;
}

static void run_suite(struct sink *out, size_t first, size_t length, uint32_t number, struct ktest_result *result)
{
	uint32_t failed_before = result->failed;

	sink_printf(out, INDENT "KTAP version 1\n" INDENT "# Subtest: %s\n" INDENT "1..%zu\n", selected[first]->suite,
		    length);
	for (size_t i = 0; i < length; i++)
		run_one(out, selected[first + i], (uint32_t)i + 1, result);
	sink_printf(out, "%sok %u %s\n", result->failed > failed_before ? "not " : "", number, selected[first]->suite);
}

struct ktest_result ktest_run(const char *pattern, struct sink *out)
{
	struct ktest_result result = {0};
	size_t count = select_tests(pattern);
	uint32_t suites = 0;

	for (size_t i = 0; i < count; i += suite_length(i, count))
		suites++;
	sink_printf(out, "KTAP version 1\n1..%u\n", count ? suites : 1u);
	if (count == 0) {
		sink_printf(out, "# no test matches \"%s\"\nnot ok 1 selection\n", pattern);
		result.failed = 1;
	}
	suites = 0;
	for (size_t i = 0; i < count;) {
		size_t length = suite_length(i, count);

		run_suite(out, i, length, ++suites, &result);
		i += length;
	}
	sink_printf(out, "# passed %u failed %u skipped %u\n", result.passed, result.failed, result.skipped);
	return result;
}

void ktest_list(struct sink *out)
{
	run_slow = true;
	for (size_t i = 0, count = select_tests("*"); i < count; i++)
		sink_printf(out, "%s.%s\n", selected[i]->suite, selected[i]->name);
}
