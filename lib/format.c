/*
 * One formatter for everything that makes text.
 *
 * A conversion is read into a struct spec, its value made into digits or taken as a string, and laid out:
 * padding, prefix, zeros, body, padding. Text is collected in a small buffer and handed to the sink in
 * pieces, so that output has no length limit and a console gets few long writes instead of many short ones. A
 * conversion that is not known is copied as it stands, so that the mistake shows.
 */
#include "lib/format.h"

#include "lib/string.h"

#define PIECE_BYTES 128

struct output {
	struct sink *sink;
	size_t total;
	size_t fill;
	char piece[PIECE_BYTES];
};

enum length { LENGTH_CHAR, LENGTH_SHORT, LENGTH_INT, LENGTH_LONG };

struct spec {
	bool left, plus, blank, alternate, zero;
	bool has_precision;
	size_t width, precision;
	enum length length;
};

static void flush(struct output *out)
{
	if (out->fill)
		sink_write(out->sink, out->piece, out->fill);
	out->fill = 0;
}

static void put(struct output *out, const char *text, size_t length)
{
	out->total += length;
	if (length > PIECE_BYTES - out->fill)
		flush(out);
	if (length >= PIECE_BYTES) {
		sink_write(out->sink, text, length);
		return;
	}
	memcpy(out->piece + out->fill, text, length);
	out->fill += length;
}

static void put_many(struct output *out, char c, size_t count)
{
	out->total += count;
	for (; count; count--) {
		if (out->fill == PIECE_BYTES)
			flush(out);
		out->piece[out->fill++] = c;
	}
}

/* Blanks, @prefix, @zeros zeros, @body, blanks: at least spec->width together. */
static void lay_out(struct output *out, const struct spec *spec, const char *prefix, size_t zeros, const char *body,
		    size_t length)
{
	size_t prefix_length = strlen(prefix);
	size_t content = prefix_length + zeros + length;
	size_t padding = spec->width > content ? spec->width - content : 0;

	if (spec->zero && !spec->left) {
		zeros += padding;
		padding = 0;
	}
	if (!spec->left)
		put_many(out, ' ', padding);
	put(out, prefix, prefix_length);
	put_many(out, '0', zeros);
	put(out, body, length);
	if (spec->left)
		put_many(out, ' ', padding);
}

/* Writes the digits of @value so that they end before @end; the first digit. Nothing for 0. */
static char *digits_before(char *end, uint64_t value, unsigned int base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	for (; value; value /= base)
		*--end = digits[value % base];
	return end;
}

static void put_number(struct output *out, struct spec *spec, uint64_t value, unsigned int base, bool upper,
		       const char *prefix)
{
	char buffer[24]; /* 64 bits in octal are 22 digits */
	char *end = buffer + sizeof(buffer);
	char *first = digits_before(end, value, base, upper);
	size_t length = (size_t)(end - first);
	size_t least = spec->has_precision ? spec->precision : 1;

	if (spec->has_precision)
		spec->zero = false;
	if (base == 8 && spec->alternate && least <= length)
		least = length + 1;
	lay_out(out, spec, prefix, least > length ? least - length : 0, first, length);
}

static void put_signed(struct output *out, struct spec *spec, int64_t value)
{
	const char *prefix = value < 0 ? "-" : spec->plus ? "+" : spec->blank ? " " : "";
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	put_number(out, spec, magnitude, 10, false, prefix);
}

static void put_hexadecimal(struct output *out, struct spec *spec, uint64_t value, bool upper)
{
	const char *prefix = !spec->alternate || value == 0 ? "" : upper ? "0X" : "0x";

	put_number(out, spec, value, 16, upper, prefix);
}

static void put_string(struct output *out, struct spec *spec, const char *s)
{
	if (!s)
		s = "(null)";
	spec->zero = false;
	lay_out(out, spec, "", 0, s, spec->has_precision ? strnlen(s, spec->precision) : strlen(s));
}

static int64_t take_signed(const struct spec *spec, va_list *args)
{
	switch (spec->length) {
	case LENGTH_CHAR:
		return (signed char)va_arg(*args, int);
	case LENGTH_SHORT:
		return (short)va_arg(*args, int);
	case LENGTH_INT:
		return va_arg(*args, int);
	default:
		return va_arg(*args, int64_t);
	}
}

static uint64_t take_unsigned(const struct spec *spec, va_list *args)
{
	switch (spec->length) {
	case LENGTH_CHAR:
		return (unsigned char)va_arg(*args, unsigned int);
	case LENGTH_SHORT:
		return (unsigned short)va_arg(*args, unsigned int);
	case LENGTH_INT:
		return va_arg(*args, unsigned int);
	default:
		return va_arg(*args, uint64_t);
	}
}

static const char *read_flags(const char *at, struct spec *spec)
{
	for (;; at++) {
		switch (*at) {
		case '-':
			spec->left = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->blank = true;
			break;
		case '#':
			spec->alternate = true;
			break;
		case '0':
			spec->zero = true;
			break;
		default:
			return at;
		}
	}
}

