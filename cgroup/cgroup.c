/*
 * Control groups: the tree, who is in which group, and how long a group lives.
 *
 * A thread's membership is a small object in the thread's slot, made when it is spawned and linked into its group's
 * list, so that moving a thread and listing a group touch nothing of the scheduler's. Its own lock lets others
 * read the group while the thread is moved; the group cannot be freed under a reader, who takes a reference
 * before letting the lock go.
 *
 * References to a group: one while it is visible, one per child, one per css that lives. A css begins with one,
 * dropped when the group is removed, and each charge may hold one. So a removed group with charges left stays,
 * unseen, and keeps its ancestors.
 */
#include "cgroup/cgroup_internal.h"

#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

struct mutex cgroup_mutex = MUTEX_INIT(cgroup_mutex, "cgroup_mutex");

static struct cgroup *root;
static const struct cgroup_controller *enabled[CGROUP_SUBSYSTEMS];

struct cgroup *cgroup_root(void)
{
	return root;
}

const struct cgroup_controller *cgroup_controller(enum cgroup_subsystem index)
{
	return enabled[index];
}

/* ---- references ---- */

static void cgroup_put(struct cgroup *cgroup)
{
	while (cgroup && atomic_sub_return(&cgroup->references, 1) == 0) {
		struct cgroup *parent = cgroup->parent;

		kfree(cgroup);
		cgroup = parent;
	}
}

void css_get(struct cgroup_css *css)
{
	uint64_t before = atomic_fetch_add(&css->references, 1);

	ASSERT(before > 0, "reference taken to a css that is gone");
}

void css_put(struct cgroup_css *css)
{
	while (css && atomic_sub_return(&css->references, 1) == 0) {
		struct cgroup_css *parent = css->parent;
		struct cgroup *cgroup = css->cgroup;

		enabled[css->index]->destroy(css);
		cgroup_put(cgroup);
		css = parent; /* the child's reference to it */
	}
}

/* ---- making and removing ---- */

static void css_link(struct cgroup_css *css, struct cgroup_css *parent, struct cgroup *cgroup,
		     enum cgroup_subsystem index)
{
	css->cgroup = cgroup;
	css->index = index;
	css->parent = parent;
	css->references = 1;
	if (parent)
		css_get(parent);
	cgroup->css[index] = css;
	atomic_inc(&cgroup->references);
}

/* One css per enabled controller; on failure those made stay for cgroup_retire(). */
static int css_make_all(struct cgroup *cgroup)
{
	for (unsigned int i = 0; i < CGROUP_SUBSYSTEMS; i++) {
		struct cgroup_css *parent = cgroup->parent ? cgroup->parent->css[i] : NULL;
		struct cgroup_css *css;

		if (!enabled[i])
			continue;
		css = enabled[i]->create(parent);
		if (!css)
			return -ENOMEM;
		css_link(css, parent, cgroup, i);
	}
	return 0;
}

/*
 * Takes a group that was unlinked out of sight and drops what seeing it held. Without cgroup_mutex: removing files
 * waits for their readers, who may be waiting for it.
 */
static void cgroup_retire(struct cgroup *cgroup)
{
	cgroup_files_remove(cgroup);
	for (unsigned int i = 0; i < CGROUP_SUBSYSTEMS; i++)
		css_put(cgroup->css[i]);
	cgroup_put(cgroup);
}

static struct cgroup *cgroup_alloc(struct cgroup *parent, const char *name)
{
	struct cgroup *cgroup = kzalloc(sizeof(*cgroup));

	if (!cgroup)
		return NULL;
	string_copy(cgroup->name, name, sizeof(cgroup->name));
	list_init(&cgroup->children);
	list_init(&cgroup->sibling);
	list_init(&cgroup->members);
	cgroup->references = 1;
	cgroup->parent = parent;
	if (parent) {
		atomic_inc(&parent->references);
		list_add_tail(&parent->children, &cgroup->sibling);
	}
	return cgroup;
}

static int check_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (length >= CGROUP_NAME_SIZE)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == '/')
			return -EINVAL;
	return 0;
}

static struct cgroup *find_child(struct cgroup *parent, const char *name)
{
	struct cgroup *child;

	list_for_each_entry(child, &parent->children, sibling)
		if (strcmp(child->name, name) == 0)
			return child;
	return NULL;
}

/* As cgroup_change wants them: *@gone is unlinked and left to the caller to retire. */
int cgroup_make_child(struct cgroup *parent, const char *name, struct cgroup **gone)
{
	struct cgroup *cgroup;
	int error = check_name(name);

	if (error)
		return error;
	if (parent->removed)
		return -ENOENT;
	if (find_child(parent, name))
		return -EEXIST;
	cgroup = cgroup_alloc(parent, name);
	if (!cgroup)
		return -ENOMEM;
	error = css_make_all(cgroup);
	if (!error)
		error = cgroup_files_add(cgroup);
	if (error) {
		list_del(&cgroup->sibling);
		cgroup->removed = true;
		*gone = cgroup;
	}
	return error;
}

