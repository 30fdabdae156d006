/*
 * Which thread is in which group. See cgroup.c for the references.
 */
#include "cgroup/cgroup_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "lib/errno.h"

static struct cgroup_member *member_of(struct thread *thread)
{
	return *thread_slot(thread, THREAD_SLOT_CGROUP);
}

/* With cgroup_mutex held. */
static void member_link(struct cgroup_member *member, struct cgroup *cgroup)
{
	spin_lock(&member->lock);
	member->cgroup = cgroup;
	spin_unlock(&member->lock);
	list_add_tail(&cgroup->members, &member->node);
	cgroup->nr_members++;
}

static void member_unlink(struct cgroup_member *member)
{
	list_del(&member->node);
	member->cgroup->nr_members--;
}

/* @like: whose group it begins in; NULL: the root. */
static int member_make(struct thread *thread, const struct cgroup_member *like)
{
	struct cgroup_member *member = kzalloc(sizeof(*member));

	if (!member)
		return -ENOMEM;
	spin_lock_init(&member->lock, "cgroup_member");
	member->thread = thread;
	mutex_lock(&cgroup_mutex);
	member_link(member, like ? like->cgroup : cgroup_root());
	mutex_unlock(&cgroup_mutex);
	*thread_slot(thread, THREAD_SLOT_CGROUP) = member;
	return 0;
}

/* In the parent. Without memory the child counts for the root, which is said. */
static void on_spawn(struct thread *parent, struct thread *child)
{
	if (member_make(child, member_of(parent)))
		pr_err("cgroup: no memory for the membership of thread %u: it counts for the root", thread_id(child));
}

static void on_exit(struct thread *dying)
{
	struct cgroup_member *member = member_of(dying);

	if (!member)
		return;
	*thread_slot(dying, THREAD_SLOT_CGROUP) = NULL;
	mutex_lock(&cgroup_mutex);
	member_unlink(member);
	mutex_unlock(&cgroup_mutex);
	kfree(member);
}

int cgroup_members_init(void)
{
	thread_on_spawn(on_spawn);
	thread_on_exit(on_exit);
	return member_make(thread_current(), NULL);
}

struct cgroup_css *css_of_thread(struct thread *thread, enum cgroup_subsystem index)
{
	struct cgroup_member *member = member_of(thread ? thread : thread_current());
	struct cgroup_css *css = css_root(index);

	if (!css)
		return NULL;
	if (!member) {
		css_get(css);
		return css;
	}
	spin_lock(&member->lock);
	css = member->cgroup->css[index];
	css_get(css);
	spin_unlock(&member->lock);
	return css;
}

static struct cgroup_member *find_below(struct cgroup *cgroup, uint32_t id)
{
	struct cgroup_member *member;
	struct cgroup *child;

	list_for_each_entry(member, &cgroup->members, node)
		if (thread_id(member->thread) == id)
			return member;
	list_for_each_entry(child, &cgroup->children, sibling) {
		member = find_below(child, id);
		if (member)
			return member;
	}
	return NULL;
}

/* What controllers have to do or say about it. */
static int attach(const struct cgroup *to, const struct cgroup_member *member)
{
	int error = 0;

	for (unsigned int i = 0; i < CGROUP_SUBSYSTEMS && !error && to != member->cgroup; i++)
		if (to->css[i] && cgroup_controller(i)->attach)
			error = cgroup_controller(i)->attach(to->css[i], member->thread);
	return error;
}

int cgroup_move(struct cgroup *to, uint32_t id)
{
	struct cgroup_member *member = id ? find_below(cgroup_root(), id) : member_of(thread_current());
	int error;

	if (!member)
		return -ENOENT;
	error = attach(to, member);
	if (error)
		return error;
	member_unlink(member);
	member_link(member, to);
	return 0;
}
