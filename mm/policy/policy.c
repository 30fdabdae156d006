/*
 * The list of policies, the one in force, and their sysctls.
 */
#include "mm/policy/policy.h"

#include "kernel/panic.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_POLICIES 32

extern const struct frag_policy *const __start_kfrag_policies[] WEAK;
extern const struct frag_policy *const __stop_kfrag_policies[] WEAK;

static const struct frag_policy *current_policy = &frag_policy_stall;

const struct frag_policy *frag_policy_get(void)
{
	return load_acquire(&current_policy);
}

bool frag_policy_lacks_whole(const struct frag_policy *policy, const struct zone *zone)
{
	return policy && policy->whole_pages_wanted && zone_whole_pages(zone) < policy->whole_pages_wanted(zone);
}

static int choose(struct vfile_choice *choice UNUSED, uint32_t which)
{
	store_release(&current_policy, __start_kfrag_policies[which]);
	return 0;
}

static const char *names[MAX_POLICIES + 1];
static struct vfile_choice frag_policy = {.names = names, .choose = choose};

int frag_policy_set(const char *name)
{
	size_t count = (size_t)(__stop_kfrag_policies - __start_kfrag_policies);

	for (uint32_t which = 0; which < count; which++)
		if (strcmp(__start_kfrag_policies[which]->name, name) == 0) {
			store_relaxed(&frag_policy.chosen, which);
			return choose(&frag_policy, which);
		}
	return -EINVAL;
}

static struct vfile_int stall_order = {.value = 4, .min = 0, .max = MAX_ORDER};

unsigned int fragment_stall_order(void)
{
	return (unsigned int)READ_ONCE(stall_order.value);
}

int frag_policy_files_init(void)
{
	size_t count = (size_t)(__stop_kfrag_policies - __start_kfrag_policies);
	int error;

	ASSERT(count <= MAX_POLICIES);
	for (size_t at = 0; at < count; at++)
		names[at] = __start_kfrag_policies[at]->name;
	error = frag_policy_set(frag_policy_get()->name);
	if (!error)
		error = vfile_add_choice("/proc/sys/vm/frag_policy", &frag_policy);

	return error ? error : vfile_add_int("/proc/sys/vm/fragment_stall_order", &stall_order);
}
