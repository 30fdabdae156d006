/*
 * The address sanitizer (MODE=kasan; empty calls elsewhere): every access that the compiler sees asks a shadow byte
 * whether its eight bytes may be touched. Bad ones end in a panic that says what was touched and how it was poisoned.
 *
 * Allocators poison what they hold and unpoison what they hand out. Only the direct map of RAM and the kernel image
 * have a shadow; accesses elsewhere (stacks, devices, page structures) are not checked.
 * No locking: a range is poisoned and unpoisoned by whoever owns it.
 */
#pragma once

#include "lib/compiler.h"

/* Why bytes may not be touched; shown in the panic. Values 1..7 mean: only that many first bytes of the eight. */
#define KASAN_FREE_PAGE	  0xff /* on a free list of the page allocator */
#define KASAN_FREE_OBJECT 0xfb /* freed slab object */
#define KASAN_REDZONE	  0xfc /* between slab objects, behind an object's requested bytes */
#define KASAN_GLOBAL	  0xf9 /* behind a global variable */

struct boot_info;

#ifdef BALLONET_KASAN
/*
 * Maps a shadow for all RAM and the image, all bytes accessible, registers global variables, and begins checking.
 * Called once, after paging_init(); @alloc is the same. Panics if there is no memory for it (an eighth of RAM).
 */
void kasan_init(const struct boot_info *info, uint64_t (*alloc)(uint64_t bytes, uint64_t align));
/*
 * [@start, @start + @bytes): @start is 8-byte aligned. Poisoning rounds @bytes up to 8; unpoisoning is exact, the rest
 * of the last eight bytes stays closed. Without effect before kasan_init() and outside the shadow.
 */
void kasan_poison(const void *start, size_t bytes, uint8_t why);
void kasan_unpoison(const void *start, size_t bytes);
/* Panics unless all bytes may be touched; for accesses that the compiler does not see (assembly, devices). */
void kasan_check(const void *start, size_t bytes, bool write);
/* False if an access to any of the bytes would be reported. */
bool kasan_allows(const void *start, size_t bytes);
#else
static inline bool kasan_allows(const void *start UNUSED, size_t bytes UNUSED)
{
	return true;
}
static inline void kasan_init(const struct boot_info *info UNUSED, uint64_t (*alloc)(uint64_t, uint64_t) UNUSED)
{
}
static inline void kasan_poison(const void *start UNUSED, size_t bytes UNUSED, uint8_t why UNUSED)
{
}
static inline void kasan_unpoison(const void *start UNUSED, size_t bytes UNUSED)
{
}
static inline void kasan_check(const void *start UNUSED, size_t bytes UNUSED, bool write UNUSED)
{
}
#endif
