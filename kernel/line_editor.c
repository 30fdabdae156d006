/*
 * The line editor. Keys are bytes or escape sequences, translated to actions by two tables; an action changes the line,
 * then the whole line is drawn again: simple, and cheap enough at a human's speed.
 */
#include "kernel/line_editor.h"

#include "kernel/shell.h"
#include "kernel/vfile.h"
#include "lib/string.h"

extern const struct shell_command *const __start_kshell_commands[], *const __stop_kshell_commands[];

void line_editor_init(struct line_editor *editor, int (*read)(void), struct sink *out, bool echo, const char *prompt)
{
	editor->read = read;
	editor->out = out;
	editor->echo = echo;
	editor->prompt = prompt;
	editor->nr_history = 0;
	editor->returned = false;
}

/* The next byte; of "\r\n" only the first. */
static int read_byte(struct line_editor *editor)
{
	int byte = editor->read();

	if (byte == '\n' && editor->returned)
		byte = editor->read();
	editor->returned = byte == '\r';
	return byte;
}

/* The line anew, the cursor where it belongs. */
static void redraw(struct line_editor *editor)
{
	sink_printf(editor->out, "\r%s%.*s\x1b[K", editor->prompt, (int)editor->length, editor->line);
	if (editor->length > editor->cursor)
		sink_printf(editor->out, "\x1b[%zuD", editor->length - editor->cursor);
}

/* ---- actions ---- */

static void insert(struct line_editor *editor, const char *text, size_t bytes)
{
	if (editor->length + bytes >= sizeof(editor->line))
		return;
	memmove(editor->line + editor->cursor + bytes, editor->line + editor->cursor, editor->length - editor->cursor);
	memcpy(editor->line + editor->cursor, text, bytes);
	editor->length += bytes;
	editor->cursor += bytes;
}

static void erase(struct line_editor *editor, size_t from, size_t to)
{
	memmove(editor->line + from, editor->line + to, editor->length - to);
	editor->length -= to - from;
	editor->cursor = from;
}

static void go_left(struct line_editor *editor)
{
	editor->cursor -= editor->cursor > 0;
}

static void go_right(struct line_editor *editor)
{
	editor->cursor += editor->cursor < editor->length;
}

static void go_home(struct line_editor *editor)
{
	editor->cursor = 0;
}

static void go_end(struct line_editor *editor)
{
	editor->cursor = editor->length;
}

static void erase_left(struct line_editor *editor)
{
	if (editor->cursor)
		erase(editor, editor->cursor - 1, editor->cursor);
}

static void erase_right(struct line_editor *editor)
{
	if (editor->cursor < editor->length)
		erase(editor, editor->cursor, editor->cursor + 1);
}

static void erase_to_end(struct line_editor *editor)
{
	erase(editor, editor->cursor, editor->length);
}

static void erase_to_home(struct line_editor *editor)
{
	erase(editor, 0, editor->cursor);
}

static void erase_word(struct line_editor *editor)
{
	size_t from = editor->cursor;

	while (from && editor->line[from - 1] == ' ')
		from--;
	while (from && editor->line[from - 1] != ' ')
		from--;
	erase(editor, from, editor->cursor);
}

static void clear_screen(struct line_editor *editor)
{
	sink_printf(editor->out, "\x1b[H\x1b[2J");
}

static void recall(struct line_editor *editor, size_t back)
{
	size_t available = MIN(editor->nr_history, (size_t)LINE_EDITOR_HISTORY);

	if (back > available)
		return;
	editor->browsing = back;
	editor->length = 0;
	if (back) {
		const char *old = editor->history[(editor->nr_history - back) % LINE_EDITOR_HISTORY];

		editor->length = strlen(old);
		memcpy(editor->line, old, editor->length);
	}
	editor->cursor = editor->length;
}

static void older(struct line_editor *editor)
{
	recall(editor, editor->browsing + 1);
}

static void newer(struct line_editor *editor)
{
	if (editor->browsing)
		recall(editor, editor->browsing - 1);
}

/* ---- completion ---- */

/* As vfile_complete(), over the commands' names. */
static size_t complete_command(char *word, size_t size, struct sink *out)
{
	size_t typed = strlen(word), matches = 0, shared = 0;
	const char *first = NULL;

	for (const struct shell_command *const *at = __start_kshell_commands; at < __stop_kshell_commands; at++) {
		const char *name = (*at)->name;

		if (strncmp(name, word, typed) != 0)
			continue;
		if (!first)
			first = name, shared = strlen(name);
		while (strncmp(first, name, shared) != 0)
			shared--;
		matches++;
	}
	for (const struct shell_command *const *at = __start_kshell_commands; at < __stop_kshell_commands; at++)
		if (matches > 1 && strncmp((*at)->name, word, typed) == 0)
			sink_printf(out, "%s ", (*at)->name);
	if (matches > 1)
		sink_printf(out, "\n");
	if (matches && shared + 2 <= size) {
		memcpy(word, first, shared);
		word[shared] = '\0';
	}
	return matches;
}

