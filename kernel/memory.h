/*
 * What kernel/, arch/ and drivers need of memory, provided by mm/ (mm/kmalloc.c) in the guest and by the C library
 * in the hosted build (with fault injection, see tests/host/).
 */
#pragma once

#include "lib/compiler.h"

/* At least 16-byte aligned, not cleared; NULL if there is none. May sleep; not from interrupts. @bytes up to 4 MiB. */
void *kmalloc(size_t bytes) MUST_CHECK;
void *kzalloc(size_t bytes) MUST_CHECK;
/* Never sleeps (callers that hold spin locks). */
void *kmalloc_atomic(size_t bytes) MUST_CHECK;
/* NULL is fine. May be called with spin locks held, not from interrupts. */
void kfree(void *memory);
char *kstrdup(const char *s) MUST_CHECK;
