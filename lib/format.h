/*
 * Formatted text, in memory and into sinks.
 *
 * Conversions: %d %i %u %x %X %o %c %s %p %% with l, ll, z, h, hh; flags 0 - + space #; width and precision, * too.
 * No floating point. NULL for %s prints "(null)". Both worlds use this code, so output is equal everywhere.
 */
#pragma once

#include <stdarg.h>

#include "lib/compiler.h"

/*
 * Writes at most @size bytes including the NUL (none if @size is 0).
 * Returns the length that the whole text has, so a result >= @size says it was cut.
 */
int format(char *buffer, size_t size, const char *fmt, ...) PRINTF(3, 4);
int format_v(char *buffer, size_t size, const char *fmt, va_list args) PRINTF(3, 0);

/* Somewhere text goes: the console, a buffer, a file being read. */
struct sink {
	void (*write)(struct sink *sink, const char *text, size_t length);
};

void sink_write(struct sink *sink, const char *text, size_t length);
/* Text of any length: formatted piecewise, never cut. */
void sink_printf(struct sink *sink, const char *fmt, ...) PRINTF(2, 3);
void sink_printf_v(struct sink *sink, const char *fmt, va_list args) PRINTF(2, 0);

/* A sink over a fixed buffer: always NUL-terminated; @cut says that text was lost. */
struct text {
	struct sink sink;
	char *buffer;
	size_t size, length;
	bool cut;
};

void text_init(struct text *text, char *buffer, size_t size);
