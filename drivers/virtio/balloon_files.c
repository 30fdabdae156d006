/*
 * What a user sees of the balloon and may set: /proc/balloon and the module parameters; and the list of all balloons.
 */
#include "drivers/virtio/balloon_internal.h"

#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/errno.h"

#define INFLATE_AUTO 0

static struct mutex balloons_lock = MUTEX_INIT(balloons_lock, "balloons");
static struct list_node balloons = LIST_INIT(balloons);

static const char *const inflate_names[] = {"auto", "report", "sg", "pfn",
					    NULL}; /* auto, then as in balloon_methods[] */
static struct vfile_choice inflate = {.names = inflate_names, .chosen = INFLATE_AUTO};
static struct vfile_int reserve_mib = {.value = 16, .min = 0, .max = 1 << 20};

/* What the device is told that free pages hold: for trying devices out; -1: nothing, the feature is declined. */
static struct vfile_int poison = {.value = -1, .min = -1, .max = UINT32_MAX};

int64_t balloon_poison(void)
{
	return READ_ONCE(poison.value);
}

uint64_t balloon_reserve_pages(void)
{
	return MIB(READ_ONCE(reserve_mib.value)) >> PAGE_SHIFT;
}

bool balloon_wants_page_numbers(void)
{
	return READ_ONCE(inflate.chosen) == BALLOON_METHOD_PFN + 1;
}

static enum balloon_method_id first_available(const struct balloon *balloon)
{
	enum balloon_method_id id = 0;

	while (id < NR_BALLOON_METHODS - 1 && !balloon_methods[id]->available(balloon))
		id++;
	return id;
}

enum balloon_method_id balloon_choose_method(struct balloon *balloon)
{
	uint32_t chosen = READ_ONCE(inflate.chosen);
	enum balloon_method_id fallback = first_available(balloon);

	if (chosen == INFLATE_AUTO || balloon_methods[chosen - 1]->available(balloon))
		return chosen == INFLATE_AUTO ? fallback : chosen - 1;
	if (!balloon->unavailable_said)
		pr_err("%s: inflate=%s cannot be done with what was negotiated: using %s", balloon->dev->name,
		       inflate_names[chosen], balloon_methods[fallback]->name);
	balloon->unavailable_said = true;
	return fallback;
}

void balloon_list_add(struct balloon *balloon)
{
	mutex_lock(&balloons_lock);
	list_add_tail(&balloons, &balloon->node);
	mutex_unlock(&balloons_lock);
}

void balloon_list_del(struct balloon *balloon)
{
	mutex_lock(&balloons_lock);
	while (balloon->users) {
		mutex_unlock(&balloons_lock);
		sleep_ns(NS_PER_MS);
		mutex_lock(&balloons_lock);
	}
	list_del(&balloon->node);
	mutex_unlock(&balloons_lock);
}

struct balloon *balloon_find(bool (*visit)(struct balloon *balloon, void *argument), void *argument, bool may_sleep)
{
	struct balloon *balloon, *found = NULL;

	if (may_sleep)
		mutex_lock(&balloons_lock);
	else if (!mutex_trylock(&balloons_lock))
		return NULL;
	list_for_each_entry(balloon, &balloons, node)
		if (!found && visit(balloon, argument))
			found = balloon;
	if (found && may_sleep)
		found->users++;
	mutex_unlock(&balloons_lock);
	return found;
}

/* Under a lock that outlives the balloon: who sees no users may free it, its own locks included. */
void balloon_put(struct balloon *balloon)
{
	mutex_lock(&balloons_lock);
	balloon->users--;
	mutex_unlock(&balloons_lock);
}

/* ---- /proc/balloon ---- */

static void show_one(struct balloon *balloon, struct sink *out)
{
	const struct balloon_counters *counters = &balloon->counters;

	sink_printf(out, "device %s%s\nmethod %s\n", balloon->dev->name, balloon->dev->broken ? " broken" : "",
		    balloon_methods[balloon_choose_method(balloon)]->name);
	sink_printf(out, "target %llu\nactual %llu\n", (unsigned long long)balloon->target_pages,
		    (unsigned long long)balloon_held_pages(balloon));
	for (unsigned int method = 0; method < NR_BALLOON_METHODS; method++)
		sink_printf(out, "held_%s %llu\n", balloon_methods[method]->name,
			    (unsigned long long)balloon->holds[method].nr_pages);
	sink_printf(out, "inflating %llu\ndeflating %llu\nstarved %u\n", (unsigned long long)balloon->inflating_pages,
		    (unsigned long long)balloon->deflating_pages, balloon->starved);
	sink_printf(out,
		    "inflated_total %llu\ndeflated_total %llu\nbatches %llu\nhinted_batches %llu\ntargets "
		    "%llu\nretries %llu\nstats %llu\noom %llu\nmigrated %llu\n",
		    (unsigned long long)counters->inflated_pages, (unsigned long long)counters->deflated_pages,
		    (unsigned long long)counters->batches, (unsigned long long)counters->hinted_batches,
		    (unsigned long long)counters->targets, (unsigned long long)counters->retries,
		    (unsigned long long)counters->stats_requests, (unsigned long long)counters->oom_pages,
		    (unsigned long long)counters->moved_pages);
	sink_printf(out, "hint_commands %lu\nhint_told_pages %lu\nhint_kept_pages %lu\n",
		    balloon->free_page_hint.commands, balloon->free_page_hint.told_pages,
		    balloon->free_page_hint.kept_pages);
}

static int show(struct sink *out, void *context UNUSED)
{
	struct balloon *balloon;

	mutex_lock(&balloons_lock);
	list_for_each_entry(balloon, &balloons, node) {
		mutex_lock(&balloon->lock);
		show_one(balloon, out);
		mutex_unlock(&balloon->lock);
	}
	mutex_unlock(&balloons_lock);
	return 0;
}

static const struct vfile_ops proc_balloon = {.show = show};

int balloon_init(void)
{
	int error = vfile_add("/proc/balloon", &proc_balloon, NULL);

	if (!error)
		error = vfile_add_choice("/sys/module/virtio_balloon/parameters/inflate", &inflate);
	if (!error)
		error = vfile_add_int("/sys/module/virtio_balloon/parameters/reserve_mib", &reserve_mib);
	if (!error)
		error = vfile_add_int("/sys/module/virtio_balloon/parameters/poison", &poison);
	if (!error)
		balloon_move_init();
	return error;
}

/* ---- checking ---- */

int balloon_check(void)
{
	struct balloon *balloon;
	int error = 0;

	mutex_lock(&balloons_lock);
	list_for_each_entry(balloon, &balloons, node) {
		mutex_lock(&balloon->lock);
		if (balloon_check_one(balloon))
			error = -EINVAL;
		mutex_unlock(&balloon->lock);
	}
	mutex_unlock(&balloons_lock);
	return error;
}
