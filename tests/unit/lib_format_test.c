/*
 * Every conversion with every flag that means something; cutting; texts longer than the formatter's buffer.
 */
#include "kernel/ktest.h"
#include "lib/string.h"

/* Formats and compares text and length. */
#define EXPECT_FORMAT(t, want, ...)                                          \
	do {                                                                 \
		char _buffer[128];                                           \
		int _length = format(_buffer, sizeof(_buffer), __VA_ARGS__); \
		EXPECT_STR(t, _buffer, want);                                \
		EXPECT_EQ(t, _length, (int)sizeof(want) - 1);                \
	} while (0)

KTEST(lib_format, integers)
{
	EXPECT_FORMAT(t, "0", "%d", 0);
	EXPECT_FORMAT(t, "-2147483648", "%d", -2147483647 - 1);
	EXPECT_FORMAT(t, "-9223372036854775808", "%lld", (long long)INT64_MIN);
	EXPECT_FORMAT(t, "18446744073709551615", "%lu", UINT64_MAX);
	EXPECT_FORMAT(t, "4294967295", "%u", -1);
	EXPECT_FORMAT(t, "beef BEEF 17", "%x %X %o", 0xbeef, 0xbeef, 15);
	EXPECT_FORMAT(t, "1777777777777777777777", "%lo", UINT64_MAX);
	EXPECT_FORMAT(t, "-1 255 -1 65535", "%hhd %hhu %hd %hu", 0xff, 0x1ff, 0xffff, 0x1ffff);
	EXPECT_FORMAT(t, "123", "%zu", (size_t)123);
}

KTEST(lib_format, widths_and_flags)
{
	EXPECT_FORMAT(t, "[   42]", "[%5d]", 42);
	EXPECT_FORMAT(t, "[42   ]", "[%-5d]", 42);
	EXPECT_FORMAT(t, "[00042]", "[%05d]", 42);
	EXPECT_FORMAT(t, "[-0042]", "[%05d]", -42);
	EXPECT_FORMAT(t, "[+42] [ 42] [-42]", "[%+d] [% d] [%+d]", 42, 42, -42);
	EXPECT_FORMAT(t, "[0x2a] [0X2A] [0] [052]", "[%#x] [%#X] [%#x] [%#o]", 42, 42, 0, 42);
	EXPECT_FORMAT(t, "[0x00002a]", "[%#08x]", 42);
	EXPECT_FORMAT(t, "[   42] [42   ]", "[%*d] [%*d]", 5, 42, -5, 42);
	EXPECT_FORMAT(t, "[42]", "[%1d]", 42);
}

KTEST(lib_format, precision)
{
	EXPECT_FORMAT(t, "[00042]", "[%.5d]", 42);
	EXPECT_FORMAT(t, "[]", "[%.0d]", 0);
	EXPECT_FORMAT(t, "[abc]", "[%.3s]", "abcdef");
	EXPECT_FORMAT(t, "[  abc]", "[%*.*s]", 5, 3, "abcdef");
	EXPECT_FORMAT(t, "[abcdef]", "[%.*s]", -1, "abcdef");
}

/* What the compiler warns of, rightly: not to be checked by it. */
static int (*volatile format_unchecked)(char *, size_t, const char *, ...) = format;

KTEST(lib_format, precision_beats_the_zero_flag)
{
	char buffer[32];

	format_unchecked(buffer, sizeof(buffer), "[%08.5d]", 42);
	EXPECT_STR(t, buffer, "[   00042]");
}

KTEST(lib_format, strings_and_letters)
{
	EXPECT_FORMAT(t, "[  hi] [hi  ]", "[%4s] [%-4s]", "hi", "hi");
	EXPECT_FORMAT(t, "[x] [  x]", "[%c] [%3c]", 'x', 'x');
	EXPECT_FORMAT(t, "100%", "%d%%", 100);
	EXPECT_FORMAT(t, "0xffff800000001000", "%p", (void *)0xffff800000001000ul);
}

KTEST(lib_format, null_string_is_shown)
{
	const char *volatile none = NULL;

	EXPECT_FORMAT(t, "(null)", "%s", none);
}

KTEST(lib_format, precision_keeps_within_an_unended_string)
{
	const char three[3] = {'a', 'b', 'c'};

	EXPECT_FORMAT(t, "abc", "%.3s", three);
}

KTEST(lib_format, unknown_conversions_are_copied)
{
	char buffer[32];

	format_unchecked(buffer, sizeof(buffer), "a %q b %");
	EXPECT_STR(t, buffer, "a %q b %");
}

KTEST(lib_format, cutting_keeps_the_nul_and_tells_the_length)
{
	char buffer[8] = "zzzzzzz";

	EXPECT_EQ(t, format(buffer, 5, "%s-%d", "abc", 123), 7);
	EXPECT_STR(t, buffer, "abc-");
	EXPECT_EQ(t, buffer[5], 'z');
	EXPECT_EQ(t, format(buffer, 0, "%d", 12345), 5);
	EXPECT_EQ(t, buffer[0], 'a');
	EXPECT_EQ(t, format(NULL, 0, "%d", 12345), 5);
}

KTEST(lib_format, long_texts_reach_the_sink_whole)
{
	static char buffer[2048];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	sink_printf(&text.sink, "%300s|%-300s|%0*d|", "right", "left", 400, 7);
	EXPECT_EQ(t, text.length, 300u + 300 + 400 + 3);
	EXPECT(t, !text.cut);
	EXPECT_EQ(t, strlen(buffer), text.length);
	EXPECT(t, strncmp(buffer + 295, "right|left ", 11) == 0);
	EXPECT_STR(t, buffer + 1000, "07|");

	text_init(&text, buffer, 600);
	sink_printf(&text.sink, "%700d", 1);
	sink_write(&text.sink, "more", 4);
	EXPECT_EQ(t, text.length, 599u);
	EXPECT(t, text.cut);
	EXPECT_EQ(t, strlen(buffer), 599u);
}
