/*
 * The shell's ways out.
 */
#include "arch/x86_64/platform.h"
#include "kernel/shell.h"
#include "lib/errno.h"
#include "lib/parse.h"

static int exit_run(struct sink *out UNUSED, int argc, char **argv)
{
	uint64_t status = 0;

	if (argc > 2 || (argc == 2 && parse_u64(argv[1], &status) != 0))
		return -EINVAL;
	machine_exit(status ? EXIT_FAILED : EXIT_PASSED);
}
SHELL_COMMAND(exit, "[status]", "leaves QEMU: 33, or 35 if the status is not 0", exit_run);

static int reset_run(struct sink *out UNUSED, int argc UNUSED, char **argv UNUSED)
{
	machine_reset();
}
SHELL_COMMAND(reset, "", "resets the machine", reset_run);
