/*
 * Words for the compiler, and the few arithmetic helpers that every file needs.
 * Pure macros: no state, no dependency, both worlds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK	__attribute__((warn_unused_result))
#define PRINTF(fmt, at) __attribute__((format(printf, fmt, at)))
#define NORETURN	__attribute__((noreturn))
#define NOINLINE	__attribute__((noinline))
#define ALWAYS_INLINE	inline __attribute__((always_inline))
#define ALIGNED(n)	__attribute__((aligned(n)))
#define PACKED		__attribute__((packed))
#define USED		__attribute__((used))
#define UNUSED		__attribute__((unused))
/* For what reads memory that others write to, and can bear it. */
#define NO_THREAD_SANITIZER __attribute__((no_sanitize("thread")))
#define WEAK		    __attribute__((weak))
/* Puts a pointer into a registration table; @name must be a C identifier (see linker.ld). */
#define TABLE_ENTRY(name) __attribute__((used, section(#name)))

#define CACHE_LINE_BYTES   64
#define CACHE_LINE_ALIGNED ALIGNED(CACHE_LINE_BYTES)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define BIT(n)				(1ul << (n))
#define DIV_ROUND_UP(n, d)		(((n) + (d)-1) / (d))

/* @to is a power of two. */
#define ALIGN_UP(x, to)	  (((x) + ((__typeof__(x))(to)-1)) & ~((__typeof__(x))(to)-1))
#define ALIGN_DOWN(x, to) ((x) & ~((__typeof__(x))(to)-1))
#define IS_ALIGNED(x, to) (((x) & ((__typeof__(x))(to)-1)) == 0)

#define MIN(a, b)                       \
	({                              \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a < _b ? _a : _b;      \
	})
#define MAX(a, b)                       \
	({                              \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a > _b ? _a : _b;      \
	})

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* One access, not torn, not repeated, not fused by the compiler. */
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#define barrier() __asm__ volatile("" ::: "memory")
