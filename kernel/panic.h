/*
 * The end: panic and assertions.
 *
 * A panic stops all other CPUs, prints the reason, the failing CPU's backtrace with symbols and what every other CPU
 * was doing, and leaves QEMU with status 37 (isa-debug-exit); without that device it halts. In the hosted build
 * it prints and aborts. A second panic while panicking prints one line and ends at once.
 */
#pragma once

#include "lib/compiler.h"
#include "lib/format.h"

void panic(const char *fmt, ...) NORETURN PRINTF(1, 2);

/* For programmer errors only; device and user data are checked and refused instead. Says what was expected. */
#define ASSERT(condition, ...)                                                            \
	do {                                                                              \
		if (unlikely(!(condition)))                                               \
			assertion_failed(#condition, __FILE__, __LINE__, "" __VA_ARGS__); \
	} while (0)

/* As ASSERT, in debug builds; elsewhere the condition is not evaluated. For checks on hot paths. */
#ifdef BALLONET_DEBUG
#define DEBUG_ASSERT(...) ASSERT(__VA_ARGS__)
#else
#define DEBUG_ASSERT(condition, ...) ((void)sizeof(!(condition)))
#endif

void assertion_failed(const char *condition, const char *file, int line, const char *fmt, ...) NORETURN PRINTF(4, 5);

/* A warning with a backtrace, once per place; the kernel goes on. For what is wrong but harmless. */
#define WARN_ONCE(condition, ...)                                                \
	({                                                                       \
		static bool _warned;                                             \
		bool _wrong = !!(condition);                                     \
		if (unlikely(_wrong && !_warned)) {                              \
			_warned = true;                                          \
			warn_with_backtrace(__FILE__, __LINE__, "" __VA_ARGS__); \
		}                                                                \
		unlikely(_wrong);                                                \
	})
void warn_with_backtrace(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);

/* True from the first panic on: locks are ignored, nothing sleeps. */
bool panicking(void);

/* "name+0x12/0x40" for an address in the kernel; "0x..." for another. Returns @buffer. */
char *symbol_format(char *buffer, size_t size, uint64_t address);
/* Prints the calling chain of here, or of the frame pointer given (0: here). */
void backtrace_show(struct sink *out, uint64_t frame_pointer);
