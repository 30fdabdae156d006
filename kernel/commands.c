/*
 * The shell's commands for files, time, threads, the log and tests, in both worlds. (exit: init/, which knows how.)
 */
#include "kernel/ktest.h"
#include "kernel/lock_order.h"
#include "kernel/printk.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vfile.h"
#include "lib/parse.h"
#include "lib/string.h"

/* Runs @each on every argument; the first error. */
static int each_argument(int argc, char **argv, int (*each)(const char *argument))
{
	int first = argc < 2 ? -EINVAL : 0;

	for (int i = 1; i < argc; i++) {
		int error = each(argv[i]);

		first = first ? first : error;
	}
	return first;
}

static int cat_run(struct sink *out, int argc, char **argv)
{
	int first = argc < 2 ? -EINVAL : 0;

	for (int i = 1; i < argc; i++) {
		int error = vfile_read(argv[i], out);

		if (error)
			sink_printf(out, "cat: %s: %s\n", argv[i], error_name(error));
		first = first ? first : error;
	}
	return first;
}
SHELL_COMMAND(cat, "file...", "shows files", cat_run);

static int ls_run(struct sink *out, int argc, char **argv)
{
	return vfile_list(argc > 1 ? argv[1] : "/", out);
}
SHELL_COMMAND(ls, "[directory]", "what there is; directories end in /", ls_run);

static int echo_run(struct sink *out, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		sink_printf(out, "%s%s", i > 1 ? " " : "", argv[i]);
	sink_printf(out, "\n");
	return 0;
}
SHELL_COMMAND(echo, "[word...] [> file]", "shows its words, or writes them to a file", echo_run);

static int mkdir_run(struct sink *out UNUSED, int argc, char **argv)
{
	return each_argument(argc, argv, vfile_make_dir);
}
SHELL_COMMAND(mkdir, "directory...", "makes directories where that means something (cgroups)", mkdir_run);

static int rmdir_run(struct sink *out UNUSED, int argc, char **argv)
{
	return each_argument(argc, argv, vfile_remove_dir);
}
SHELL_COMMAND(rmdir, "directory...", "removes them", rmdir_run);

static int dmesg_run(struct sink *out, int argc UNUSED, char **argv UNUSED)
{
	log_show(out);
	return 0;
}
SHELL_COMMAND(dmesg, "", "the kernel log", dmesg_run);

static int ps_run(struct sink *out, int argc UNUSED, char **argv UNUSED)
{
	thread_show_all(out);
	return 0;
}
SHELL_COMMAND(ps, "", "the threads", ps_run);

/* Seconds, or with a unit: 10ms, 500us. */
static int parse_duration(const char *text, uint64_t *ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}};
	size_t digits = 0;
	char number[24];
	uint64_t value, unit = NS_PER_S;

	while (text[digits] >= '0' && text[digits] <= '9')
		digits++;
	if (digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (text[digits])
		unit = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(text + digits, units[i].suffix) == 0)
			unit = units[i].ns;
	if (!unit || parse_u64(number, &value) || value > UINT64_MAX / unit)
		return -EINVAL;
	*ns = value * unit;
	return 0;
}

static int sleep_run(struct sink *out UNUSED, int argc, char **argv)
{
	uint64_t ns, end;

	if (argc != 2 || parse_duration(argv[1], &ns))
		return -EINVAL;
	end = time_ns() + ns;
	while (time_ns() < end) {
		if (shell_interrupted())
			return -EINTR;
		sleep_ns(MIN(end - time_ns(), 50 * NS_PER_MS));
	}
	return 0;
}
SHELL_COMMAND(sleep, "seconds|10ms|50us", "waits", sleep_run);

static int time_run(struct sink *out, int argc, char **argv)
{
	const struct shell_command *command = argc > 1 ? shell_find(argv[1]) : NULL;
	uint64_t start = time_ns(), us;
	int status;

	if (!command)
		return -EINVAL;
	status = command->run(out, argc - 1, argv + 1);
	us = (time_ns() - start) / NS_PER_US;
	sink_printf(out, "time: %llu.%06llu s\n", (unsigned long long)(us / 1000000),
		    (unsigned long long)(us % 1000000));
	return status;
}
SHELL_COMMAND(time, "command...", "runs a command and says how long it took", time_run);

static int test_run(struct sink *out, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-l") == 0) {
		ktest_list(out);
		return 0;
	}
	return ktest_run(argc > 1 ? argv[1] : "*", out).failed ? 1 : 0;
}
SHELL_COMMAND(test, "[pattern|-l]", "runs the tests that match suite.name", test_run);
