/*
 * What the boot path found, for people: one line, and a warning for each complaint.
 */
#include "arch/x86_64/platform.h"

#include "kernel/printk.h"
#include "lib/string.h"

void boot_report(const struct boot_info *info)
{
	const char *line = info->complaints, *end;

	pr_info("boot: %s, %llu MiB usable in %zu ranges, RSDP 0x%llx, \"%s\"", info->source,
		(unsigned long long)(boot_info_usable_bytes(info) >> 20), info->nr_ranges,
		(unsigned long long)info->rsdp, info->cmdline);
	for (; (end = strchr(line, '\n')); line = end + 1)
		pr_warn("boot: %.*s", (int)(end - line), line);
}
