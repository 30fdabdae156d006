/*
 * The files under /sys/kernel/tracing, in Linux's text, and the shell's `trace`.
 */
#include "kernel/cpu.h"
#include "kernel/shell.h"
#include "kernel/time.h"
#include "kernel/trace_internal.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

#define TRACING "/sys/kernel/tracing"

/* Weak: a build without any event has no table. */
extern struct trace_event *const __start_ktrace_events[] WEAK;
extern struct trace_event *const __stop_ktrace_events[] WEAK;

/* ---- trace ---- */

static struct vfile_int classic = {.min = 0, .max = 1};

static void show_event(struct sink *out, const struct trace_event *event, const void *record)
{
	bool old = load_relaxed(&classic.value) && event->show_classic;

	sink_printf(out, "%s: ", event->name);
	(old ? event->show_classic : event->show)(out, record);
}

static void show_flags(struct sink *out, const struct trace_header *header)
{
	if (!load_relaxed(&classic.value))
		sink_printf(out, " %c.%c%c.", header->irqs_off ? 'd' : '.', header->in_interrupt ? 'h' : '.',
			    header->preempt_off ? '1' : '.');
}

static void show_record(unsigned int cpu, const struct trace_header *header, const void *record, void *context)
{
	struct sink *out = context;
	uint64_t us = header->time_ns / NS_PER_US;

	sink_printf(out, "%16s-%-7u [%03u]", header->thread_name, header->thread_id, cpu);
	show_flags(out, header);
	sink_printf(out, " %5llu.%06llu: ", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
	if (header->event)
		show_event(out, header->event, record);
	else
		sink_printf(out, "tracing_mark_write: %.*s", (int)header->record_bytes, (const char *)record);
	sink_printf(out, "\n");
}

static int trace_show(struct sink *out, void *context UNUSED)
{
	struct trace_totals totals;

	trace_rings_totals(&totals);
	sink_printf(out, "# tracer: nop\n#\n# entries-in-buffer/entries-written: %llu/%llu   #P:%u\n#\n",
		    (unsigned long long)totals.in_rings, (unsigned long long)totals.written, cpu_count());
	sink_printf(out, "#                                _-----=> irqs-off/BH-disabled\n"
			 "#                               / _----=> need-resched\n"
			 "#                              | / _---=> hardirq/softirq\n"
			 "#                              || / _--=> preempt-depth\n"
			 "#                              ||| / _-=> migrate-disable\n"
			 "#                              |||| /     delay\n"
			 "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
			 "#              | |         |   |||||     |         |\n");
	return trace_rings_each(show_record, out);
}

static int trace_store(void *context UNUSED, char *text UNUSED, size_t length UNUSED)
{
	trace_rings_clear();
	return 0;
}

static int recording_show(struct sink *out, void *context UNUSED)
{
	sink_printf(out, "%d\n", trace_recording());
	return 0;
}

static int recording_store(void *context UNUSED, char *text, size_t length UNUSED)
{
	bool on;

	if (parse_bool(text, &on))
		return -EINVAL;
	trace_set_recording(on);
	return 0;
}

static int marker_store(void *context UNUSED, char *text, size_t length)
{
	int error = trace_rings_make();

	if (!error)
		trace_mark(text, length);
	return error;
}

static int size_show(struct sink *out, void *context UNUSED)
{
	sink_printf(out, "%llu\n", (unsigned long long)(trace_rings_bytes() >> 10));
	return 0;
}

static int size_store(void *context UNUSED, char *text, size_t length UNUSED)
{
	uint64_t kib;

	if (parse_u64(text, &kib) || kib == 0 || kib > 4096)
		return -EINVAL;
	return trace_rings_set_bytes(kib << 10);
}

static int available_show(struct sink *out, void *context UNUSED)
{
	for (struct trace_event *const *at = __start_ktrace_events; at < __stop_ktrace_events; at++)
		sink_printf(out, "%s:%s\n", (*at)->system, (*at)->name);
	return 0;
}

/* ---- enabling ---- */

/* All events of @system (NULL: all) whose names match. How many. */
static size_t enable_matching(const char *system, const char *pattern, bool on)
{
	size_t count = 0;

	for (struct trace_event *const *at = __start_ktrace_events; at < __stop_ktrace_events; at++) {
		if ((system && strcmp((*at)->system, system) != 0) || !glob_match(pattern, (*at)->name))
			continue;
		if (on)
			atomic_fetch_or(&(*at)->enabled, (uint8_t)TRACE_TO_RINGS);
		else
			atomic_fetch_and(&(*at)->enabled, (uint8_t)~TRACE_TO_RINGS);
		count++;
	}
	return count;
}

static int enable_parsed(char *text, const char *system, const char *pattern)
{
	bool on;
	int error = parse_bool(text, &on) ? -EINVAL : 0;

	if (!error && on)
		error = trace_rings_make();
	if (!error)
		enable_matching(system, pattern, on);
	return error;
}

static bool is_on(const struct trace_event *event)
{
	return load_relaxed(&event->enabled) & TRACE_TO_RINGS;
}

static int event_enable_show(struct sink *out, void *context)
{
	sink_printf(out, "%d\n", is_on(context));
	return 0;
}

static int event_enable_store(void *context, char *text, size_t length UNUSED)
{
	struct trace_event *event = context;

	return enable_parsed(text, event->system, event->name);
}

struct field_type {
	const char *name;
	uint8_t bytes;
	bool is_signed;
};

static const struct field_type field_types[] = {
	{"uint64_t", 8, false}, {"int64_t", 8, true},  {"uint32_t", 4, false}, {"int32_t", 4, true},
	{"uint16_t", 2, false}, {"uint8_t", 1, false}, {"bool", 1, false},
};

/* Whatever is not in the table is a pointer: a pointer is what records have besides. */
static struct field_type field_type_of(const char *declaration)
{
	for (size_t at = 0; at < ARRAY_SIZE(field_types); at++)
		if (strncmp(declaration, field_types[at].name, strlen(field_types[at].name)) == 0)
			return field_types[at];
	return (struct field_type){"pointer", 8, false};
}

/* One "type name;" of the record as Linux shows it; what follows behind it. */
static const char *show_field(struct sink *out, const char *at, unsigned int *offset)
{
	struct field_type type;
	int length = 0;

	while (*at == ' ')
		at++;
	while (at[length] && at[length] != ';')
		length++;
	if (!at[length])
		return NULL;
	type = field_type_of(at);
	*offset = (unsigned int)ALIGN_UP(*offset, type.bytes);
	sink_printf(out, "\tfield:%.*s;\toffset:%u;\tsize:%u;\tsigned:%d;\n", length, at, *offset, type.bytes,
		    type.is_signed);
	*offset += type.bytes;
	return at + length + 1;
}

/* "r->" of the source is "REC->" to readers. */
static void show_arguments(struct sink *out, const char *text)
{
	for (; *text; text++)
		if (strncmp(text, "r->", 3) == 0) {
			sink_printf(out, "REC->");
			text += 2;
		} else {
			sink_printf(out, "%c", *text);
		}
}

static int event_format_show(struct sink *out, void *context)
{
	const struct trace_event *event = context;
	unsigned int offset = 0;

	sink_printf(out, "name: %s\nformat:\n", event->name);
	for (const char *at = event->fields; at;)
		at = show_field(out, at, &offset);
	sink_printf(out, "\nprint fmt: \"%s\", ", event->format);
	show_arguments(out, event->arguments);
	sink_printf(out, "\n");
	return 0;
}

/* "0", "1", or "X" if only some are on; @context is the system's name or NULL for all. */
static int system_enable_show(struct sink *out, void *context)
{
	size_t on = 0, all = 0;

	for (struct trace_event *const *at = __start_ktrace_events; at < __stop_ktrace_events; at++) {
		if (context && strcmp((*at)->system, context) != 0)
			continue;
		all++;
		on += is_on(*at);
	}
	sink_printf(out, "%s\n", on == 0 ? "0" : on == all ? "1" : "X");
	return 0;
}

static int system_enable_store(void *context, char *text, size_t length UNUSED)
{
	return enable_parsed(text, context, "*");
}

/* ---- registration ---- */

static const struct vfile_ops event_enable = {.show = event_enable_show, .store = event_enable_store};
static const struct vfile_ops event_format = {.show = event_format_show};
static const struct vfile_ops system_enable = {.show = system_enable_show, .store = system_enable_store};

static const struct {
	const char *path;
	struct vfile_ops ops;
} files[] = {
	{TRACING "/available_events", {.show = available_show}},
	{TRACING "/buffer_size_kb", {.show = size_show, .store = size_store}},
	{TRACING "/trace", {.show = trace_show, .store = trace_store}},
	{TRACING "/trace_marker", {.store = marker_store}},
	{TRACING "/tracing_on", {.show = recording_show, .store = recording_store}},
};

static int add_event(struct trace_event *event)
{
	char path[VFILE_PATH_MAX];
	int error;

	format(path, sizeof(path), TRACING "/events/%s/enable", event->system);
	error = vfile_add(path, &system_enable, (void *)event->system);
	if (error && error != -EEXIST)
		return error;
	format(path, sizeof(path), TRACING "/events/%s/%s/enable", event->system, event->name);
	error = vfile_add(path, &event_enable, event);
	if (error)
		return error;
	format(path, sizeof(path), TRACING "/events/%s/%s/format", event->system, event->name);
	return vfile_add(path, &event_format, event);
}

int trace_init(void)
{
	int error = vfile_add(TRACING "/events/enable", &system_enable, NULL);

	if (!error)
		error = vfile_add_int(TRACING "/options/classic", &classic);
	for (size_t i = 0; !error && i < ARRAY_SIZE(files); i++)
		error = vfile_add(files[i].path, &files[i].ops, NULL);
	for (struct trace_event *const *at = __start_ktrace_events; !error && at < __stop_ktrace_events; at++)
		error = add_event(*at);
	return error;
}

/* ---- the shell's command ---- */

static int trace_run(struct sink *out, int argc, char **argv)
{
	const char *pattern = argc > 2 ? argv[2] : "*";
	int error;

	if (argc < 2 || strcmp(argv[1], "show") == 0)
		return trace_show(out, NULL);
	if (strcmp(argv[1], "clear") == 0)
		return trace_store(NULL, NULL, 0);
	if (strcmp(argv[1], "on") != 0 && strcmp(argv[1], "off") != 0)
		return -EINVAL;
	error = trace_rings_make();
	if (error)
		return error;
	if (enable_matching(NULL, pattern, strcmp(argv[1], "on") == 0))
		return 0;
	sink_printf(out, "trace: no event matches %s (see " TRACING "/available_events)\n", pattern);
	return -ENOENT;
}
SHELL_COMMAND(trace, "[show|clear|on|off] [events]", "events by name, e.g. trace on mm_*", trace_run);
