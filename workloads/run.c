/*
 * The shell's `run`: finds a workload, cuts its parameters, runs it; with a & at the end, in the background: one at a
 * time, what it prints is dropped, `run wait` says how it ended. Ctrl-C ends it, as it does one in the foreground.
 */
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "workloads/workload.h"

extern const struct workload *const __start_kworkloads[] WEAK;
extern const struct workload *const __stop_kworkloads[] WEAK;

uint64_t workload_number(struct sink *out, struct workload_parameters *parameters, const char *key, uint64_t fallback)
{
	uint64_t value = fallback;

	for (size_t i = 0; i < parameters->count; i++) {
		if (strcmp(parameters->words[i].key, key) != 0)
			continue;
		parameters->words[i].used = true;
		if (parse_size(parameters->words[i].value, &value)) {
			sink_printf(out, "run: %s=%s is no number\n", key, parameters->words[i].value);
			parameters->wrong = true;
		}
	}
	return value;
}

const char *workload_word(struct workload_parameters *parameters, const char *key, const char *fallback)
{
	for (size_t i = 0; i < parameters->count; i++)
		if (strcmp(parameters->words[i].key, key) == 0) {
			parameters->words[i].used = true;
			return parameters->words[i].value;
		}
	return fallback;
}

int workload_parameters_end(struct sink *out, const struct workload_parameters *parameters)
{
	bool wrong = parameters->wrong;

	for (size_t i = 0; i < parameters->count; i++) {
		if (parameters->words[i].used)
			continue;
		sink_printf(out, "run: unknown parameter %s\n", parameters->words[i].key);
		wrong = true;
	}
	return wrong ? -EINVAL : 0;
}

static int parse_parameters(struct sink *out, int argc, char **argv, struct workload_parameters *parameters)
{
	*parameters = (struct workload_parameters){0};
	for (int i = 0; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (!equals || parameters->count == WORKLOAD_MAX_PARAMETERS) {
			sink_printf(out, "run: \"%s\": expected at most %d words key=value\n", argv[i],
				    WORKLOAD_MAX_PARAMETERS);
			return -EINVAL;
		}
		*equals = '\0';
		parameters->words[parameters->count].key = argv[i];
		parameters->words[parameters->count++].value = equals + 1;
	}
	return 0;
}

int workload_run(struct sink *out, int argc, char **argv)
{
	struct workload_parameters parameters;
	int error;

	for (const struct workload *const *at = __start_kworkloads; at < __stop_kworkloads; at++) {
		if (strcmp((*at)->name, argv[0]) != 0)
			continue;
		error = parse_parameters(out, argc - 1, argv + 1, &parameters);
		return error ? error : (*at)->run(out, &parameters);
	}
	sink_printf(out, "run: no workload %s (run alone lists them)\n", argv[0]);
	return -ENOENT;
}

/* ---- in the background; the shell's thread alone starts it and waits for it ---- */

static struct background {
	struct thread *thread; /* NULL: there is none */
	int argc;
	char *argv[WORKLOAD_MAX_PARAMETERS + 1];
	char words[256];
} background;

static void drop(struct sink *sink UNUSED, const char *text UNUSED, size_t length UNUSED)
{
}

static int run_in_background(void *argument UNUSED)
{
	struct sink nowhere = {.write = drop};

	return workload_run(&nowhere, background.argc, background.argv);
}

static int start_background(struct sink *out, int argc, char **argv)
{
	struct thread *thread;
	size_t used = 0;

	if (background.thread || argc > (int)ARRAY_SIZE(background.argv)) {
		sink_printf(out, "run: %s\n",
			    background.thread ? "one is in the background: run wait" : "too many words");
		return -EBUSY;
	}
	for (int i = 0; i < argc; i++) {
		size_t bytes = strlen(argv[i]) + 1;

		if (used + bytes > sizeof(background.words))
			return -E2BIG;
		background.argv[i] = memcpy(background.words + used, argv[i], bytes);
		used += bytes;
	}
	background.argc = argc;
	thread = thread_spawn("background", run_in_background, NULL);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	background.thread = thread;
	return 0;
}

static int wait_background(struct sink *out)
{
	struct thread *thread = background.thread;

	if (!thread) {
		sink_printf(out, "run: none is in the background\n");
		return -ENOENT;
	}
	background.thread = NULL;
	return thread_join(thread);
}

static int run_run(struct sink *out, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "wait") == 0)
		return wait_background(out);
	if (argc > 2 && strcmp(argv[argc - 1], "&") == 0)
		return start_background(out, argc - 2, argv + 1);
	if (argc > 1)
		return workload_run(out, argc - 1, argv + 1);
	for (const struct workload *const *at = __start_kworkloads; at < __stop_kworkloads; at++)
		sink_printf(out, "%-12s %-36s %s\n", (*at)->name, (*at)->parameters, (*at)->help);
	return 0;
}
SHELL_COMMAND(run, "[workload key=value... [&]] | wait", "runs a workload (&: in the background), or lists them",
	      run_run);