static const char *read_number(const char *at, size_t *number)
{
	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++)
		*number = *number * 10 + (size_t)(*at - '0');
	return at;
}

static const char *read_width(const char *at, struct spec *spec, va_list *args)
{
	int width;

	if (*at != '*')
		return read_number(at, &spec->width);
	width = va_arg(*args, int);
	if (width < 0)
		spec->left = true;
	spec->width = width < 0 ? 0u - (unsigned int)width : (unsigned int)width;
	return at + 1;
}

static const char *read_precision(const char *at, struct spec *spec, va_list *args)
{
	int precision;

	if (*at != '.')
		return at;
	at++;
	spec->has_precision = true;
	if (*at != '*')
		return read_number(at, &spec->precision);
	precision = va_arg(*args, int);
	/* A negative one counts as none. */
	spec->has_precision = precision >= 0;
	spec->precision = precision >= 0 ? (size_t)precision : 0;
	return at + 1;
}

static const char *read_length(const char *at, struct spec *spec)
{
	spec->length = LENGTH_INT;
	if (*at == 'h') {
		spec->length = at[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
		return at + (at[1] == 'h' ? 2 : 1);
	}
	if (*at == 'l' || *at == 'z' || *at == 'j' || *at == 't') {
		spec->length = LENGTH_LONG;
		return at + (at[0] == 'l' && at[1] == 'l' ? 2 : 1);
	}
	return at;
}

/* False if @conversion is none that we know. */
static bool convert(struct output *out, struct spec *spec, char conversion, va_list *args)
{
	char c;

	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(out, spec, take_signed(spec, args));
		return true;
	case 'u':
		put_number(out, spec, take_unsigned(spec, args), 10, false, "");
		return true;
	case 'x':
	case 'X':
		put_hexadecimal(out, spec, take_unsigned(spec, args), conversion == 'X');
		return true;
	case 'o':
		put_number(out, spec, take_unsigned(spec, args), 8, false, "");
		return true;
	case 'c':
		c = (char)va_arg(*args, int);
		spec->zero = false;
		lay_out(out, spec, "", 0, &c, 1);
		return true;
	case 's':
		put_string(out, spec, va_arg(*args, const char *));
		return true;
	case 'p':
		put_number(out, spec, (uint64_t)va_arg(*args, void *), 16, false, "0x");
		return true;
	case '%':
		put(out, "%", 1);
		return true;
	default:
		return false;
	}
}

static void format_all(struct output *out, const char *fmt, va_list *args)
{
	while (*fmt) {
		struct spec spec = {.left = false};
		const char *percent = fmt;
		const char *at;

		while (*percent && *percent != '%')
			percent++;
		put(out, fmt, (size_t)(percent - fmt));
		if (!*percent)
			return;

		at = read_flags(percent + 1, &spec);
		at = read_width(at, &spec, args);
		at = read_precision(at, &spec, args);
		at = read_length(at, &spec);
		if (*at && convert(out, &spec, *at, args))
			fmt = at + 1;
		else {
			put(out, "%", 1);
			fmt = percent + 1;
		}
	}
}

void sink_write(struct sink *sink, const char *text, size_t length)
{
	sink->write(sink, text, length);
}

static size_t sink_format(struct sink *sink, const char *fmt, va_list args)
{
	struct output out;
	va_list copy;

	out.sink = sink; /* one by one: an initialiser would clear the piece, too */
	out.total = 0;
	out.fill = 0;
	va_copy(copy, args); /* an argument list can be pointed to only where it was declared */
	format_all(&out, fmt, &copy);
	va_end(copy);
	flush(&out);
	return out.total;
}

void sink_printf_v(struct sink *sink, const char *fmt, va_list args)
{
	sink_format(sink, fmt, args);
}

void sink_printf(struct sink *sink, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	sink_printf_v(sink, fmt, args);
	va_end(args);
}

static void text_write(struct sink *sink, const char *from, size_t length)
{
	struct text *text = container_of(sink, struct text, sink);
	size_t room = text->size > text->length ? text->size - text->length - 1 : 0;

	if (length > room) {
		length = room;
		text->cut = true;
	}
	if (text->size == 0)
		return;
	memcpy(text->buffer + text->length, from, length);
	text->length += length;
	text->buffer[text->length] = '\0';
}

void text_init(struct text *text, char *buffer, size_t size)
{
	*text = (struct text){.sink = {.write = text_write}, .buffer = buffer, .size = size};
	if (size)
		buffer[0] = '\0';
}

int format_v(char *buffer, size_t size, const char *fmt, va_list args)
{
	struct text text;

	text_init(&text, buffer, size);
	return (int)sink_format(&text.sink, fmt, args);
}

int format(char *buffer, size_t size, const char *fmt, ...)
{
	va_list args;
	int length;

	va_start(args, fmt);
	length = format_v(buffer, size, fmt, args);
	va_end(args);
	return length;
}
