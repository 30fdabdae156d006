/*
 * /proc/sys/vm: the settings of watermarks, per-CPU lists and policies, with Linux's names and ranges.
 */
#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/hinting.h"
#include "mm/memory.h"
#include "mm/pcp.h"
#include "mm/policy/policy.h"
#include "mm/watermark.h"

static void marks_changed(struct vfile_int *setting);

static struct vfile_int min_free_kbytes = {.min = 128, .max = 1 << 20, .changed = marks_changed};
static struct vfile_int scale_factor = {.value = 10, .min = 1, .max = 3000, .changed = marks_changed};
static struct vfile_int boost_factor = {.value = 15000, .min = 0, .max = 1000000, .changed = marks_changed};

static void marks_changed(struct vfile_int *setting UNUSED)
{
	watermark_settings.min_free_kbytes = (uint64_t)min_free_kbytes.value;
	watermark_settings.scale_factor = (uint64_t)scale_factor.value;
	WRITE_ONCE(watermark_settings.boost_factor, (uint64_t)boost_factor.value);
	watermark_set_all();
}

/* 0: by the zones' size. Else 1/fraction of a zone at most on the CPUs' lists of single pages; less than 8 is too much.
 */
static void fraction_changed(struct vfile_int *setting)
{
	for_each_zone(zone) pcp_set_high(zone, (uint64_t)setting->value);
}

static struct vfile_int high_fraction = {.min = 8, .max = 1 << 20, .or_zero = true, .changed = fraction_changed};

static const struct {
	const char *path;
	struct vfile_int *setting;
} settings[] = {
	{"/proc/sys/vm/min_free_kbytes", &min_free_kbytes},
	{"/proc/sys/vm/watermark_scale_factor", &scale_factor},
	{"/proc/sys/vm/watermark_boost_factor", &boost_factor},
	{"/proc/sys/vm/percpu_pagelist_high_fraction", &high_fraction},
};

/* ---- lowmem_reserve_ratio: a number for each type of zone that has one above ---------------------------------------
 */

#define RATIOS (NR_ZONE_TYPES - 1)

static int ratios_show(struct sink *out, void *context UNUSED)
{
	for (unsigned int type = 0; type < RATIOS; type++)
		sink_printf(out, "%s%lu", type ? "\t" : "", watermark_settings.lowmem_reserve_ratio[type]);
	sink_printf(out, "\n");
	return 0;
}

static int ratios_store(void *context UNUSED, char *text, size_t length UNUSED)
{
	uint64_t ratios[RATIOS];
	char *word = text;

	for (unsigned int type = 0; type < RATIOS; type++) {
		char *end;

		while (*word == ' ' || *word == '\t')
			word++;
		for (end = word; *end && *end != ' ' && *end != '\t'; end++)
			;
		if (*end)
			*end++ = '\0';
		if (parse_u64(word, &ratios[type]) || ratios[type] > 1 << 20) {
			pr_err("lowmem_reserve_ratio: wants %u numbers up to 1048576, 0 for no reserve: unchanged",
			       RATIOS);
			return -EINVAL;
		}
		word = end;
	}
	memcpy(watermark_settings.lowmem_reserve_ratio, ratios, sizeof(ratios));
	watermark_set_all();
	return 0;
}

static const struct vfile_ops ratios_ops = {.show = ratios_show, .store = ratios_store};

int memory_sysctls_init(void)
{
	int error = frag_policy_files_init();

	min_free_kbytes.value = (int64_t)watermark_settings.min_free_kbytes;
	for (size_t at = 0; at < ARRAY_SIZE(settings) && !error; at++)
		error = vfile_add_int(settings[at].path, settings[at].setting);
	if (!error)
		error = vfile_add("/proc/sys/vm/lowmem_reserve_ratio", &ratios_ops, NULL);
	return error ? error : page_hinting_files_init();
}
