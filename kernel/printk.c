/*
 * The kernel log and the consoles.
 *
 * The log is a ring of bytes: each record is a level, a time and a line. One spin lock, taken with interrupts off,
 * serialises ring and consoles, so that lines are never torn; while panicking nobody takes it. A console that comes
 * late is shown what is in the ring.
 *
 * What is written through console_sink() (shell, KTAP) comes in pieces; they are kept until their line ends, so a log
 * line falls between two lines, never into one. A prompt must be seen at once: the other sink writes through, and a log
 * line that comes while a line stands unfinished on the consoles begins a line of its own.
 */
#include "kernel/printk.h"

#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "lib/string.h"

#define LOG_RING_BYTES	65536u /* a power of two */
#define LOG_LINE_BYTES	480
#define SINK_LINE_BYTES 5000 /* the longest line that is kept whole: a command line in /proc/cmdline */
#define PANIC_TURNS	(1u << 20)
#define NOT_TAKEN	(~0ul)

struct log_record {
	uint64_t time_ns;
	uint16_t length;
	uint8_t level;
};

static struct {
	struct spinlock lock;
	uint64_t head, tail; /* bytes ever written, bytes ever dropped */
	char bytes[LOG_RING_BYTES];
	struct console *consoles;
	enum log_level console_level;
	bool mid_line; /* the last thing on the consoles did not end a line */
	char kept[SINK_LINE_BYTES];
	size_t kept_bytes; /* of a line that has not ended yet */
} log_ring = {.lock = SPINLOCK_INIT("log"), .console_level = LOG_DEBUG};

static unsigned long log_lock(void)
{
	return panicking() ? NOT_TAKEN : spin_lock_irqsave(&log_ring.lock);
}

static void log_unlock(unsigned long flags)
{
	if (flags != NOT_TAKEN)
		spin_unlock_irqrestore(&log_ring.lock, flags);
}

void log_begin_panic(void)
{
	for (uint32_t turn = 0; turn < PANIC_TURNS && spin_is_locked(&log_ring.lock); turn++)
		cpu_relax();
}

/* ---- the ring ---- */

static void ring_copy_out(uint64_t from, void *to, size_t bytes)
{
	size_t at = from % LOG_RING_BYTES, first = MIN(bytes, LOG_RING_BYTES - at);

	memcpy(to, log_ring.bytes + at, first);
	memcpy((char *)to + first, log_ring.bytes, bytes - first);
}

static void ring_append(const void *from, size_t bytes)
{
	size_t at = log_ring.head % LOG_RING_BYTES, first = MIN(bytes, LOG_RING_BYTES - at);

	memcpy(log_ring.bytes + at, from, first);
	memcpy(log_ring.bytes, (const char *)from + first, bytes - first);
	log_ring.head += bytes;
}

static void ring_drop_oldest(void)
{
	struct log_record record;

	ring_copy_out(log_ring.tail, &record, sizeof(record));
	log_ring.tail += sizeof(record) + record.length;
}

static void ring_add(enum log_level level, uint64_t time_ns, const char *line, size_t length)
{
	struct log_record record = {.time_ns = time_ns, .length = (uint16_t)length, .level = (uint8_t)level};

	while (log_ring.head + sizeof(record) + length - log_ring.tail > LOG_RING_BYTES)
		ring_drop_oldest();
	ring_append(&record, sizeof(record));
	ring_append(line, length);
}

/* ---- the consoles ---- */

static void consoles_write(const char *text, size_t length)
{
	if (length == 0)
		return;
	for (struct console *console = log_ring.consoles; console; console = console->next)
		console->write(console, text, length);
	log_ring.mid_line = text[length - 1] != '\n';
}

static int format_stamped(char *to, size_t size, uint64_t time_ns, const char *line)
{
	uint64_t us = time_ns / NS_PER_US;
	int length = format(to, size, "[%5llu.%06llu] %s\n", (unsigned long long)(us / 1000000),
			    (unsigned long long)(us % 1000000), line);

	if (length >= (int)size) {
		to[size - 2] = '\n';
		length = (int)size - 1;
	}
	return length;
}

static void console_line(uint64_t time_ns, const char *line)
{
	char stamped[LOG_LINE_BYTES + 32];
	int length = format_stamped(stamped, sizeof(stamped), time_ns, line);

	if (log_ring.mid_line)
		consoles_write("\n", 1);
	consoles_write(stamped, (size_t)length);
}

