/*
 * Strict readers. Each reads the whole text or refuses it; nothing is changed unless all of it was good.
 */
#include "lib/parse.h"

#include "lib/errno.h"
#include "lib/string.h"

/* The value of a digit in any base up to 16, or 16. */
static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

/* Reads as many digits as there are, at least one; *@rest is what follows. */
static int read_digits(const char *text, uint64_t *value, const char **rest)
{
	unsigned int base = 10, digit;
	uint64_t sum = 0;
	const char *at = text;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		at = text += 2;
	}
	for (; (digit = digit_value(*at)) < base; at++)
		if (__builtin_mul_overflow(sum, base, &sum) || __builtin_add_overflow(sum, digit, &sum))
			return -ERANGE;
	if (at == text)
		return -EINVAL;
	*value = sum;
	*rest = at;
	return 0;
}

int parse_u64(const char *text, uint64_t *value)
{
	const char *rest;
	uint64_t read;
	int error = read_digits(text, &read, &rest);

	if (error)
		return error;
	if (*rest)
		return -EINVAL;
	*value = read;
	return 0;
}

int parse_i64(const char *text, int64_t *value)
{
	bool negative = text[0] == '-';
	uint64_t magnitude, limit = (uint64_t)INT64_MAX + negative;
	int error = parse_u64(text + negative, &magnitude);

	if (error)
		return error;
	if (magnitude > limit)
		return -ERANGE;
	*value = (int64_t)(negative ? 0 - magnitude : magnitude);
	return 0;
}

/* The power of two behind a unit letter, or -1. */
static int unit_shift(char unit)
{
	const char *units = "kKmMgGtT";
	const char *at = unit ? strchr(units, unit) : NULL;

	return at ? 10 * ((int)(at - units) / 2 + 1) : -1;
}

int parse_size(const char *text, uint64_t *bytes)
{
	const char *rest;
	uint64_t number;
	int shift = 0;
	int error = read_digits(text, &number, &rest);

	if (error)
		return error;
	if (*rest) {
		shift = unit_shift(*rest);
		if (shift < 0 || rest[1])
			return -EINVAL;
	}
	if (number > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = number << shift;
	return 0;
}

int parse_bool(const char *text, bool *value)
{
	static const char *const yes[] = {"1", "y", "Y", "yes", "on", "true"};
	static const char *const no[] = {"0", "n", "N", "no", "off", "false"};

	_Static_assert(ARRAY_SIZE(yes) == ARRAY_SIZE(no), "words come in pairs");
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool is_yes = strcmp(text, yes[i]) == 0;

		if (is_yes || strcmp(text, no[i]) == 0) {
			*value = is_yes;
			return 0;
		}
	}
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char *parse_word(char **rest)
{
	char *from = *rest, *to, *word;
	bool quoted = false;

	while (is_blank(*from))
		from++;
	if (!*from) {
		*rest = from;
		return NULL;
	}
	/* Quotes vanish, so the word may shrink: what is kept moves down to @to. */
	for (word = to = from; *from && (quoted || !is_blank(*from)); from++) {
		if (*from == '"')
			quoted = !quoted;
		else
			*to++ = *from;
	}
	*rest = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

/*
 * Matches @c against the class behind "[" at @at; *@rest is what follows the class. An unclosed one is taken
 * as the letter "[" itself.
 */
static bool class_match(const char *at, const char *end, char c, const char **rest)
{
	const char *member = at + 1;
	bool inverted = member < end && *member == '!';
	bool found = false;

	member += inverted;
	/* "]" in the first place is a member. */
	for (const char *first = member; member < end && (*member != ']' || member == first); member++) {
		if (member + 2 < end && member[1] == '-' && member[2] != ']') {
			found |= member[0] <= c && c <= member[2];
			member += 2;
		} else {
			found |= *member == c;
		}
	}
	if (member >= end) {
		*rest = at + 1;
		return c == '[';
	}
	*rest = member + 1;
	return found != inverted;
}

static bool one_match(const char *at, const char *end, char c, const char **rest)
{
	if (*at == '[')
		return class_match(at, end, c, rest);
	*rest = at + 1;
	return *at == '?' || *at == c;
}

/* A mismatch behind a "*" lets that star take one letter more; earlier stars need not be tried again. */
static bool pattern_match(const char *at, const char *end, const char *text)
{
	const char *star = NULL, *star_text = NULL;

	while (*text) {
		const char *rest;

		if (at < end && *at == '*') {
			star = ++at;
			star_text = text;
		} else if (at < end && one_match(at, end, *text, &rest)) {
			at = rest;
			text++;
		} else if (star) {
			at = star;
			text = ++star_text;
		} else {
			return false;
		}
	}
	while (at < end && *at == '*')
		at++;
	return at == end;
}

bool glob_match(const char *pattern, const char *text)
{
	for (;;) {
		const char *end = pattern;

		while (*end && *end != ',')
			end++;
		if (pattern_match(pattern, end, text))
			return true;
		if (!*end)
			return false;
		pattern = end + 1;
	}
}
