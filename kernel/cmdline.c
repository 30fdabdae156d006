/*
 * The kernel command line.
 *
 * The text is kept as it came, and cut into words in a second copy; a word is key, "=" and value, and remembers whether
 * somebody took it. No memory is allocated: it is read before there is any.
 */
#include "kernel/cmdline.h"

#include "kernel/boot_info.h"
#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

#define MAX_WORDS 128

static char text[BOOT_CMDLINE_SIZE], words[BOOT_CMDLINE_SIZE];

static struct cmdline_word {
	const char *key, *value; /* value: "" for a bare key */
	bool taken;
} table[MAX_WORDS];
static size_t nr_words;

static void add_word(char *word)
{
	char *equals = strchr(word, '=');

	if (nr_words == MAX_WORDS) {
		pr_warn("command line: more than %d words: \"%s\" is ignored", MAX_WORDS, word);
		return;
	}
	if (equals)
		*equals = '\0';
	table[nr_words++] = (struct cmdline_word){.key = word, .value = equals ? equals + 1 : ""};
}

void cmdline_init(const char *given)
{
	char *rest = words, *word;

	nr_words = 0;
	if (string_copy(text, given, sizeof(text)) < 0)
		pr_warn("command line: cut to %zu bytes", sizeof(text) - 1);
	string_copy(words, text, sizeof(words));
	while ((word = parse_word(&rest)) && strcmp(word, "--") != 0)
		add_word(word);
}

const char *cmdline_text(void)
{
	return text;
}

const char *cmdline_value(const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < nr_words; i++) {
		if (strcmp(table[i].key, key) != 0)
			continue;
		table[i].taken = true;
		value = table[i].value;
	}
	return value;
}

uint64_t cmdline_u64(const char *key, uint64_t fallback)
{
	const char *value = cmdline_value(key);
	uint64_t number;

	if (!value)
		return fallback;
	if (parse_size(value, &number)) {
		pr_err("command line: %s=%s is no number: using %llu", key, value, (unsigned long long)fallback);
		return fallback;
	}
	return number;
}

bool cmdline_bool(const char *key, bool fallback)
{
	const char *value = cmdline_value(key);
	bool result;

	if (!value)
		return fallback;
	if (*value == '\0')
		return true;
	if (parse_bool(value, &result)) {
		pr_err("command line: %s=%s is neither on nor off: using %s", key, value, fallback ? "on" : "off");
		return fallback;
	}
	return result;
}

void cmdline_each(const char *key, void (*each)(const char *value, void *context), void *context)
{
	for (size_t i = 0; i < nr_words; i++) {
		if (strcmp(table[i].key, key) == 0) {
			table[i].taken = true;
			each(table[i].value, context);
		}
	}
}

/* ---- keys that are files ---- */

/* The file behind a key: sysctl.a.b is /proc/sys/a/b, module.param is /sys/module/module/parameters/param. */
static bool key_to_path(const char *key, char *path, size_t size)
{
	const char *dot = strchr(key, '.');
	int length;

	if (!dot)
		return false;
	if (string_starts(key, "sysctl.")) {
		length = format(path, size, "/proc/sys/%s", dot + 1);
		for (char *c = path + strlen("/proc/sys/"); *c; c++)
			if (*c == '.')
				*c = '/';
	} else {
		length = format(path, size, "/sys/module/%.*s/parameters/%s", (int)(dot - key), key, dot + 1);
	}
	return length < (int)size;
}

static void apply_word(struct cmdline_word *word)
{
	char path[VFILE_PATH_MAX];
	int error;

	if (!key_to_path(word->key, path, sizeof(path))) {
		pr_warn("command line: nobody knows \"%s\": ignored", word->key);
		return;
	}
	error = vfile_write(path, word->value, strlen(word->value));
	if (error == -ENOENT)
		pr_warn("command line: nobody knows \"%s\" (no %s): ignored", word->key, path);
	else if (error)
		pr_err("command line: %s=%s: %s: unchanged", word->key, word->value, error_name(error));
}

void cmdline_apply(void)
{
	for (size_t i = 0; i < nr_words; i++) {
		if (table[i].taken || strcmp(table[i].key, "BOOT_IMAGE") == 0)
			continue;
		table[i].taken = true;
		apply_word(&table[i]);
	}
}
