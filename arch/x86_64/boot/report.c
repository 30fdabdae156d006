/*
 * What the boot path found, for people: one line, and a warning for each complaint.
 */
#include "arch/x86_64/platform.h"

#include "kernel/printk.h"
#include "lib/string.h"

/* The whole line is in /proc/cmdline; the serial line is slow. */
#define CMDLINE_SHOWN 120

void boot_report(const struct boot_info *info)
{
	const char *line = info->complaints, *end;

	pr_info("boot: %s, %llu MiB usable in %zu ranges, RSDP 0x%llx, \"%.*s\"%s", info->source,
		(unsigned long long)(boot_info_usable_bytes(info) >> 20), info->nr_ranges,
		(unsigned long long)info->rsdp, CMDLINE_SHOWN, info->cmdline,
		strnlen(info->cmdline, CMDLINE_SHOWN + 1) > CMDLINE_SHOWN ? "..." : "");
	for (; (end = strchr(line, '\n')); line = end + 1)
		pr_warn("boot: %.*s", (int)(end - line), line);
}
