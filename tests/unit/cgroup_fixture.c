/*
 * See cgroup_fixture.h.
 */
#include "tests/unit/cgroup_fixture.h"

#include "cgroup/memory.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/string.h"

int ensure_cgroups(void)
{
	static const struct cgroup_controller *const controllers[] = {&gpu_controller, &memory_controller, NULL};
	static char buffer[4096];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	return vfile_read(ROOT "/cgroup.procs", &text.sink) == 0 ? 0 : cgroup_init(controllers, NULL);
}

const char *file(const char *path)
{
	static char buffer[1024];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	return vfile_read(path, &text.sink) ? "(error)" : buffer;
}

/* The value behind @bucket in a flat keyed file. */
const char *value(const char *path, const char *bucket)
{
	const char *content = file(path), *at;
	static char word[64];
	char key[80];
	size_t length;

	format(key, sizeof(key), "%s ", bucket);
	at = strstr(content, key);
	if (!at)
		return "(none)";
	at += strlen(key);
	length = strchr(at, '\n') ? (size_t)(strchr(at, '\n') - at) : strlen(at);
	format(word, sizeof(word), "%.*s", (int)length, at);
	return word;
}

int write_file(const char *path, const char *text)
{
	return vfile_write(path, text, strlen(text));
}

/* Runs @run in a thread that is moved to @group first. */
struct in_group {
	const char *group;
	int (*run)(void *argument);
	void *argument;
};

static int move_and_run(void *argument)
{
	struct in_group *in = argument;
	int error = cgroup_move_thread(in->group, thread_id(thread_current()));

	return error ? error : in->run(in->argument);
}

int run_in_group(const char *group, int (*run)(void *argument), void *argument)
{
	struct in_group in = {group, run, argument};
	struct thread *thread = thread_spawn("in_group", move_and_run, &in);

	return IS_ERR(thread) ? (int)PTR_ERR(thread) : thread_join(thread);
}

static int get_group(void *argument)
{
	*(struct gpucg **)argument = gpucg_get(NULL);
	return 0;
}

struct gpucg *group_at(const char *path)
{
	struct gpucg *gpucg = NULL;

	return run_in_group(path, get_group, &gpucg) ? NULL : gpucg;
}

static void remove_group(void *path)
{
	(void)!cgroup_remove(path);
}

int new_group(struct ktest *t, const char *path)
{
	int error = cgroup_make(path);

	if (!error)
		ktest_defer(t, remove_group, (void *)path);
	return error;
}
