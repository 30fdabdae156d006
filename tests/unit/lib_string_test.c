/*
 * The memory functions at all small sizes and alignments, against byte-wise loops; and our two helpers.
 */
#include "kernel/ktest.h"
#include "lib/string.h"

#define ROOM 200

/* Called through these, the compiler cannot put its own in place. */
static void *(*volatile do_copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile do_move)(void *, const void *, size_t) = memmove;
static void *(*volatile do_set)(void *, int, size_t) = memset;
static int (*volatile do_compare)(const void *, const void *, size_t) = memcmp;

static uint8_t bytes[ROOM], expected[ROOM];

static void fill(uint8_t *buffer)
{
	for (size_t i = 0; i < ROOM; i++)
		buffer[i] = (uint8_t)(i * 7 + 1);
}

static bool same(void)
{
	for (size_t i = 0; i < ROOM; i++)
		if (bytes[i] != expected[i])
			return false;
	return true;
}

KTEST(lib_string, memset_sets_exactly_its_range)
{
	for (size_t at = 0; at < 9; at++) {
		for (size_t count = 0; count < 150; count++) {
			fill(bytes);
			fill(expected);
			for (size_t i = 0; i < count; i++)
				expected[at + i] = 0xa5;
			REQUIRE(t, do_set(bytes + at, 0x1a5, count) == bytes + at);
			REQUIRE(t, same());
		}
	}
}

KTEST(lib_string, memcpy_copies_exactly_its_range)
{
	static uint8_t from[ROOM];

	for (size_t i = 0; i < ROOM; i++)
		from[i] = (uint8_t)(255 - i);
	for (size_t at = 0; at < 9; at++) {
		for (size_t count = 0; count < 150; count++) {
			fill(bytes);
			fill(expected);
			for (size_t i = 0; i < count; i++)
				expected[at + i] = from[3 + i];
			REQUIRE(t, do_copy(bytes + at, from + 3, count) == bytes + at);
			REQUIRE(t, same());
		}
	}
}

KTEST(lib_string, memmove_allows_overlap_both_ways)
{
	for (size_t to = 0; to < 40; to++) {
		for (size_t count = 0; count < 100; count++) {
			fill(bytes);
			fill(expected);
			for (size_t i = 0; i < count; i++)
				expected[to + i] = (uint8_t)((20 + i) * 7 + 1);
			do_move(bytes + to, bytes + 20, count);
			REQUIRE(t, same());
		}
	}
}

KTEST(lib_string, memcmp_finds_the_first_difference)
{
	for (size_t count = 1; count < 40; count++) {
		for (size_t at = 0; at < count; at++) {
			fill(bytes);
			fill(expected);
			EXPECT_EQ(t, do_compare(bytes, expected, count), 0);
			/* Beyond the difference it points the other way. */
			bytes[at] = 0x80;
			expected[at] = 0x7f;
			expected[at + 1] = 0xff;
			REQUIRE(t, do_compare(bytes, expected, count) > 0);
			REQUIRE(t, do_compare(expected, bytes, count) < 0);
			EXPECT_EQ(t, do_compare(bytes, expected, at), 0);
		}
	}
}

KTEST(lib_string, strings_are_measured_and_compared)
{
	const char *volatile four = "four";

	EXPECT_EQ(t, strlen(four), 4u);
	EXPECT_EQ(t, strlen(four + 4), 0u);
	EXPECT_EQ(t, strnlen(four, 3), 3u);
	EXPECT_EQ(t, strnlen(four, 9), 4u);
	EXPECT(t, strcmp("a", "b") < 0);
	EXPECT(t, strcmp("ab", "a") > 0);
	EXPECT(t, strcmp("\x80", "a") > 0); /* as unsigned */
	EXPECT_EQ(t, strncmp("abc", "abd", 2), 0);
	EXPECT(t, strncmp("abc", "abd", 3) < 0);
	EXPECT_EQ(t, strncmp("a", "a", 9), 0);
}

KTEST(lib_string, strings_are_searched)
{
	const char *s = "path/to/file";

	EXPECT(t, strchr(s, '/') == s + 4);
	EXPECT(t, strrchr(s, '/') == s + 7);
	EXPECT(t, strchr(s, 'z') == NULL);
	EXPECT(t, strrchr(s, 'z') == NULL);
	EXPECT(t, strchr(s, '\0') == s + 12);
	EXPECT(t, strstr(s, "to") == s + 5);
	EXPECT(t, strstr(s, "tofu") == NULL);
	EXPECT(t, strstr(s, "") == s);
	EXPECT(t, strstr(s, "file") == s + 8);
	EXPECT(t, memchr(s, 't', 12) == s + 2);
	EXPECT(t, memchr(s, 'f', 8) == NULL);
}

KTEST(lib_string, string_copy_always_ends_the_copy)
{
	char to[4] = "???";

	EXPECT_EQ(t, string_copy(to, "abc", sizeof(to)), 3);
	EXPECT_STR(t, to, "abc");
	EXPECT_EQ(t, string_copy(to, "wxyz", sizeof(to)), -E2BIG);
	EXPECT_STR(t, to, "wxy");
	EXPECT_EQ(t, string_copy(to, "q", 1), -E2BIG);
	EXPECT_STR(t, to, "");
}

KTEST(lib_string, string_starts)
{
	EXPECT(t, string_starts("virtio_balloon", "virtio"));
	EXPECT(t, string_starts("any", ""));
	EXPECT(t, !string_starts("vir", "virtio"));
	EXPECT(t, !string_starts("xvirtio", "virtio"));
}
