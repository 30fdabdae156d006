/*
 * Names for addresses: of functions, of their insides, of what is no function.
 */
#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "lib/string.h"

/* "name+0x<offset>/0x<size>" */
static bool names(const char *text, const char *name, const char *offset)
{
	return string_starts(text, name) && string_starts(text + strlen(name), offset) &&
	       text[strlen(name) + strlen(offset)] == '/';
}

KTEST(symbols, an_address_in_a_function_has_its_name)
{
	char text[96];
	uint64_t at = (uint64_t)(uintptr_t)symbol_format;

	EXPECT(t, names(symbol_format(text, sizeof(text), at), "symbol_format", "+0x0"));
	EXPECT(t, names(symbol_format(text, sizeof(text), at + 5), "symbol_format", "+0x5"));
	EXPECT(t, !string_starts(symbol_format(text, sizeof(text), at - 1), "symbol_format"));
}

KTEST(symbols, other_addresses_stay_numbers)
{
	static int variable;
	char text[96], small[8];

	EXPECT_STR(t, symbol_format(text, sizeof(text), 0), "0x0");
	EXPECT_STR(t, symbol_format(text, sizeof(text), 0x1234), "0x1234");
	EXPECT_STR(t, symbol_format(text, sizeof(text), 0xffff800000001000ul), "0xffff800000001000");
	EXPECT_STR(t, symbol_format(text, sizeof(text), UINT64_MAX), "0xffffffffffffffff");
	EXPECT(t, string_starts(symbol_format(text, sizeof(text), (uint64_t)(uintptr_t)&variable), "0x"));
	EXPECT_EQ(t, strlen(symbol_format(small, sizeof(small), (uint64_t)(uintptr_t)symbol_format)), 7u);
}

NOINLINE static void show_chain(struct sink *out)
{
	backtrace_show(out, 0);
}

KTEST(symbols, a_backtrace_names_its_callers)
{
	char text[2048];
	struct text out;

	text_init(&out, text, sizeof(text));
	show_chain(&out.sink);
	EXPECT(t, strstr(text, "show_chain+0x") != NULL);
	EXPECT(t, strstr(text, "ktest_run+0x") != NULL);
}
