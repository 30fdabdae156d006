/*
 * The sanitizers see what they are there for, and no more: closed and open bytes around objects and pages, undefined
 * behaviour counted once a place. In builds without them the tests are skipped.
 */
#include "kernel/kasan.h"
#include "kernel/ktest.h"
#include "kernel/memory.h"
#include "kernel/sanitizer.h"

static char variable[21];

static bool has_kasan(struct ktest *t)
{
#ifdef BALLONET_KASAN
	return true;
#else
	ktest_skip(t, "not a kasan build");
	return false;
#endif
}

KTEST(kernel_sanitizer, objects_are_open_to_their_last_byte)
{
	if (!has_kasan(t))
		return;
	for (size_t bytes = 1; bytes < 9000; bytes += 1 + bytes / 7) {
		char *object = kmalloc(bytes);

		REQUIRE(t, object);
		EXPECT(t, kasan_allows(object, bytes));
		EXPECT(t, !kasan_allows(object, bytes + 1));
		EXPECT(t, !kasan_allows(object + bytes, 1));
		EXPECT(t, bytes < 2 || kasan_allows(object + bytes - 2, 2));
		kfree(object);
		EXPECT(t, !kasan_allows(object, 1));
		EXPECT(t, !kasan_allows(object + bytes - 1, 1));
	}
}

KTEST(kernel_sanitizer, pages_close_when_they_are_freed)
{
	char *pages;

	if (!has_kasan(t))
		return;
	pages = kmalloc(100000);
	REQUIRE(t, pages);
	EXPECT(t, kasan_allows(pages, 100000));
	EXPECT(t, !kasan_allows(pages, 100001));
	kfree(pages);
	EXPECT(t, !kasan_allows(pages, 1));
	EXPECT(t, !kasan_allows(pages + 99999, 1));
}

KTEST(kernel_sanitizer, variables_have_closed_surroundings)
{
	if (!has_kasan(t))
		return;
	EXPECT(t, kasan_allows(variable, sizeof(variable)));
	EXPECT(t, !kasan_allows(variable, sizeof(variable) + 1));
}

KTEST(kernel_sanitizer, undefined_behaviour_is_counted_once_a_place)
{
	static const char *const bugs[] = {"ubsan-overflow", "ubsan-bounds", "ubsan-shift"};
	bool warn;

	if (sanitizer_seed_bug("") != -EINVAL || sanitizer_seed_bug("kasan") != -EINVAL)
		ktest_fail(t, __FILE__, __LINE__, "an unknown bug was accepted");
#ifndef BALLONET_UBSAN
	ktest_skip(t, "not a ubsan build");
	return;
#endif
	warn = ubsan_set_warn(true);
	for (size_t i = 0; i < ARRAY_SIZE(bugs); i++) {
		uint64_t before = ubsan_reports(), after;

		EXPECT_EQ(t, sanitizer_seed_bug(bugs[i]), -EFAULT);
		after = ubsan_reports();
		EXPECT(t, after > before);
		EXPECT_EQ(t, sanitizer_seed_bug(bugs[i]), -EFAULT);
		EXPECT_EQ(t, ubsan_reports(), after);
	}
	ubsan_set_warn(warn);
}
