/*
 * Tests, the same in the guest and in the hosted build. Output is KTAP version 1.
 *
 *   KTEST(buddy, freeing_the_last_split_restores_one_block) { ... EXPECT_EQ(t, blocks, 1u); }
 *
 * REQUIRE ends the test function, EXPECT notes and goes on. What a test takes it hands to ktest_defer(), which
 * runs in reverse order at the end, however the test ended. A test whose name begins with "slow_" runs only when
 * it is named or with slow=1. Random tests take ktest_seed(t) (printed; `seed=` on the command line sets it).
 */
#pragma once

#include "lib/errno.h"
#include "lib/format.h"

struct ktest;

struct ktest_case {
	const char *suite, *name;
	void (*run)(struct ktest *t);
};

#define KTEST(suite_, name_)                                                                       \
	static void ktest_##suite_##_##name_(struct ktest *t);                                     \
	static const struct ktest_case ktest_case_##suite_##_##name_ = {                           \
		.suite = #suite_, .name = #name_, .run = ktest_##suite_##_##name_};                \
	static const struct ktest_case *const ktest_entry_##suite_##_##name_ TABLE_ENTRY(ktests) = \
		&ktest_case_##suite_##_##name_;                                                    \
	static void ktest_##suite_##_##name_(struct ktest *t UNUSED)

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...) PRINTF(4, 5);
void ktest_note(struct ktest *t, const char *fmt, ...) PRINTF(2, 3);
/* Counts as skipped, with the reason. Then return. */
void ktest_skip(struct ktest *t, const char *fmt, ...) PRINTF(2, 3);
void ktest_defer(struct ktest *t, void (*run)(void *argument), void *argument);
uint64_t ktest_seed(struct ktest *t);
/* True in the hosted build, for sizes of loops only: what is tested must not differ. */
bool ktest_hosted(void);

#define EXPECT(t, condition)                                                            \
	do {                                                                            \
		if (!(condition))                                                       \
			ktest_fail((t), __FILE__, __LINE__, "expected %s", #condition); \
	} while (0)
#define REQUIRE(t, condition)                                                           \
	do {                                                                            \
		if (!(condition)) {                                                     \
			ktest_fail((t), __FILE__, __LINE__, "required %s", #condition); \
			return;                                                         \
		}                                                                       \
	} while (0)
/* Integers; both values are shown. */
#define EXPECT_EQ(t, got, want)                                                                                  \
	do {                                                                                                     \
		__typeof__(got) _got = (got);                                                                    \
		__typeof__(want) _want = (want);                                                                 \
		if (_got != (__typeof__(got))_want)                                                              \
			ktest_fail((t), __FILE__, __LINE__, "%s is %lld (0x%llx), expected %lld (0x%llx)", #got, \
				   (long long)_got, (unsigned long long)_got, (long long)_want,                  \
				   (unsigned long long)_want);                                                   \
	} while (0)
/* 0 or -errno. */
#define EXPECT_OK(t, result)                                                                             \
	do {                                                                                             \
		int _result = (result);                                                                  \
		if (_result != 0)                                                                        \
			ktest_fail((t), __FILE__, __LINE__, "%s gave %s", #result, error_name(_result)); \
	} while (0)
#define REQUIRE_OK(t, result)                                                                            \
	do {                                                                                             \
		int _result = (result);                                                                  \
		if (_result != 0) {                                                                      \
			ktest_fail((t), __FILE__, __LINE__, "%s gave %s", #result, error_name(_result)); \
			return;                                                                          \
		}                                                                                        \
	} while (0)
#define EXPECT_STR(t, got, want)                                                                                 \
	do {                                                                                                     \
		const char *_got = (got), *_want = (want);                                                       \
		if (strcmp(_got, _want) != 0)                                                                    \
			ktest_fail((t), __FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #got, _got, _want); \
	} while (0)

struct ktest_result {
	uint32_t passed, failed, skipped;
};

/* Runs what matches the pattern over "suite.name", writes KTAP. A pattern that matches nothing is one failure. */
struct ktest_result ktest_run(const char *pattern, struct sink *out);
void ktest_list(struct sink *out);
/* Before running: the seed random tests start from, and whether slow_ tests run. */
void ktest_configure(uint64_t seed, bool slow);
