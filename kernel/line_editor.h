/*
 * Editing a line on a serial terminal: cursor keys, history, completion.
 */
#pragma once

#include "lib/format.h"

#define LINE_EDITOR_BYTES   512
#define LINE_EDITOR_HISTORY 32

struct line_editor {
	int (*read)(void); /* the next byte; may sleep */
	struct sink *out;
	bool echo; /* false: a machine types; nothing is shown, nothing is edited */
	const char *prompt;
	char line[LINE_EDITOR_BYTES];
	size_t length, cursor;
	bool returned; /* the last line ended in a carriage return: a line feed that follows belongs to it */
	char history[LINE_EDITOR_HISTORY][LINE_EDITOR_BYTES];
	size_t nr_history, browsing; /* browsing: how many entries back, 0: the new line */
};

void line_editor_init(struct line_editor *editor, int (*read)(void), struct sink *out, bool echo, const char *prompt);
/* Reads one line, without its end, into @line; a longer one is cut with a line that says so. May sleep. */
void line_editor_read(struct line_editor *editor, char *line, size_t size);
