/*
 * The kernel log: a ring of lines, sent to the consoles, read again as /proc/kmsg and by the shell's `dmesg`.
 *
 * Callable from anywhere, with any lock held, also in interrupts and while panicking. A line has a time stamp in
 * /proc/kmsg ("[    0.001234] text"); on the console too. Levels as in Linux; the console shows those below
 * `loglevel=` (default 7: all but debug).
 */
#pragma once

#include "lib/format.h"

enum log_level { LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* One line, without "\n" at its end. */
void printk(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define pr_err(...)   printk(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)  printk(LOG_WARNING, __VA_ARGS__)
#define pr_info(...)  printk(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) printk(LOG_DEBUG, __VA_ARGS__)

/* At most @burst lines per second and place in the code; how many were held back is said with the next one. */
struct ratelimit {
	uint64_t window_start_ns;
	uint32_t printed, suppressed;
};
bool ratelimit_allow(struct ratelimit *limit, uint32_t burst);
#define pr_err_ratelimited(...)                   \
	do {                                      \
		static struct ratelimit _limit;   \
		if (ratelimit_allow(&_limit, 10)) \
			pr_err(__VA_ARGS__);      \
	} while (0)

/* Where text goes. Writes are serialised by the log; from panic they come without a lock. */
struct console {
	const char *name;
	void (*write)(struct console *console, const char *text, size_t length);
	struct console *next;
};
/* What was logged before is replayed to it. */
void console_register(struct console *console);
/* On return it is written to no more. */
void console_unregister(struct console *console);
/*
 * To the consoles, unprefixed, not kept in the ring: shell output and KTAP. A line goes out when it ends: lines are not
 * torn by the log. For one writer at a time; while panicking everything goes out at once.
 */
struct sink *console_sink(void);
/* The same without waiting for the line's end, for prompts and what is echoed. */
struct sink *console_sink_at_once(void);
/* What is kept goes out, and the next output begins a line. */
void console_end_line(void);

/* The ring's content, oldest first. */
void log_show(struct sink *out);
void log_set_console_level(enum log_level level);
/* Gives another CPU that is writing to the consoles a moment to end. */
void log_begin_panic(void);
