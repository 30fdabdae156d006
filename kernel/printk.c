/*
 * The kernel log and the consoles.
 *
 * The log is a ring of bytes: each record is a level, a time and a line. One spin lock, taken with interrupts off,
 * serialises ring and consoles, so that lines are never torn; while panicking nobody takes it. A console that comes
 * late is shown what is in the ring. sink writes (shell, KTAP) go to the consoles under the same lock, a piece at a
 * time; a log line that would fall into an unfinished line of theirs begins a line of its own.
 */
#include "kernel/printk.h"

#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "lib/string.h"

#define LOG_RING_BYTES 65536u /* a power of two */
#define LOG_LINE_BYTES 480

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
} log_ring = {.lock = SPINLOCK_INIT("log"), .console_level = LOG_DEBUG};

static unsigned long log_lock(void)
{
	return panicking() ? 0 : spin_lock_irqsave(&log_ring.lock);
}

static void log_unlock(unsigned long flags)
{
	if (!panicking())
		spin_unlock_irqrestore(&log_ring.lock, flags);
}

/* ---- the ring ---- */

static void ring_copy_out(uint64_t at, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = log_ring.bytes[(at + i) % LOG_RING_BYTES];
}

static void ring_append(const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		log_ring.bytes[(log_ring.head + i) % LOG_RING_BYTES] = ((const char *)from)[i];
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
	for (struct console *console = log_ring.consoles; console; console = console->next)
		console->write(console, text, length);
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
	log_ring.mid_line = false;
	consoles_write(stamped, length);
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

static void sink_to_console(struct sink *sink UNUSED, const char *text, size_t length)
{
	unsigned long flags;

	if (length == 0)
		return;
	flags = log_lock();
	consoles_write(text, length);
	log_ring.mid_line = text[length - 1] != '\n';
	log_unlock(flags);
}

struct sink *console_sink(void)
{
	static struct sink sink = {.write = sink_to_console};

	return &sink;
}

/* ---- showing what is in the ring ---- */

/* The record at *@at as a line; moves *@at behind it. */
static uint64_t record_get(uint64_t *at, char *line)
{
	struct log_record record;

	ring_copy_out(*at, &record, sizeof(record));
	ring_copy_out(*at + sizeof(record), line, record.length);
	line[record.length] = '\0';
	*at += sizeof(record) + record.length;
	return record.time_ns;
}

void log_show(struct sink *out)
{
	char line[LOG_LINE_BYTES], stamped[LOG_LINE_BYTES + 32];
	uint64_t at = 0;

	for (;;) {
		unsigned long flags = log_lock();
		uint64_t time;
		bool more;

		at = MAX(at, log_ring.tail);
		more = at < log_ring.head;
		time = more ? record_get(&at, line) : 0;
		log_unlock(flags);
		if (!more)
			return;
		/* Outside the lock: the sink may be the console. */
		sink_write(out, stamped, format_stamped(stamped, sizeof(stamped), time, line));
	}
}

void console_register(struct console *console)
{
	char line[LOG_LINE_BYTES], stamped[LOG_LINE_BYTES + 32];
	unsigned long flags = log_lock();

	for (uint64_t at = log_ring.tail; at < log_ring.head;) {
		uint64_t time = record_get(&at, line);

		console->write(console, stamped, format_stamped(stamped, sizeof(stamped), time, line));
	}
	console->next = log_ring.consoles;
	log_ring.consoles = console;
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
