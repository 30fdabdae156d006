/*
 * Control groups: a tree of named groups of threads, and what controllers keep per group.
 *
 * Every thread is in one group; a new one starts in its parent's. Removing a group takes it out of sight at once; its
 * structures live on until the last reference is gone (a charge holds one), so what was charged stays visible in the
 * ancestors. The interface is cgroup v2's: /sys/fs/cgroup/<path>/, mkdir and rmdir, cgroup.procs and so on.
 *
 * Locking: cgroup_mutex (cgroup.c) for the tree, memberships and files; references are atomic. May sleep unless said.
 */
#pragma once

#include "lib/format.h"
#include "lib/list.h"

struct thread;

#define CGROUP_NAME_SIZE 64
#define CGROUP_PATH_SIZE 192
#define CGROUP_ROOT_PATH "/sys/fs/cgroup"

/* Controllers by index. */
enum cgroup_subsystem { CGROUP_GPU, CGROUP_MEMORY, CGROUP_SUBSYSTEMS };

/* What a controller keeps per group begins with this. */
struct cgroup_css {
	struct cgroup *cgroup;	   /* valid as long as a reference is held */
	struct cgroup_css *parent; /* NULL at the root; kept alive by its children */
	enum cgroup_subsystem index;
	uint64_t references;
};

struct cgroup {
	char name[CGROUP_NAME_SIZE];
	struct cgroup *parent;
	struct list_node children, sibling;
	struct list_node members; /* struct cgroup_member */
	uint64_t nr_members;
	uint64_t references;			   /* one while it can be seen, one a css, one a child */
	struct cgroup_css *css[CGROUP_SUBSYSTEMS]; /* NULL: that controller is off */
	bool removed;
};

/* A controller. All calls come with cgroup_mutex held. */
struct cgroup_controller {
	const char *name;
	enum cgroup_subsystem index;
	/* A css for a new group (@parent is NULL for the root), or NULL: no memory. Itself NULL: left out of the build.
	 */
	struct cgroup_css *(*create)(struct cgroup_css *parent);
	/* Adds its files below @path. 0 or -errno. */
	int (*add_files)(struct cgroup_css *css, const char *path);
	/* @thread is about to become @to's member; -errno: it stays where it is. At most one controller has this. */
	int (*attach)(struct cgroup_css *to, struct thread *thread);
	/* The last reference is gone; perhaps without cgroup_mutex, and with spin locks held. */
	void (*destroy)(struct cgroup_css *css);
};

/*
 * Makes the root group and its files; controllers named in the comma-separated @disabled (NULL: none) are left out with
 * one line, and so are those without a create(): they are not in this build. The caller and all threads made from now
 * on are members; older ones count for the root and cannot be moved. 0 or -errno.
 */
int cgroup_init(const struct cgroup_controller *const *controllers, const char *disabled) MUST_CHECK;

/* Any context; the caller holds a reference already. */
void css_get(struct cgroup_css *css);
/* Any context that may free memory. */
void css_put(struct cgroup_css *css);

/* A counted reference to @thread's (NULL: the current one's) css, or NULL if the controller is off. */
struct cgroup_css *css_of_thread(struct thread *thread, enum cgroup_subsystem index) MUST_CHECK;
/* The root's css, no reference; NULL if the controller is off. */
struct cgroup_css *css_root(enum cgroup_subsystem index);

/* What mkdir, rmdir and writing to cgroup.procs do. @path is below the root: "" or "a/b". */
int cgroup_make(const char *path) MUST_CHECK;
int cgroup_remove(const char *path) MUST_CHECK;
int cgroup_move_thread(const char *path, uint32_t thread_id) MUST_CHECK;
/* The path below the root, "/" for the root. Returns @buffer. */
char *cgroup_path(const struct cgroup *cgroup, char *buffer, size_t size);
