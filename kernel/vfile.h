/*
 * Virtual files: a tree of names; a file is a pair of functions that make and take its text.
 *
 * Paths are absolute ("/proc/vmstat"); missing parent directories are made. Reading calls show(), which may sleep and
 * takes whatever locks it needs; writing hands store() one NUL-terminated copy of the text without its last newline.
 * A file cannot vanish while it is being read or written: removing waits. Nothing here from interrupts.
 */
#pragma once

#include "lib/format.h"

#define VFILE_PATH_MAX	256
#define VFILE_WRITE_MAX 4096

struct vfile_ops {
	/* 0 or -errno. NULL: not readable (-EACCES). */
	int (*show)(struct sink *out, void *context);
	/* 0 or -errno, and then nothing has changed. NULL: not writable (-EACCES). @text may be modified. */
	int (*store)(void *context, char *text, size_t length);
};

/* For directories in which users may make and remove directories (cgroups). @name is one component. */
struct vdir_ops {
	int (*make)(void *context, const char *name);
	int (*remove)(void *context, const char *name);
};

/* The strings are copied, @ops and @context are not. 0, -EEXIST, -ENOTDIR, -ENAMETOOLONG, -ENOMEM, -EINVAL. */
int vfile_add(const char *path, const struct vfile_ops *ops, void *context) MUST_CHECK;
int vdir_add(const char *path, const struct vdir_ops *ops, void *context) MUST_CHECK;
/* Removes a file, or a directory with all that is below. -ENOENT. May sleep. */
int vfile_remove(const char *path);

/* What a user does. All return 0 or -errno (-ENOENT, -EISDIR, -EACCES, ...). */
int vfile_read(const char *path, struct sink *out) MUST_CHECK;
int vfile_write(const char *path, const char *text, size_t length) MUST_CHECK;
int vfile_make_dir(const char *path) MUST_CHECK;
int vfile_remove_dir(const char *path) MUST_CHECK;
/* A name a line, sorted, directories with a "/" behind. */
int vfile_list(const char *path, struct sink *out) MUST_CHECK;
/*
 * For completion: extends @path (of @size bytes) by what all existing paths beginning with it share; writes the
 * candidates, if there are several, to @out. The number of candidates.
 */
size_t vfile_complete(char *path, size_t size, struct sink *out);

/*
 * An integer as a file: range-checked (-EINVAL, one log line, unchanged), atomic, with an optional hook that runs
 * after a change. Also how sysctls and module parameters are made: paths /proc/sys/vm/<name> and
 * /sys/module/<module>/parameters/<name>, set on the command line as sysctl.vm.<name>= and <module>.<name>=.
 */
struct vfile_int {
	int64_t value, min, max;
	bool or_zero; /* 0 is fine too, though it is below min */
	void (*changed)(struct vfile_int *setting);
};
int vfile_add_int(const char *path, struct vfile_int *setting) MUST_CHECK;

/* One of several names as a file: shown as "a [b] c", written as one of them (or by unique number). */
struct vfile_choice {
	const char *const *names; /* NULL-terminated */
	uint32_t chosen;
	/* 0 or -errno; @chosen changes only if it returns 0. NULL: always. */
	int (*choose)(struct vfile_choice *choice, uint32_t which);
};
int vfile_add_choice(const char *path, struct vfile_choice *choice) MUST_CHECK;
