/*
 * The shell: cuts lines into commands, finds them in the table, runs them, sends their output where it belongs.
 *
 *   line     := command { ";" command } [ "#" comment ]
 *   command  := word { word } [ ">" path | ">>" path ]
 *
 * Words are separated by blanks; "double quotes" keep blanks and the signs above (a quote that nothing closes is an
 * error, and the rest of the line is not run); $? is the last status. A command's
 * output to a file is collected first and written with one call, as the file wants it.
 */
#include "kernel/shell.h"

#include "kernel/cmdline.h"
#include "kernel/line_editor.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

#define LINE_BYTES    1024
#define MAX_ARGUMENTS 32

extern const struct shell_command *const __start_kshell_commands[], *const __stop_kshell_commands[];

static int last_status;
static bool interrupted;
static bool echo = true, prompt = true;

void shell_configure(void)
{
	echo = cmdline_bool("shell.echo", true);
	prompt = cmdline_bool("shell.prompt", true);
}

bool shell_interrupted(void)
{
	return load_relaxed(&interrupted);
}

void shell_interrupt(void)
{
	store_relaxed(&interrupted, true);
}

void shell_clear_interrupt(void)
{
	store_relaxed(&interrupted, false);
}

/* ---- commands ---- */

const struct shell_command *shell_find(const char *name)
{
	for (const struct shell_command *const *at = __start_kshell_commands; at < __stop_kshell_commands; at++)
		if (strcmp((*at)->name, name) == 0)
			return *at;
	return NULL;
}

static int help_run(struct sink *out, int argc, char **argv)
{
	for (const struct shell_command *const *at = __start_kshell_commands; at < __stop_kshell_commands; at++)
		if (argc < 2 || strcmp((*at)->name, argv[1]) == 0)
			sink_printf(out, "%-8s %-28s %s\n", (*at)->name, (*at)->arguments, (*at)->help);
	if (argc < 2)
		sink_printf(out,
			    "All else is files: ls /proc /sys. Lines: a; b > path # comment; $? is the last status.\n");
	return 0;
}
SHELL_COMMAND(help, "[command]", "this list", help_run);

/* ---- one command ---- */

struct parsed {
	int argc;
	char *argv[MAX_ARGUMENTS + 1];
	char *redirect; /* path or NULL */
	char status[16];
};

#define OPEN_QUOTE '"'

/*
 * A word at *@at, unquoted in place; NULL at the end of the command. Sets *@end_sign to ';', '>' or 0 if it ended
 * there, OPEN_QUOTE if the line ended within quotes.
 */
static char *take_word(char **at, char *end_sign)
{
	char *from, *to, *word;
	bool quoted = false;

	*end_sign = '\0';
	while (**at == ' ' || **at == '\t')
		(*at)++;
	from = to = word = *at;
	if (*from == '#')
		*from = '\0';
	for (; *from; from++) {
		if (*from == '"') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && strchr(" \t;>", *from))
			break;
		*to++ = *from;
	}
	if (*from == ' ' || *from == '\t')
		from++;
	else if (*from)
		*end_sign = *from++;
	else if (quoted)
		*end_sign = OPEN_QUOTE;
	*at = from;
	if (to == word && *end_sign == '\0' && **at == '\0')
		return NULL;
	*to = '\0';
	return word;
}

/* Cuts the next command off *@rest. 0, or -EINVAL, with the reason written to @out. */
static int parse_command(struct sink *out, char **rest, struct parsed *command)
{
	bool expect_path = false;
	char sign = '\0', *word;

	command->argc = 0;
	command->redirect = NULL;
	while (sign != ';' && (word = take_word(rest, &sign))) {
		if (sign == OPEN_QUOTE) {
			sink_printf(out, "shell: a quote is not closed before the line ends\n");
			return -EINVAL;
		}
		if (*word && expect_path) {
			command->redirect = word;
			expect_path = false;
		} else if (*word) {
			if (command->argc == MAX_ARGUMENTS) {
				sink_printf(out, "shell: more than %d words\n", MAX_ARGUMENTS);
				return -EINVAL;
			}
			if (strcmp(word, "$?") == 0) {
				format(command->status, sizeof(command->status), "%d", last_status);
				word = command->status;
			}
			command->argv[command->argc++] = word;
		}
		if (sign == '>')
			expect_path = true;
	}
	command->argv[command->argc] = NULL;
	if (!expect_path)
		return 0;
	sink_printf(out, "shell: a path is missing behind \">\"\n");
	return -EINVAL;
}

static int run_command(struct sink *out, struct parsed *command)
{
	const struct shell_command *found = shell_find(command->argv[0]);

	if (!found) {
		sink_printf(out, "%s: unknown command (help lists them)\n", command->argv[0]);
		return 127;
	}
	return found->run(out, command->argc, command->argv);
}

/* Collects the command's output, then writes the file. */
static int run_redirected(struct sink *out, struct parsed *command)
{
	char *buffer = kmalloc(VFILE_WRITE_MAX + 1);
	struct text collected;
	int status;

	if (!buffer)
		return -ENOMEM;
	text_init(&collected, buffer, VFILE_WRITE_MAX + 1);
	status = run_command(&collected.sink, command);
	if (status == 0 && collected.cut)
		status = -EFBIG;
	if (status == 0)
		status = vfile_write(command->redirect, buffer, collected.length);
	if (status < 0)
		sink_printf(out, "%s: %s\n", command->redirect, error_name(status));
	kfree(buffer);
	return status;
}

static void run_parsed(struct sink *out, struct parsed *command)
{
	shell_clear_interrupt();
	if (command->redirect) {
		last_status = run_redirected(out, command);
		return;
	}
	last_status = run_command(out, command);
	if (last_status < 0)
		sink_printf(out, "%s: %s\n", command->argv[0], error_name(last_status));
}

int shell_run_line(struct sink *out, const char *line)
{
	char copy[LINE_BYTES], *rest = copy;
	struct parsed command;

	if (string_copy(copy, line, sizeof(copy)) < 0) {
		sink_printf(out, "shell: the line is longer than %d bytes: not run\n", LINE_BYTES - 1);
		return last_status = -E2BIG;
	}
	while (*rest) {
		int error = parse_command(out, &rest, &command);

		if (error)
			return last_status = error;
		if (command.argc)
			run_parsed(out, &command);
	}
	return last_status;
}

int shell_run_text(struct sink *out, char *text)
{
	int status = 0;

	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (*line && line[strlen(line) - 1] == '\r')
			line[strlen(line) - 1] = '\0';
		status = shell_run_line(out, line);
	}
	return status;
}

/* ---- reading lines ---- */

/* A machine finds the end of a command's output by this line: nothing stands before it. */
static void show_status(void)
{
	console_end_line();
	if (!prompt)
		sink_printf(console_sink(), "=> %d\n", last_status);
}

void shell_loop(int (*read)(void))
{
	static struct line_editor editor;
	char line[LINE_BYTES];

	line_editor_init(&editor, read, console_sink_at_once(), echo, prompt ? "ballonet> " : "");
	for (;;) {
		line_editor_read(&editor, line, sizeof(line));
		shell_run_line(console_sink(), line);
		show_status();
	}
}
