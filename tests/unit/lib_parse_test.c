/*
 * What is accepted, what is refused with which error, and that refusing changes nothing.
 */
#include "kernel/ktest.h"
#include "lib/parse.h"
#include "lib/string.h"

static const char *const not_numbers[] = {"", " ", "-", "0x", "x1", "1 ", " 1", "1a", "0xg", "+1", "1.5", "--1"};

KTEST(lib_parse, unsigned_numbers)
{
	uint64_t value = 7;

	EXPECT_OK(t, parse_u64("0", &value));
	EXPECT_EQ(t, value, 0u);
	EXPECT_OK(t, parse_u64("18446744073709551615", &value));
	EXPECT_EQ(t, value, UINT64_MAX);
	EXPECT_OK(t, parse_u64("0xFFffFFFFffffffff", &value));
	EXPECT_EQ(t, value, UINT64_MAX);
	EXPECT_OK(t, parse_u64("007", &value)); /* decimal all the same */
	EXPECT_EQ(t, value, 7u);
	EXPECT_EQ(t, parse_u64("18446744073709551616", &value), -ERANGE);
	EXPECT_EQ(t, parse_u64("0x10000000000000000", &value), -ERANGE);
	EXPECT_EQ(t, parse_u64("99999999999999999999999", &value), -ERANGE);
	EXPECT_EQ(t, parse_u64("-1", &value), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(not_numbers); i++)
		EXPECT_EQ(t, parse_u64(not_numbers[i], &value), -EINVAL);
	EXPECT_EQ(t, value, 7u);
}

KTEST(lib_parse, signed_numbers)
{
	int64_t value = 7;

	EXPECT_OK(t, parse_i64("-9223372036854775808", &value));
	EXPECT_EQ(t, value, INT64_MIN);
	EXPECT_OK(t, parse_i64("9223372036854775807", &value));
	EXPECT_EQ(t, value, INT64_MAX);
	EXPECT_OK(t, parse_i64("-0x10", &value));
	EXPECT_EQ(t, value, -16);
	EXPECT_EQ(t, parse_i64("9223372036854775808", &value), -ERANGE);
	EXPECT_EQ(t, parse_i64("-9223372036854775809", &value), -ERANGE);
	for (size_t i = 0; i < ARRAY_SIZE(not_numbers); i++)
		EXPECT_EQ(t, parse_i64(not_numbers[i], &value), -EINVAL);
	EXPECT_EQ(t, value, -16);
}

KTEST(lib_parse, sizes)
{
	uint64_t bytes = 7;

	EXPECT_OK(t, parse_size("512", &bytes));
	EXPECT_EQ(t, bytes, 512u);
	EXPECT_OK(t, parse_size("4k", &bytes));
	EXPECT_EQ(t, bytes, KIB(4));
	EXPECT_OK(t, parse_size("0x10M", &bytes));
	EXPECT_EQ(t, bytes, MIB(16));
	EXPECT_OK(t, parse_size("3G", &bytes));
	EXPECT_EQ(t, bytes, GIB(3));
	EXPECT_OK(t, parse_size("16777215T", &bytes));
	EXPECT_EQ(t, bytes, 16777215ull << 40);
	EXPECT_EQ(t, parse_size("16777216T", &bytes), -ERANGE);
	EXPECT_EQ(t, parse_size("1MB", &bytes), -EINVAL);
	EXPECT_EQ(t, parse_size("M", &bytes), -EINVAL);
	EXPECT_EQ(t, parse_size("1P", &bytes), -EINVAL);
	EXPECT_EQ(t, bytes, 16777215ull << 40);
}

KTEST(lib_parse, truth_values)
{
	static const char *const wrong[] = {"", "2", "ye", "yesno", "ON", "00"};
	bool value = false;

	EXPECT_OK(t, parse_bool("on", &value));
	EXPECT(t, value);
	EXPECT_OK(t, parse_bool("n", &value));
	EXPECT(t, !value);
	EXPECT_OK(t, parse_bool("true", &value));
	EXPECT(t, value);
	EXPECT_OK(t, parse_bool("0", &value));
	EXPECT(t, !value);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(t, parse_bool(wrong[i], &value), -EINVAL);
}

KTEST(lib_parse, words)
{
	char line[] = "  one\ttwo=\"a b\"c  \"\" \"un ended";
	char *rest = line;

	EXPECT_STR(t, parse_word(&rest), "one");
	EXPECT_STR(t, parse_word(&rest), "two=a bc");
	EXPECT_STR(t, parse_word(&rest), "");
	EXPECT_STR(t, parse_word(&rest), "un ended");
	EXPECT(t, parse_word(&rest) == NULL);
	EXPECT(t, parse_word(&rest) == NULL);
}

KTEST(lib_parse, words_of_nothing)
{
	char blanks[] = "   ";
	char *rest = blanks;

	EXPECT(t, parse_word(&rest) == NULL);
	rest = blanks + 3;
	EXPECT(t, parse_word(&rest) == NULL);
}

struct glob_case {
	const char *pattern, *text;
	bool match;
};

static const struct glob_case glob_cases[] = {
	{"", "", true},
	{"", "a", false},
	{"*", "", true},
	{"*", "anything", true},
	{"buddy.*", "buddy.merge", true},
	{"buddy.*", "buddy", false},
	{"*.c", "a.c.c", true},
	{"*ab*ab", "abcab", true},
	{"*ab*ab", "abab", true},
	{"*ab*ab", "abxa", false},
	{"a?c", "abc", true},
	{"a?c", "ac", false},
	{"[a-c]x", "bx", true},
	{"[a-c]x", "dx", false},
	{"[!a-c]x", "dx", true},
	{"[!a-c]x", "bx", false},
	{"[]]", "]", true},
	{"[-a]", "-", true},
	{"[a-]", "-", true},
	{"[ab", "[ab", true},
	{"[ab", "a", false},
	{"one,two", "two", true},
	{"one,two", "three", false},
	{"one,*", "three", true},
	{"one,", "", true},
	{"a*b*c*d*e*f*g*h", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

KTEST(lib_parse, globs)
{
	for (size_t i = 0; i < ARRAY_SIZE(glob_cases); i++) {
		const struct glob_case *c = &glob_cases[i];

		if (glob_match(c->pattern, c->text) != c->match)
			ktest_fail(t, __FILE__, __LINE__, "\"%s\" on \"%s\" should%s match", c->pattern, c->text,
				   c->match ? "" : " not");
	}
}
