/*
 * Memory and strings: the standard functions (the C library's in the hosted build, lib/string.c in the guest)
 * and a few of ours for both.
 */
#pragma once

#include "lib/compiler.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
void *memchr(const void *in, int byte, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t most);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *in, const char *what);

/* Copies with a NUL always; the length copied, or -E2BIG if @from was cut. @size > 0. */
long string_copy(char *to, const char *from, size_t size);
bool string_starts(const char *s, const char *prefix);
