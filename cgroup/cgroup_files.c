/*
 * The core's files in every group's directory, in cgroup v2's formats, and mkdir and rmdir.
 *
 *   cgroup.procs            thread ids, a line each; written: moves that thread (0: the writer) here
 *   cgroup.controllers      names of the controllers that exist here
 *   cgroup.subtree_control  the same: what is enabled is enabled for all; "+name" is accepted, "-name" refused
 *   cgroup.events           populated 0|1: a thread here or below
 */
#include "cgroup/cgroup_internal.h"

#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

static int procs_show(struct sink *out, void *context)
{
	struct cgroup *cgroup = context;
	struct cgroup_member *member;

	mutex_lock(&cgroup_mutex);
	list_for_each_entry(member, &cgroup->members, node)
		sink_printf(out, "%u\n", thread_id(member->thread));
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int procs_store(void *context, char *text, size_t length UNUSED)
{
	uint64_t id;
	int error = parse_u64(text, &id);

	if (error || id > UINT32_MAX)
		return -EINVAL;
	mutex_lock(&cgroup_mutex);
	error = cgroup_move(context, (uint32_t)id);
	mutex_unlock(&cgroup_mutex);
	return error;
}

static int controllers_show(struct sink *out, void *context)
{
	const struct cgroup *cgroup = context;
	const char *separator = "";

	for (unsigned int i = 0; i < CGROUP_SUBSYSTEMS; i++) {
		if (!cgroup->css[i])
			continue;
		sink_printf(out, "%s%s", separator, cgroup_controller(i)->name);
		separator = " ";
	}
	sink_printf(out, "\n");
	return 0;
}

static bool has_controller(const struct cgroup *cgroup, const char *name)
{
	for (unsigned int i = 0; i < CGROUP_SUBSYSTEMS; i++)
		if (cgroup->css[i] && strcmp(cgroup_controller(i)->name, name) == 0)
			return true;
	return false;
}

static int subtree_control_store(void *context, char *text, size_t length UNUSED)
{
	for (char *word = parse_word(&text); word; word = parse_word(&text)) {
		if (word[0] == '-' && has_controller(context, word + 1))
			return -EBUSY;
		if (word[0] != '+')
			return -EINVAL;
		if (!has_controller(context, word + 1))
			return -ENOENT;
	}
	return 0;
}

static bool populated(const struct cgroup *cgroup)
{
	struct cgroup *child;

	if (cgroup->nr_members)
		return true;
	list_for_each_entry(child, &cgroup->children, sibling)
		if (populated(child))
			return true;
	return false;
}

static int events_show(struct sink *out, void *context)
{
	mutex_lock(&cgroup_mutex);
	sink_printf(out, "populated %d\n", populated(context));
	mutex_unlock(&cgroup_mutex);
	return 0;
}

static int dir_make(void *context, const char *name)
{
	return cgroup_change_child(cgroup_make_child, context, name);
}

static int dir_remove(void *context, const char *name)
{
	return cgroup_change_child(cgroup_remove_child, context, name);
}

static const struct vdir_ops dir_ops = {.make = dir_make, .remove = dir_remove};

static const struct {
	const char *name;
	struct vfile_ops ops;
} core_files[] = {
	{"cgroup.procs", {.show = procs_show, .store = procs_store}},
	{"cgroup.controllers", {.show = controllers_show}},
	{"cgroup.subtree_control", {.show = controllers_show, .store = subtree_control_store}},
	{"cgroup.events", {.show = events_show}},
};

static void directory_of(const struct cgroup *cgroup, char *path, size_t size)
{
	char below[CGROUP_PATH_SIZE];

	cgroup_path(cgroup, below, sizeof(below));
	format(path, size, "%s%s", CGROUP_ROOT_PATH, cgroup->parent ? below : "");
}

int cgroup_files_add(struct cgroup *cgroup)
{
	char directory[VFILE_PATH_MAX], path[VFILE_PATH_MAX];
	int error;

	directory_of(cgroup, directory, sizeof(directory));
	error = vdir_add(directory, &dir_ops, cgroup);
	for (size_t i = 0; !error && i < ARRAY_SIZE(core_files); i++) {
		if (format(path, sizeof(path), "%s/%s", directory, core_files[i].name) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		error = vfile_add(path, &core_files[i].ops, cgroup);
	}
	for (unsigned int i = 0; !error && i < CGROUP_SUBSYSTEMS; i++)
		if (cgroup->css[i])
			error = cgroup_controller(i)->add_files(cgroup->css[i], directory);
	return error;
}

void cgroup_files_remove(struct cgroup *cgroup)
{
	char directory[VFILE_PATH_MAX];

	directory_of(cgroup, directory, sizeof(directory));
	vfile_remove(directory);
}
