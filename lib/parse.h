/*
 * Reading what people and machines write: numbers, sizes, words, patterns. Strict: rubbish behind a number is an error.
 * All return 0 or -EINVAL (not of the form) or -ERANGE (does not fit); *@value changes only on success.
 */
#pragma once

#include "lib/compiler.h"

/* Decimal, 0x hexadecimal. */
int parse_u64(const char *text, uint64_t *value) MUST_CHECK;
int parse_i64(const char *text, int64_t *value) MUST_CHECK;
/* As parse_u64, with an optional K, M, G or T (powers of 1024, either case). */
int parse_size(const char *text, uint64_t *bytes) MUST_CHECK;
/* 1 y Y yes on true / 0 n N no off false. */
int parse_bool(const char *text, bool *value) MUST_CHECK;

/*
 * Cuts the next word off *@rest (in place: a NUL is written behind it), or NULL if none is left.
 * Words are separated by blanks; "double quotes" keep blanks together and are removed.
 */
char *parse_word(char **rest);

/* Shell patterns: * ? [a-z] [!a-z]; several patterns separated by commas match if one does. */
bool glob_match(const char *pattern, const char *text);
