/*
 * The shell on the serial console: few commands, all else is files.
 *
 * Lines: commands separated by ";", words by blanks, quotes keep blanks, "#" begins a comment, "> path" and ">> path"
 * send a command's output to a file, "$?" is the last status. Editing: arrows, Home/End, ^A ^E ^K ^U ^W ^L, history,
 * Tab completes commands and paths. With shell.echo=off shell.prompt=off every command is followed by "=> <status>".
 */
#pragma once

#include "lib/format.h"

/* 0 or -errno (shown as a line "name: -EINVAL"), or a positive status of the command's own. */
struct shell_command {
	const char *name, *arguments, *help; /* help: one line */
	int (*run)(struct sink *out, int argc, char **argv);
};

#define SHELL_COMMAND(name_, arguments_, help_, run_)                                               \
	static const struct shell_command shell_command_##name_ = {                                 \
		.name = #name_, .arguments = (arguments_), .help = (help_), .run = (run_)};         \
	static const struct shell_command *const shell_entry_##name_ TABLE_ENTRY(kshell_commands) = \
		&shell_command_##name_

/* Takes shell.echo= and shell.prompt= from the command line; before cmdline_apply(), which warns of what is left. */
void shell_configure(void);
/* Runs one line, output to @out; the last command's status. */
int shell_run_line(struct sink *out, const char *line);
/* Runs all lines of @text, which is modified; the last command's status. */
int shell_run_text(struct sink *out, char *text);
/* Reads and runs lines for ever. @read gives the next byte and may sleep. */
void shell_loop(int (*read)(void)) NORETURN;
/* Ctrl-C was typed since the command began: long commands look at it and return -EINTR. */
bool shell_interrupted(void);
/* From the console's receive interrupt, and before each command. */
void shell_interrupt(void);
void shell_clear_interrupt(void);
/* NULL: unknown. */
const struct shell_command *shell_find(const char *name);
