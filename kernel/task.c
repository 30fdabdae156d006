/*
 * The shell's `task`: threads that stay, and run shell lines when told to. They stand for programs: a task is in a
 * cgroup, holds what it took, and gives it back when it ends.
 *
 *   task a                           begins task "a" (in the shell's own group)
 *   task a "echo 0 > /sys/.../cgroup.procs; dmabuf alloc system 4M"
 *   task a end                       joins it
 *
 * The shell waits while a task runs a line, so the lines are one after the other.
 */
#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/string.h"

struct task {
	struct list_node node;
	char name[THREAD_NAME_SIZE];
	struct thread *thread;
	struct wait_queue wake;
	const char *line; /* to be run; NULL: none */
	struct sink *out;
	int status;
	struct completion done;
};

static struct mutex tasks_lock = MUTEX_INIT(tasks_lock, "tasks");
static struct list_node tasks = LIST_INIT(tasks);

static int task_loop(void *argument)
{
	struct task *task = argument;

	for (;;) {
		const char *line;

		wait_event(&task->wake, load_acquire(&task->line) || thread_should_stop());
		line = load_acquire(&task->line);
		if (!line)
			return 0;
		task->status = shell_run_line(task->out, line);
		store_relaxed(&task->line, NULL);
		completion_done(&task->done);
	}
}

static struct task *find(const char *name)
{
	struct task *task;

	list_for_each_entry(task, &tasks, node)
		if (strcmp(task->name, name) == 0)
			return task;
	return NULL;
}

static int begin(struct sink *out, const char *name)
{
	struct task *task;
	int error;

	if (strlen(name) >= THREAD_NAME_SIZE)
		return -ENAMETOOLONG;
	if (find(name))
		return -EEXIST;
	task = kzalloc(sizeof(*task));
	if (!task)
		return -ENOMEM;
	string_copy(task->name, name, sizeof(task->name));
	wait_queue_init(&task->wake);
	task->thread = thread_spawn(task->name, task_loop, task);
	if (IS_ERR(task->thread)) {
		error = (int)PTR_ERR(task->thread);
		kfree(task);
		return error;
	}
	list_add_tail(&tasks, &task->node);
	sink_printf(out, "%u\n", thread_id(task->thread));
	return 0;
}

static int end(struct task *task)
{
	if (task->thread == thread_current())
		return -EBUSY;
	list_del(&task->node);
	thread_stop(task->thread);
	thread_join(task->thread);
	kfree(task);
	return 0;
}

static int run_in(struct task *task, struct sink *out, const char *line)
{
	completion_init(&task->done);
	task->out = out;
	store_release(&task->line, line);
	wake_up(&task->wake);
	completion_wait(&task->done, WAIT_FOREVER);
	return task->status;
}

static int task_run(struct sink *out, int argc, char **argv)
{
	struct task *task;
	int status = 0;

	/* From within a task: it would wait for itself, or for a line that waits for it. */
	if (argc > 3 || !mutex_trylock(&tasks_lock))
		return argc > 3 ? -EINVAL : -EBUSY;
	if (argc == 1) {
		list_for_each_entry(task, &tasks, node)
			sink_printf(out, "%u %s\n", thread_id(task->thread), task->name);
	} else {
		task = find(argv[1]);
		if (argc == 2)
			status = begin(out, argv[1]);
		else if (!task)
			status = -ENOENT;
		else if (strcmp(argv[2], "end") == 0)
			status = end(task);
		else
			status = run_in(task, out, argv[2]);
	}
	mutex_unlock(&tasks_lock);
	return status;
}
SHELL_COMMAND(task, "[NAME [\"LINE\"|end]]",
	      "threads that run shell lines: lists them; begins one; runs a line in it; ends it", task_run);