int cgroup_remove_child(struct cgroup *parent, const char *name, struct cgroup **gone)
{
	struct cgroup *cgroup = find_child(parent, name);

	if (!cgroup)
		return -ENOENT;
	if (!list_empty(&cgroup->children) || !list_empty(&cgroup->members))
		return -EBUSY;
	list_del(&cgroup->sibling);
	cgroup->removed = true;
	*gone = cgroup;
	return 0;
}

int cgroup_change_child(cgroup_change change, struct cgroup *parent, const char *name)
{
	struct cgroup *gone = NULL;
	int error;

	mutex_lock(&cgroup_mutex);
	error = change(parent, name, &gone);
	mutex_unlock(&cgroup_mutex);
	if (gone)
		cgroup_retire(gone);
	return error;
}

/* ---- paths ---- */

/* The group at "a/b" below the root; a path that ends in "/" or is "" too. */
static struct cgroup *cgroup_find(const char *path)
{
	struct cgroup *at = root;
	char name[CGROUP_NAME_SIZE];

	while (at && *path) {
		size_t length = strchr(path, '/') ? (size_t)(strchr(path, '/') - path) : strlen(path);

		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		if (length)
			at = find_child(at, name);
		path += length + (path[length] == '/');
	}
	return at;
}

/* Splits "a/b/c" into the group "a/b" and "c", and changes that child. */
static int change_at_path(cgroup_change change, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	char parent_path[CGROUP_PATH_SIZE];
	struct cgroup *parent;
	int error;

	if (length >= sizeof(parent_path))
		return -ENAMETOOLONG;
	memcpy(parent_path, path, length);
	parent_path[length] = '\0';
	mutex_lock(&cgroup_mutex);
	parent = cgroup_find(parent_path);
	if (parent)
		atomic_inc(&parent->references);
	mutex_unlock(&cgroup_mutex);
	if (!parent)
		return -ENOENT;
	error = cgroup_change_child(change, parent, slash ? slash + 1 : path);
	cgroup_put(parent);
	return error;
}

int cgroup_make(const char *path)
{
	return change_at_path(cgroup_make_child, path);
}

int cgroup_remove(const char *path)
{
	return change_at_path(cgroup_remove_child, path);
}

int cgroup_move_thread(const char *path, uint32_t thread_id)
{
	struct cgroup *to;
	int error;

	mutex_lock(&cgroup_mutex);
	to = cgroup_find(path);
	error = to ? cgroup_move(to, thread_id) : -ENOENT;
	mutex_unlock(&cgroup_mutex);
	return error;
}

char *cgroup_path(const struct cgroup *cgroup, char *buffer, size_t size)
{
	char tail[CGROUP_PATH_SIZE] = "";

	for (; cgroup->parent; cgroup = cgroup->parent) {
		char longer[CGROUP_PATH_SIZE];

		format(longer, sizeof(longer), "/%s%s", cgroup->name, tail);
		string_copy(tail, longer, sizeof(tail));
	}
	string_copy(buffer, tail[0] ? tail : "/", size);
	return buffer;
}

/* ---- set-up ---- */

static void disable(const struct cgroup_controller *const *controllers, const char *name)
{
	while (*controllers && strcmp((*controllers)->name, name) != 0)
		controllers++;
	if (!*controllers) {
		pr_warn("cgroup: cgroup_disable=%s: there is no such controller: ignored", name);
		return;
	}
	pr_info("cgroup: controller %s is disabled on the command line", name);
	enabled[(*controllers)->index] = NULL;
}

static void choose_controllers(const struct cgroup_controller *const *controllers, const char *disabled)
{
	char name[CGROUP_NAME_SIZE];

	for (const struct cgroup_controller *const *at = controllers; *at; at++)
		enabled[(*at)->index] = (*at)->create ? *at : NULL;
	while (disabled && *disabled) {
		size_t length = strchr(disabled, ',') ? (size_t)(strchr(disabled, ',') - disabled) : strlen(disabled);

		format(name, sizeof(name), "%.*s", (int)length, disabled);
		disable(controllers, name);
		disabled += length + (disabled[length] == ',');
	}
}

int cgroup_init(const struct cgroup_controller *const *controllers, const char *disabled)
{
	int error;

	choose_controllers(controllers, disabled);
	mutex_lock(&cgroup_mutex);
	root = cgroup_alloc(NULL, "");
	error = root ? css_make_all(root) : -ENOMEM;
	if (!error)
		error = cgroup_files_add(root);
	mutex_unlock(&cgroup_mutex);
	return error ? error : cgroup_members_init();
}

struct cgroup_css *css_root(enum cgroup_subsystem index)
{
	return root ? root->css[index] : NULL;
}
