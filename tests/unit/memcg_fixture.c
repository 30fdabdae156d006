/*
 * See memcg_fixture.h.
 */
#include "tests/unit/memcg_fixture.h"

#include <arch/page.h>

#include "tests/unit/cgroup_fixture.h"

uint64_t memcg_pages(const char *group, const char *name, const char *key)
{
	char path[128];
	const char *text;
	uint64_t bytes = 0;

	format(path, sizeof(path), ROOT "/%s/%s", group, name);
	text = key ? value(path, key) : file(path);
	for (; *text >= '0' && *text <= '9'; text++)
		bytes = bytes * 10 + (uint64_t)(*text - '0');
	return bytes / PAGE_SIZE;
}

uint64_t memcg_used(const char *group)
{
	return memcg_pages(group, "memory.current", NULL);
}

const char *memcg_event(const char *group, const char *key)
{
	char path[128];

	format(path, sizeof(path), ROOT "/%s/memory.events", group);
	return value(path, key);
}

int memcg_write(const char *group, const char *name, const char *text)
{
	char path[128];

	format(path, sizeof(path), ROOT "/%s/%s", group, name);
	return write_file(path, text);
}

void memcg_leave(void *argument UNUSED)
{
	(void)!write_file(ROOT "/cgroup.procs", "0");
}

int memcg_enter(struct ktest *t, const char *group)
{
	int error = ensure_cgroups();

	if (!error)
		error = new_group(t, group);
	if (!error)
		error = memcg_write(group, "cgroup.procs", "0");
	if (!error)
		ktest_defer(t, memcg_leave, NULL);
	return error;
}
