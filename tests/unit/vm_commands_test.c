/*
 * The shell's `mm`, and page structures for frames that are no RAM.
 */
#include "kernel/shell.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/vm/device.h"
#include "mm/vm/page.h"
#include "tests/unit/vm_fixture.h"

static char output[4096];

/* Status of "mm <line>"; what it said is in output. */
static int mm_line(const char *fmt, ...)
{
	char line[160] = "mm ";
	struct text text;
	va_list args;

	va_start(args, fmt);
	format_v(line + 3, sizeof(line) - 3, fmt, args);
	va_end(args);
	text_init(&text, output, sizeof(output));
	return shell_run_line(&text.sink, line);
}

static uint64_t said_number(void)
{
	uint64_t value = 0;

	for (const char *at = output + (string_starts(output, "0x") ? 2 : 0); *at && *at != '\n'; at++)
		value = value * (output[1] == 'x' ? 16 : 10) + (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
	return value;
}

KTEST(vm_commands, a_space_lives_from_new_to_end)
{
	uint64_t before = anon_pages(), first, second, at;

	EXPECT_EQ(t, mm_line("show"), 1);
	EXPECT(t, strstr(output, "lives in no address space"));
	EXPECT_OK(t, mm_line("new"));
	first = said_number();
	EXPECT_OK(t, mm_line("map anon 64K"));
	at = said_number();
	EXPECT_OK(t, mm_line("write 0x%lx 5 salut", at + PAGE_SIZE));
	EXPECT_OK(t, mm_line("read 0x%lx 5", at + PAGE_SIZE));
	EXPECT(t, strstr(output, "salut"));
	EXPECT_OK(t, mm_line("touch 0x%lx 8K", at + 2 * PAGE_SIZE));
	EXPECT_OK(t, mm_line("show"));
	EXPECT(t, strstr(output, "anon 1 zero 2 writable 1 of 16 pages"));
	EXPECT_OK(t, mm_line("fork"));
	second = said_number();
	EXPECT_OK(t, mm_line("write 0x%lx 5 adieu", at + PAGE_SIZE));
	EXPECT_OK(t, mm_line("use %lu", second));
	EXPECT_OK(t, mm_line("end %lu", first));
	EXPECT_OK(t, mm_line("read 0x%lx 5", at + PAGE_SIZE));
	EXPECT(t, strstr(output, "salut"));
	EXPECT_OK(t, mm_line("check"));
	EXPECT_OK(t, mm_line("end %lu", second));
	EXPECT_EQ(t, mm_line("use %lu", second), 1);
	EXPECT(t, !mm_current());
	EXPECT_EQ(t, anon_pages(), before);
}

KTEST(vm_commands, a_walk_ends_at_page_and_owner)
{
	uint64_t at, id;

	EXPECT_OK(t, mm_line("new"));
	id = said_number();
	EXPECT_OK(t, mm_line("map anon 4M huge @0x200000000000"));
	at = said_number();
	EXPECT_EQ(t, at, 0x200000000000ul);
	EXPECT_OK(t, mm_line("walk 0x%lx", at));
	EXPECT(t, strstr(output, "nothing"));
	EXPECT_OK(t, mm_line("touch 0x%lx 4K", at));
	EXPECT_OK(t, mm_line("walk 0x%lx", at));
	EXPECT(t, strstr(output, "the zero page"));
	EXPECT_OK(t, mm_line("write 0x%lx 1 x", at));
	EXPECT_OK(t, mm_line("walk 0x%lx", at));
	EXPECT(t, strstr(output, "pte   0") && strstr(output, "1 references, 1 entries, flags:") &&
			  strstr(output, "the family of this space, 1 of them"));
	EXPECT_OK(t, mm_line("pin 0x%lx", at));
	EXPECT_OK(t, mm_line("walk 0x%lx", at));
	EXPECT(t, strstr(output, "pinned"));
	EXPECT_OK(t, mm_line("end %lu", id)); /* and with it the pin */
}

KTEST(vm_commands, rights_taken_away_are_missed)
{
	uint64_t at, id;

	EXPECT_OK(t, mm_line("new"));
	id = said_number();
	EXPECT_OK(t, mm_line("map anon 8K"));
	at = said_number();
	EXPECT_OK(t, mm_line("write 0x%lx 8K pattern", at));
	EXPECT_OK(t, mm_line("protect 0x%lx 4K r", at));
	EXPECT_EQ(t, mm_line("write 0x%lx 1 x", at), 1);
	EXPECT_OK(t, mm_line("read 0x%lx", at));
	EXPECT_EQ(t, mm_line("migrate 0x%lx 8K %u", at, memory.nr_nodes), 1); /* there is no such node */
	EXPECT(t, strstr(output, "was expected"));
	EXPECT_OK(t, mm_line("protect 0x%lx 4K none", at));
	EXPECT_EQ(t, mm_line("read 0x%lx", at), 1);
	EXPECT_OK(t, mm_line("write 0x%lx 1 x", at + PAGE_SIZE));
	EXPECT_OK(t, mm_line("unmap 0x%lx 4K", at));
	EXPECT_EQ(t, mm_line("walk 0x%lx", at), 1);
	EXPECT_OK(t, mm_line("madvise 0x%lx 4K dontneed", at + PAGE_SIZE));
	EXPECT_OK(t, mm_line("read 0x%lx 1", at + PAGE_SIZE));
	EXPECT(t, strstr(output, ": 00"));
	EXPECT_OK(t, mm_line("end %lu", id));
}

KTEST(vm_commands, frames_that_are_no_ram_get_page_structures)
{
	const uint64_t first = (GIB(60) >> PAGE_SHIFT) + 7;

	REQUIRE(t, !pfn_valid(first));
	EXPECT_OK(t, page_structs_add(first, 200));
	for (uint64_t i = 0; i < 200; i++)
		pfn_to_page(first + i)->private = i;
	EXPECT_OK(t, page_structs_add(first + 100, 300)); /* what is there stays */
	for (uint64_t i = 0; i < 200; i++)
		EXPECT_EQ(t, pfn_to_page(first + i)->private, i);
	pfn_to_page(first + 399)->private = 1;
	EXPECT_EQ(t, page_structs_add(1ul << 38, 1), -ERANGE);
	EXPECT_EQ(t, page_structs_add(first, 1ul << 38), -ERANGE);
	EXPECT_OK(t, memory_check());
}
