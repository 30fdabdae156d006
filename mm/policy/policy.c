/*
 * The list of policies, the one in force, and their sysctls.
 */
#include "mm/policy/policy.h"

#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

/* A new policy is one file, and its name here twice. */
static const struct frag_policy *const policies[] = {
	&frag_policy_vanilla, &frag_policy_nofragment, &frag_policy_boost, &frag_policy_stall, &frag_policy_defrag,
};
static const char *const names[] = {"vanilla", "nofragment", "boost", "stall", "defrag", NULL};

#define DEFAULT_POLICY 3 /* stall */
_Static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(policies) + 1, "every policy has a name");

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
	store_release(&current_policy, policies[which]);
	return 0;
}

static struct vfile_choice frag_policy = {.names = names, .chosen = DEFAULT_POLICY, .choose = choose};

int frag_policy_set(const char *name)
{
	for (uint32_t which = 0; names[which]; which++)
		if (strcmp(names[which], name) == 0) {
			WRITE_ONCE(frag_policy.chosen, which);
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
	int error = vfile_add_choice("/proc/sys/vm/frag_policy", &frag_policy);

	return error ? error : vfile_add_int("/proc/sys/vm/fragment_stall_order", &stall_order);
}
