/*
 * Settings as files: integers with a range, and choices by name.
 */
#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

static int int_show(struct sink *out, void *context)
{
	struct vfile_int *setting = context;

	sink_printf(out, "%lld\n", (long long)load_relaxed(&setting->value));
	return 0;
}

static int int_store(void *context, char *text, size_t length UNUSED)
{
	struct vfile_int *setting = context;
	int64_t value;

	if (parse_i64(text, &value)) {
		pr_err("setting: \"%s\" is no number: unchanged", text);
		return -EINVAL;
	}
	if ((value < setting->min || value > setting->max) && (value || !setting->or_zero)) {
		pr_err("setting: %lld is outside %lld..%lld%s: unchanged", (long long)value, (long long)setting->min,
		       (long long)setting->max, setting->or_zero ? " and not 0" : "");
		return -EINVAL;
	}
	store_relaxed(&setting->value, value);
	if (setting->changed)
		setting->changed(setting);
	return 0;
}

int vfile_add_int(const char *path, struct vfile_int *setting)
{
	static const struct vfile_ops ops = {.show = int_show, .store = int_store};

	return vfile_add(path, &ops, setting);
}

static int choice_show(struct sink *out, void *context)
{
	struct vfile_choice *choice = context;
	uint32_t chosen = load_relaxed(&choice->chosen);

	for (uint32_t i = 0; choice->names[i]; i++)
		sink_printf(out, i == chosen ? "%s[%s]" : "%s%s", i ? " " : "", choice->names[i]);
	sink_printf(out, "\n");
	return 0;
}

static bool find_choice(const struct vfile_choice *choice, const char *text, uint32_t *which)
{
	uint64_t number;
	uint32_t count = 0;

	for (; choice->names[count]; count++) {
		if (strcmp(choice->names[count], text) == 0) {
			*which = count;
			return true;
		}
	}
	if (parse_u64(text, &number) || number >= count)
		return false;
	*which = (uint32_t)number;
	return true;
}

static int choice_store(void *context, char *text, size_t length UNUSED)
{
	struct vfile_choice *choice = context;
	uint32_t which;
	int error;

	if (!find_choice(choice, text, &which)) {
		pr_err("setting: \"%s\" is none of the choices: unchanged", text);
		return -EINVAL;
	}
	error = choice->choose ? choice->choose(choice, which) : 0;
	if (!error)
		store_relaxed(&choice->chosen, which);
	return error;
}

int vfile_add_choice(const char *path, struct vfile_choice *choice)
{
	static const struct vfile_ops ops = {.show = choice_show, .store = choice_store};

	return vfile_add(path, &ops, choice);
}
