/*
 * The standard memory and string functions for the guest; the compiler calls the first four by itself.
 *
 * The emulator decides what is fast here: moving words in a loop beats "rep movsq" by far, yet "rep stosq" is
 * the fastest way to clear, and every "rep ...b" is slow. Words may be unaligned; the CPU allows it. The
 * pragma keeps the compiler from recognising memset() inside memset() and calling itself.
 */
#include "lib/string.h"

#pragma GCC optimize("no-tree-loop-distribute-patterns")

/* Under the address sanitizer the whole range is checked at once, not each access: its run-time's own
 * functions. */
#ifdef BALLONET_KASAN
void __asan_loadN_noabort(uint64_t address, uint64_t bytes);
void __asan_storeN_noabort(uint64_t address, uint64_t bytes);
#define CHECK_READ(from, bytes) __asan_loadN_noabort((uint64_t)(from), (bytes))
#define CHECK_WRITE(to, bytes)	__asan_storeN_noabort((uint64_t)(to), (bytes))
#else
#define CHECK_READ(from, bytes) ((void)0)
#define CHECK_WRITE(to, bytes)	((void)0)
#endif

/* Below this the set-up of "rep stosq" costs more than it saves. */
#define SMALL_BYTES 64

/* Words at any address, of any type. */
struct unaligned_word {
	uint64_t value;
} PACKED __attribute__((may_alias));

static inline uint64_t word_load(const char *from)
{
	return ((const struct unaligned_word *)from)->value;
}

static inline void word_store(char *to, uint64_t value)
{
	((struct unaligned_word *)to)->value = value;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	char *out = to;
	const char *in = from;

	CHECK_READ(from, bytes);
	CHECK_WRITE(to, bytes);
	for (; bytes >= 32; bytes -= 32, out += 32, in += 32) {
		uint64_t a = word_load(in), b = word_load(in + 8);
		uint64_t c = word_load(in + 16), d = word_load(in + 24);

		word_store(out, a);
		word_store(out + 8, b);
		word_store(out + 16, c);
		word_store(out + 24, d);
	}
	for (; bytes >= 8; bytes -= 8, out += 8, in += 8)
		word_store(out, word_load(in));
	for (; bytes; bytes--)
		*out++ = *in++;
	return to;
}

static void copy_backwards(char *out, const char *in, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8)
		word_store(out + bytes - 8, word_load(in + bytes - 8));
	for (; bytes; bytes--)
		out[bytes - 1] = in[bytes - 1];
}

static void copy_forwards(char *out, const char *in, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8, out += 8, in += 8)
		word_store(out, word_load(in));
	for (; bytes; bytes--)
		*out++ = *in++;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	CHECK_READ(from, bytes);
	CHECK_WRITE(to, bytes);
	/* Unsigned: also true if @to is below @from. A word is read before it is overwritten either way. */
	if ((uintptr_t)to - (uintptr_t)from >= bytes)
		copy_forwards(to, from, bytes);
	else
		copy_backwards(to, from, bytes);
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
	uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;
	char *out = to;

	CHECK_WRITE(to, bytes);
	if (bytes >= SMALL_BYTES) {
		size_t words = bytes / 8;

		bytes %= 8;
		__asm__ volatile("rep stosq" : "+D"(out), "+c"(words) : "a"(pattern) : "memory");
	}
	for (; bytes >= 8; bytes -= 8, out += 8)
		word_store(out, pattern);
	for (; bytes; bytes--)
		*out++ = (char)pattern;
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const char *left = a, *right = b;

	CHECK_READ(a, bytes);
	CHECK_READ(b, bytes);
	for (; bytes >= 8 && word_load(left) == word_load(right); bytes -= 8, left += 8, right += 8)
		;
	for (; bytes; bytes--, left++, right++)
		if (*left != *right)
			return (uint8_t)*left - (uint8_t)*right;
	return 0;
}

void *memchr(const void *in, int byte, size_t bytes)
{
	const uint8_t *at = in;

	for (; bytes; bytes--, at++)
		if (*at == (uint8_t)byte)
			return (void *)at;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t length = 0;

	while (s[length])
		length++;
	return length;
}

size_t strnlen(const char *s, size_t most)
{
	size_t length = 0;

	while (length < most && s[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t most)
{
	for (; most; most--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do
		if (*s == (char)c)
			last = s;
	while (*s++);
	return (char *)last;
}

char *strstr(const char *in, const char *what)
{
	size_t length = strlen(what);

	for (; strncmp(in, what, length) != 0; in++)
		if (!*in)
			return NULL;
	return (char *)in;
}