static void complete(struct line_editor *editor)
{
	char word[VFILE_PATH_MAX], candidates[1024];
	struct text shown;
	size_t from = editor->cursor, typed, matches;

	while (from && editor->line[from - 1] != ' ')
		from--;
	typed = editor->cursor - from;
	if (typed + 2 > sizeof(word))
		return;
	memcpy(word, editor->line + from, typed);
	word[typed] = '\0';
	text_init(&shown, candidates, sizeof(candidates));
	if (word[0] == '/')
		matches = vfile_complete(word, sizeof(word), &shown.sink);
	else
		matches = from == 0 ? complete_command(word, sizeof(word), &shown.sink) : 0;
	if (!matches)
		return;
	insert(editor, word + typed, strlen(word) - typed);
	if (matches == 1 && word[strlen(word) - 1] != '/')
		insert(editor, " ", 1);
	if (matches > 1 && strlen(word) == typed)
		sink_printf(editor->out, "\n%s", candidates);
}

/* ---- keys ---- */

#define CONTROL(letter) ((letter)&0x1f)

static const struct {
	int key;
	void (*action)(struct line_editor *editor);
} byte_keys[] = {
	{CONTROL('A'), go_home},       {CONTROL('E'), go_end},
	{CONTROL('B'), go_left},       {CONTROL('F'), go_right},
	{CONTROL('H'), erase_left},    {0x7f, erase_left},
	{CONTROL('D'), erase_right},   {CONTROL('K'), erase_to_end},
	{CONTROL('U'), erase_to_home}, {CONTROL('W'), erase_word},
	{CONTROL('L'), clear_screen},  {CONTROL('P'), older},
	{CONTROL('N'), newer},	       {'\t', complete},
};

/* What follows "ESC [" or "ESC O". */
static const struct {
	const char *sequence;
	void (*action)(struct line_editor *editor);
} escape_keys[] = {
	{"A", older},	 {"B", newer},	 {"C", go_right},     {"D", go_left},  {"H", go_home}, {"F", go_end},
	{"1~", go_home}, {"4~", go_end}, {"3~", erase_right}, {"7~", go_home}, {"8~", go_end},
};

static void escape_key(struct line_editor *editor)
{
	char sequence[8];
	size_t length = 0;
	int byte = editor->read();

	if (byte != '[' && byte != 'O')
		return;
	do {
		byte = editor->read();
		sequence[length++] = (char)byte;
	} while (length < sizeof(sequence) - 1 && byte >= '0' && byte <= ';');
	sequence[length] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(escape_keys); i++)
		if (strcmp(escape_keys[i].sequence, sequence) == 0)
			escape_keys[i].action(editor);
}

static void key(struct line_editor *editor, int byte)
{
	char letter = (char)byte;

	if (byte == 0x1b) {
		escape_key(editor);
		redraw(editor);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(byte_keys); i++) {
		if (byte_keys[i].key == byte) {
			byte_keys[i].action(editor);
			redraw(editor);
			return;
		}
	}
	if (byte < ' ')
		return;
	insert(editor, &letter, 1);
	if (editor->cursor == editor->length)
		sink_write(editor->out, &letter, 1);
	else
		redraw(editor);
}

static void remember(struct line_editor *editor)
{
	char *slot = editor->history[editor->nr_history % LINE_EDITOR_HISTORY];
	const char *last = editor->history[(editor->nr_history - 1) % LINE_EDITOR_HISTORY];

	if (!editor->length || (editor->nr_history && strcmp(last, editor->line) == 0))
		return;
	string_copy(slot, editor->line, LINE_EDITOR_BYTES);
	editor->nr_history++;
}

/* A machine's line: bytes up to the end of the line; Ctrl-C forgets those before it. */
static void read_raw(struct line_editor *editor, char *line, size_t size)
{
	size_t length = 0;
	int byte;

	while ((byte = read_byte(editor)) != '\n' && byte != '\r') {
		if (byte == CONTROL('C'))
			length = 0;
		else if (length++ < size - 1)
			line[length - 1] = (char)byte;
	}
	line[MIN(length, size - 1)] = '\0';
	if (length >= size)
		sink_printf(editor->out, "shell: the line was longer than %zu bytes: cut\n", size - 1);
}

void line_editor_read(struct line_editor *editor, char *line, size_t size)
{
	int byte;

	if (!editor->echo) {
		sink_printf(editor->out, "%s", editor->prompt);
		read_raw(editor, line, size);
		return;
	}
	editor->length = editor->cursor = editor->browsing = 0;
	redraw(editor);
	while ((byte = read_byte(editor)) != '\n' && byte != '\r') {
		if (byte == CONTROL('C')) {
			editor->length = editor->cursor = 0;
			sink_printf(editor->out, "^C\n");
			redraw(editor);
		} else {
			key(editor, byte);
		}
	}
	editor->line[editor->length] = '\0';
	sink_printf(editor->out, "\n");
	remember(editor);
	string_copy(line, editor->line, size);
}
