/*
 * Between the files of the cgroup core: tree (cgroup.c), memberships (members.c), files (cgroup_files.c).
 */
#pragma once

#include "cgroup/cgroup.h"
#include "kernel/mutex.h"
#include "kernel/spinlock.h"

/* A thread's place; in its THREAD_SLOT_CGROUP. No membership: the root (threads older than cgroup_init()). */
struct cgroup_member {
	struct list_node node; /* in the group's members */
	struct thread *thread;
	struct spinlock lock; /* cgroup, against readers while it is moved */
	struct cgroup *cgroup;
};

extern struct mutex cgroup_mutex;

struct cgroup *cgroup_root(void);
const struct cgroup_controller *cgroup_controller(enum cgroup_subsystem index);

/* A change to a child of @parent: takes the mutex, and retires a group that went out of sight after letting it go. */
typedef int (*cgroup_change)(struct cgroup *parent, const char *name, struct cgroup **gone);
int cgroup_change_child(cgroup_change change, struct cgroup *parent, const char *name) MUST_CHECK;

/* With cgroup_mutex held. */
int cgroup_make_child(struct cgroup *parent, const char *name, struct cgroup **gone) MUST_CHECK;
int cgroup_remove_child(struct cgroup *parent, const char *name, struct cgroup **gone) MUST_CHECK;
int cgroup_files_add(struct cgroup *cgroup) MUST_CHECK;
int cgroup_move(struct cgroup *to, uint32_t thread_id) MUST_CHECK;

/* Without cgroup_mutex. */
void cgroup_files_remove(struct cgroup *cgroup);
/* Makes the caller a member of the root; hooks into threads' beginning and end. 0 or -ENOMEM. */
int cgroup_members_init(void) MUST_CHECK;