void printk(enum log_level level, const char *fmt, ...)
{
	uint64_t now = time_ns();
	char line[LOG_LINE_BYTES];
	unsigned long flags;
	va_list args;
	int length;

	va_start(args, fmt);
	length = format_v(line, sizeof(line), fmt, args);
	va_end(args);
	flags = log_lock();
	ring_add(level, now, line, MIN((size_t)length, sizeof(line) - 1));
	if (level < log_ring.console_level)
		console_line(now, line);
	log_unlock(flags);
}

void log_set_console_level(enum log_level level)
{
	log_ring.console_level = level;
}

/* ---- text that is no log line ---- */

static void write_kept(void)
{
	size_t bytes = MIN(log_ring.kept_bytes, sizeof(log_ring.kept)); /* a panic may find it half changed */

	log_ring.kept_bytes = 0;
	consoles_write(log_ring.kept, bytes);
}

static void keep(const char *text, size_t length)
{
	if (log_ring.kept_bytes + length > sizeof(log_ring.kept))
		write_kept();
	if (length > sizeof(log_ring.kept)) {
		consoles_write(text, length);
		return;
	}
	memcpy(log_ring.kept + log_ring.kept_bytes, text, length);
	log_ring.kept_bytes += length;
}

static void write_lines(struct sink *sink UNUSED, const char *text, size_t length)
{
	unsigned long flags = log_lock();
	size_t whole = length; /* up to the last line's end */

	while (whole && text[whole - 1] != '\n' && !panicking())
		whole--;
	if (whole) {
		write_kept();
		consoles_write(text, whole);
	}
	keep(text + whole, length - whole);
	log_unlock(flags);
}

static void write_at_once(struct sink *sink UNUSED, const char *text, size_t length)
{
	unsigned long flags = log_lock();

	write_kept();
	consoles_write(text, length);
	log_unlock(flags);
}

struct sink *console_sink(void)
{
	static struct sink sink = {.write = write_lines};

	return &sink;
}

struct sink *console_sink_at_once(void)
{
	static struct sink sink = {.write = write_at_once};

	return &sink;
}

void console_end_line(void)
{
	unsigned long flags = log_lock();

	write_kept();
	if (log_ring.mid_line)
		consoles_write("\n", 1);
	log_unlock(flags);
}

/* ---- showing what is in the ring ---- */

/* The record at *@at and its line; moves *@at behind it. */
static struct log_record record_get(uint64_t *at, char *line)
{
	struct log_record record;

	ring_copy_out(*at, &record, sizeof(record));
	ring_copy_out(*at + sizeof(record), line, record.length);
	line[record.length] = '\0';
	*at += sizeof(record) + record.length;
	return record;
}

void log_show(struct sink *out)
{
	char line[LOG_LINE_BYTES], stamped[LOG_LINE_BYTES + 32];
	struct log_record record = {0};
	uint64_t at = 0;

	for (;;) {
		unsigned long flags = log_lock();
		bool more;

		at = MAX(at, log_ring.tail);
		more = at < log_ring.head;
		if (more)
			record = record_get(&at, line);
		log_unlock(flags);
		if (!more)
			return;
		/* Outside the lock: the sink may be the console. */
		sink_write(out, stamped, (size_t)format_stamped(stamped, sizeof(stamped), record.time_ns, line));
	}
}

void console_register(struct console *console)
{
	char line[LOG_LINE_BYTES], stamped[LOG_LINE_BYTES + 32];
	unsigned long flags = log_lock();

	for (uint64_t at = log_ring.tail; at < log_ring.head;) {
		struct log_record record = record_get(&at, line);
		int length = format_stamped(stamped, sizeof(stamped), record.time_ns, line);

		if (record.level < log_ring.console_level)
			console->write(console, stamped, (size_t)length);
	}
	console->next = log_ring.consoles;
	log_ring.consoles = console;
	log_unlock(flags);
}

void console_unregister(struct console *console)
{
	unsigned long flags = log_lock();

	for (struct console **at = &log_ring.consoles; *at; at = &(*at)->next) {
		if (*at == console) {
			*at = console->next;
			break;
		}
	}
	log_unlock(flags);
}

bool ratelimit_allow(struct ratelimit *limit, uint32_t burst)
{
	uint64_t now = time_ns();

	if (now - limit->window_start_ns >= NS_PER_S) {
		if (limit->suppressed)
			pr_warn("%u similar lines were held back", limit->suppressed);
		limit->window_start_ns = now;
		limit->printed = limit->suppressed = 0;
	}
	if (limit->printed >= burst) {
		limit->suppressed++;
		return false;
	}
	limit->printed++;
	return true;
}
