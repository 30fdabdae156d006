/*
 * String helpers that no C library has under these names; both worlds.
 */
#include "lib/errno.h"
#include "lib/string.h"

long string_copy(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size);
	bool cut = length == size;

	if (cut)
		length = size - 1;
	memcpy(to, from, length);
	to[length] = '\0';
	return cut ? -E2BIG : (long)length;
}

bool string_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}
