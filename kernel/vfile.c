/*
 * The tree of virtual files.
 *
 * One mutex guards the tree. While a file's function runs the mutex is not held, but the node counts its users; taking
 * a node off the tree makes it invisible at once and then waits until it has none. A directory's make and remove run
 * the same way, so they may add and remove files below.
 */
#include "kernel/vfile.h"

#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/wait.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/parse.h"
#include "lib/string.h"

struct vnode {
	struct list_node sibling;
	struct list_node children; /* directories; sorted by name */
	struct vnode *parent;
	char *name;
	bool is_directory;
	const struct vfile_ops *file;
	const struct vdir_ops *directory;
	void *context;
	uint32_t users; /* functions of it that run now */
};

static struct vnode root = {.is_directory = true, .name = "", .children = LIST_INIT(root.children)};
static struct mutex tree_mutex = MUTEX_INIT(tree_mutex, "vfile_tree");
static struct wait_queue unused = WAIT_QUEUE_INIT(unused);

/* ---- finding; with tree_mutex held ---- */

/* Cuts the next component off *@path; its length, 0 at the end. */
static size_t next_component(const char **path, const char **component)
{
	size_t length = 0;

	while (**path == '/')
		(*path)++;
	*component = *path;
	while ((*path)[length] && (*path)[length] != '/')
		length++;
	*path += length;
	return length;
}

static int compare_name(const struct vnode *node, const char *name, size_t length)
{
	int order = strncmp(node->name, name, length);

	return order ? order : node->name[length] != '\0';
}

static struct vnode *find_child(struct vnode *directory, const char *name, size_t length)
{
	struct vnode *child;

	list_for_each_entry(child, &directory->children, sibling)
		if (compare_name(child, name, length) == 0)
			return child;
	return NULL;
}

static struct vnode *find(const char *path)
{
	struct vnode *at = &root;
	const char *name;
	size_t length;

	while (at && (length = next_component(&path, &name)))
		at = at->is_directory ? find_child(at, name, length) : NULL;
	return at;
}

/* ---- making and removing ---- */

static void insert_sorted(struct vnode *parent, struct vnode *node)
{
	struct list_node *before = parent->children.prev;

	/* From the back: most are added in order. */
	while (before != &parent->children && strcmp(list_entry(before, struct vnode, sibling)->name, node->name) > 0)
		before = before->prev;
	list_insert_between(&node->sibling, before, before->next);
	node->parent = parent;
}

static struct vnode *make_node(struct vnode *parent, const char *name, size_t length, bool is_directory)
{
	struct vnode *node = kzalloc(sizeof(*node) + length + 1);

	if (!node)
		return NULL;
	node->name = (char *)(node + 1);
	memcpy(node->name, name, length);
	node->is_directory = is_directory;
	list_init(&node->children);
	insert_sorted(parent, node);
	return node;
}

/* The node at @path, its parents made as needed. @length limits the path. */
static int make_path(const char *path, bool is_directory, struct vnode **made)
{
	struct vnode *at = &root;
	const char *name;
	size_t length;

	if (path[0] != '/' || path[1] == '\0')
		return -EINVAL;
	if (strnlen(path, VFILE_PATH_MAX) == VFILE_PATH_MAX)
		return -ENAMETOOLONG;
	length = next_component(&path, &name);
	while (length) {
		struct vnode *child = at->is_directory ? find_child(at, name, length) : NULL;
		const char *last_name = name;
		size_t last_length = length;

		if (!at->is_directory)
			return -ENOTDIR;
		length = next_component(&path, &name);
		if (!length && child && !(is_directory && child->is_directory && !child->directory))
			return -EEXIST;
		if (!child)
			child = make_node(at, last_name, last_length, length || is_directory);
		if (!child)
			return -ENOMEM;
		at = child;
	}
	*made = at;
	return 0;
}

int vfile_add(const char *path, const struct vfile_ops *ops, void *context)
{
	struct vnode *node;
	int error;

	mutex_lock(&tree_mutex);
	error = make_path(path, false, &node);
	if (!error) {
		node->file = ops;
		node->context = context;
	}
	mutex_unlock(&tree_mutex);
	return error;
}

int vdir_add(const char *path, const struct vdir_ops *ops, void *context)
{
	struct vnode *node;
	int error;

	mutex_lock(&tree_mutex);
	error = make_path(path, true, &node);
	if (!error) {
		node->directory = ops;
		node->context = context;
	}
	mutex_unlock(&tree_mutex);
	return error;
}

static bool is_unused(struct vnode *node)
{
	bool free;

	mutex_lock(&tree_mutex);
	free = node->users == 0;
	mutex_unlock(&tree_mutex);
	return free;
}

/* Frees a node that is off the tree, with all below, each when nobody uses it any more. */
static void dispose(struct vnode *node)
{
	while (!list_empty(&node->children)) {
		struct vnode *child = list_first_entry(&node->children, struct vnode, sibling);

		list_del(&child->sibling);
		dispose(child);
	}
	wait_event(&unused, is_unused(node));
	kfree(node);
}

int vfile_remove(const char *path)
{
	struct vnode *node;

	mutex_lock(&tree_mutex);
	node = find(path);
	if (node && node != &root)
		list_del(&node->sibling);
	mutex_unlock(&tree_mutex);
	if (!node || node == &root)
		return -ENOENT;
	dispose(node);
	return 0;
}

