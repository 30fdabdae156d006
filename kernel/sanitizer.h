/*
 * The sanitizers' run-times (MODE=ubsan, MODE=kasan; kernel/sanitizer/) as tests and commands see them.
 *
 * A finding ends in a panic. With ubsan=warn on the command line, undefined behaviour is one error line with a
 * backtrace for each place in the code, and counted. Elsewhere than in those modes nothing is found or counted.
 */
#pragma once

#include "lib/compiler.h"

/* Looks at the command line; before that findings are panics. */
void ubsan_init(void);
/* Findings of undefined behaviour so far. */
uint64_t ubsan_reports(void);
/* True: findings are lines, not panics. What it was before. */
bool ubsan_set_warn(bool warn);

/*
 * Commits an error on purpose: "kasan-oob", "kasan-uaf", "kasan-global", "kasan-page", "ubsan-overflow",
 * "ubsan-bounds", "ubsan-shift". Comes back only if it was not caught: -EOPNOTSUPP if this is not the mode that would,
 * -EFAULT if it is; -EINVAL for another name, -ENOMEM.
 */
int sanitizer_seed_bug(const char *name) MUST_CHECK;
