/*
 * /proc/sys/vm: the settings of watermarks, per-CPU lists and policies, with Linux's names and ranges.
 */
#include "kernel/vfile.h"
#include "lib/errno.h"
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

/* 0: by the zones' size. Else 1/fraction of a zone at most on each CPU's list of single pages. */
static void fraction_changed(struct vfile_int *setting)
{
	for_each_zone(zone) pcp_set_high(zone, (uint64_t)setting->value);
}

static struct vfile_int high_fraction = {.min = 0, .max = 1 << 20, .changed = fraction_changed};

static const struct {
	const char *path;
	struct vfile_int *setting;
} settings[] = {
	{"/proc/sys/vm/min_free_kbytes", &min_free_kbytes},
	{"/proc/sys/vm/watermark_scale_factor", &scale_factor},
	{"/proc/sys/vm/watermark_boost_factor", &boost_factor},
	{"/proc/sys/vm/percpu_pagelist_high_fraction", &high_fraction},
};

int memory_sysctls_init(void)
{
	int error = frag_policy_files_init();

	min_free_kbytes.value = (int64_t)watermark_settings.min_free_kbytes;
	for (size_t at = 0; at < ARRAY_SIZE(settings) && !error; at++)
		error = vfile_add_int(settings[at].path, settings[at].setting);
	return error ? error : page_hinting_files_init();
}
