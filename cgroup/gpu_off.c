/*
 * The gpu controller left out of the build (make GPU=off): the calls of cgroup/gpu.h with nothing behind them. Callers
 * compile and run unchanged, as with the controller disabled on the command line: no group, and every charge is free.
 */
#include "cgroup/gpu.h"

#include "lib/errno.h"

struct gpucg_bucket {
	char unused;
};

/* No create(): cgroup_init() passes it over. */
const struct cgroup_controller gpu_controller = {.name = "gpu", .index = CGROUP_GPU};

struct gpucg_bucket *gpucg_register_bucket(const char *name)
{
	static struct gpucg_bucket bucket;

	return name ? &bucket : ERR_PTR(-EINVAL);
}

void gpucg_bucket_set_capacity(struct gpucg_bucket *bucket UNUSED, uint64_t bytes UNUSED)
{
}

struct gpucg *gpucg_get(struct thread *task UNUSED)
{
	return NULL;
}

void gpucg_put(struct gpucg *gpucg UNUSED)
{
}

struct gpucg *css_to_gpucg(struct cgroup_css *css UNUSED)
{
	return NULL;
}

struct gpucg *gpucg_parent(struct gpucg *gpucg UNUSED)
{
	return NULL;
}

char *gpucg_path(struct gpucg *gpucg UNUSED, char *buffer, size_t size)
{
	format(buffer, size, "-");
	return buffer;
}

int gpucg_charge(struct gpucg *gpucg UNUSED, struct gpucg_bucket *bucket UNUSED, uint64_t bytes UNUSED)
{
	return 0;
}

void gpucg_uncharge(struct gpucg *gpucg UNUSED, struct gpucg_bucket *bucket UNUSED, uint64_t bytes UNUSED)
{
}

int gpucg_transfer(struct gpucg *from UNUSED, struct gpucg *to UNUSED, struct gpucg_bucket *bucket UNUSED,
		   uint64_t bytes UNUSED)
{
	return 0;
}

uint64_t gpucg_usage(struct gpucg *gpucg UNUSED, const struct gpucg_bucket *bucket UNUSED)
{
	return 0;
}
