/*
 * The kernel command line: key=value words, from all boot paths.
 *
 * Some keys are read early by whoever needs them (cmdline_value); the rest are applied to files by cmdline_apply():
 * sysctl.a.b=v writes /proc/sys/a/b, module.param=v writes /sys/module/<module>/parameters/<param>. A key that nobody
 * took gives one warning line. Words after a "--" and "BOOT_IMAGE=" are ignored.
 */
#pragma once

#include "lib/compiler.h"

/* Keeps a copy of @text. Early: no memory is allocated. */
void cmdline_init(const char *text);
const char *cmdline_text(void);
/* The value of the last "key=value" (or "" for a bare "key"), marked as taken; NULL if absent. Quotes are removed. */
const char *cmdline_value(const char *key);
/* As above for numbers; a value that is none gives an error line and @fallback. */
uint64_t cmdline_u64(const char *key, uint64_t fallback);
bool cmdline_bool(const char *key, bool fallback);
/* Calls @each for every "key=value" with this key, in order ("virtio_mmio.device=" may come several times). */
void cmdline_each(const char *key, void (*each)(const char *value, void *context), void *context);
/* Writes sysctls and parameters, then warns about what nobody took. */
void cmdline_apply(void);