/* ---- using ---- */

static void use_end(struct vnode *node)
{
	mutex_lock(&tree_mutex);
	node->users--;
	mutex_unlock(&tree_mutex);
	wake_up_all(&unused);
}

/* The node, kept from vanishing until use_end(). */
static struct vnode *use_begin(const char *path)
{
	struct vnode *node;

	mutex_lock(&tree_mutex);
	node = find(path);
	if (node)
		node->users++;
	mutex_unlock(&tree_mutex);
	return node;
}

int vfile_read(const char *path, struct sink *out)
{
	struct vnode *node = use_begin(path);
	int error;

	if (!node)
		return -ENOENT;
	if (node->is_directory)
		error = -EISDIR;
	else if (!node->file->show)
		error = -EACCES;
	else
		error = node->file->show(out, node->context);
	use_end(node);
	return error;
}

static int store_copy(struct vnode *node, const char *text, size_t length)
{
	char *copy;
	int error;

	if (length > VFILE_WRITE_MAX)
		return -EFBIG;
	copy = kmalloc(length + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, length);
	if (length && copy[length - 1] == '\n')
		length--;
	copy[length] = '\0';
	error = node->file->store(node->context, copy, length);
	kfree(copy);
	return error;
}

int vfile_write(const char *path, const char *text, size_t length)
{
	struct vnode *node = use_begin(path);
	int error;

	if (!node)
		return -ENOENT;
	if (node->is_directory)
		error = -EISDIR;
	else if (!node->file->store)
		error = -EACCES;
	else
		error = store_copy(node, text, length);
	use_end(node);
	return error;
}

/* The directory that holds @path's last component, in use, and that component (in @name). Slashes at the end count not.
 */
static int use_parent(const char *path, struct vnode **parent, char *name)
{
	char above[VFILE_PATH_MAX], *slash;
	size_t length = strnlen(path, VFILE_PATH_MAX);

	if (length == VFILE_PATH_MAX)
		return -ENAMETOOLONG;
	while (length && path[length - 1] == '/')
		length--;
	memcpy(above, path, length);
	above[length] = '\0';
	slash = strrchr(above, '/');
	if (!slash)
		return -EINVAL;
	string_copy(name, slash + 1, VFILE_PATH_MAX);
	*slash = '\0';
	*parent = use_begin(above);
	if (!*parent)
		return -ENOENT;
	if ((*parent)->is_directory)
		return 0;
	use_end(*parent);
	return -ENOTDIR;
}

/* Lets the parent directory make or remove its child, if it is one that does. */
static int change_child(const char *path, bool make)
{
	int (*change)(void *context, const char *name) = NULL;
	char name[VFILE_PATH_MAX];
	struct vnode *parent;
	int error = use_parent(path, &parent, name);

	if (error)
		return error;
	if (parent->directory)
		change = make ? parent->directory->make : parent->directory->remove;
	error = change ? change(parent->context, name) : -EACCES;
	use_end(parent);
	return error;
}

int vfile_make_dir(const char *path)
{
	return change_child(path, true);
}

int vfile_remove_dir(const char *path)
{
	return change_child(path, false);
}

int vfile_list(const char *path, struct sink *out)
{
	struct vnode *node, *child;
	int error = 0;

	mutex_lock(&tree_mutex);
	node = find(path);
	if (!node)
		error = -ENOENT;
	else if (!node->is_directory)
		sink_printf(out, "%s\n", node->name);
	else
		list_for_each_entry(child, &node->children, sibling)
			sink_printf(out, "%s%s\n", child->name, child->is_directory ? "/" : "");
	mutex_unlock(&tree_mutex);
	return error;
}

/* ---- completion ---- */

static size_t shared_prefix(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] && a[length] == b[length])
		length++;
	return length;
}

size_t vfile_complete(char *path, size_t size, struct sink *out)
{
	char *slash = strrchr(path, '/');
	struct vnode *directory, *child, *only = NULL;
	size_t typed, matches = 0, shared = 0;

	if (!slash)
		return 0;
	typed = strlen(slash + 1);
	mutex_lock(&tree_mutex);
	*slash = '\0';
	directory = find(path);
	*slash = '/';
	if (!directory || !directory->is_directory) {
		mutex_unlock(&tree_mutex);
		return 0;
	}
	list_for_each_entry(child, &directory->children, sibling) {
		if (strncmp(child->name, slash + 1, typed) != 0)
			continue;
		shared = matches++ ? MIN(shared, shared_prefix(only->name, child->name)) : strlen(child->name);
		only = only ? only : child;
	}
	list_for_each_entry(child, &directory->children, sibling)
		if (matches > 1 && strncmp(child->name, slash + 1, typed) == 0)
			sink_printf(out, "%s%s\n", child->name, child->is_directory ? "/" : "");
	if (matches && (size_t)(slash + 1 - path) + shared + 2 <= size) {
		memcpy(slash + 1, only->name, shared);
		slash[1 + shared] = '\0';
		if (matches == 1 && only->is_directory) {
			slash[1 + shared] = '/';
			slash[2 + shared] = '\0';
		}
	}
	mutex_unlock(&tree_mutex);
	return matches;
}
