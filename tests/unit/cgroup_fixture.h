/*
 * For tests of groups: the tree as it is in this build, threads in groups, files by key.
 */
#pragma once

#include "cgroup/gpu.h"
#include "kernel/ktest.h"

#define ROOT CGROUP_ROOT_PATH

/* Groups with all controllers of this build, once; in the guest they are there since boot. */
int ensure_cgroups(void) MUST_CHECK;
/* Makes a group, removed at the end of the test; @path is not copied. */
int new_group(struct ktest *t, const char *path) MUST_CHECK;
/* Runs @run in a thread of its own in @group; what it returned. */
int run_in_group(const char *group, int (*run)(void *argument), void *argument);
/* A counted reference to the gpu controller's part of a group. */
struct gpucg *group_at(const char *path);
/* A file's text, until the next call; "(error)". */
const char *file(const char *path);
/* The value behind @bucket in a flat keyed file, until the next call; "(none)". */
const char *value(const char *path, const char *bucket);
int write_file(const char *path, const char *text) MUST_CHECK;

/* What a group's file says of a bucket; anything will do where there is no controller. */
#define EXPECT_FILE(t, path, bucket, text)                        \
	do {                                                      \
		if (css_root(CGROUP_GPU))                         \
			EXPECT_STR(t, value(path, bucket), text); \
	} while (0)
