/*
 * Names for addresses, from the table that tools/symbols.py made of the first link (sorted, behind the image).
 */
#include "kernel/panic.h"

#include "lib/string.h"

#define KERNEL_BASE 0xffffffff80000000ul

extern const uint32_t symbol_count;
extern const uint32_t symbol_offsets[], symbol_names[];
extern const char symbol_text[];

/* The last symbol at or below @offset; false if there is none. */
static bool find_symbol(uint32_t offset, uint32_t *found)
{
	uint32_t low = 0, high = symbol_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (symbol_offsets[middle] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low - 1;
	return low > 0;
}

char *symbol_format(char *buffer, size_t size, uint64_t address)
{
	uint32_t offset = (uint32_t)(address - KERNEL_BASE), index, end;

	/* The last symbol is the end of the text. */
	if (address < KERNEL_BASE || !find_symbol(offset, &index) || index + 1 == symbol_count) {
		format(buffer, size, "0x%llx", (unsigned long long)address);
		return buffer;
	}
	end = symbol_offsets[index + 1];
	if (offset - symbol_offsets[index] > 0x10000)
		format(buffer, size, "0x%llx", (unsigned long long)address);
	else
		format(buffer, size, "%s+0x%x/0x%x", symbol_text + symbol_names[index], offset - symbol_offsets[index],
		       end - symbol_offsets[index]);
	return buffer;
}
