/*
 * Console, panic and backtraces of the hosted build: standard output, abort().
 */
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/ktest.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "mm/page_cache.h"
#include "mm/vm/mm.h"
#include "tests/host/host.h"
#include "tests/host/host_internal.h"

static bool in_panic;

static void write_out(struct console *console UNUSED, const char *text, size_t length)
{
	fwrite(text, 1, length, stdout);
	fflush(stdout);
}

static struct console standard_output = {.name = "stdout", .write = write_out};

void host_console_init(void)
{
	console_register(&standard_output);
}

void host_init(void)
{
	host_memory_init();
	host_console_init();
	host_mm_init();
	page_cache_init();
	if (mm_vm_init())
		abort();
}

bool ktest_hosted(void)
{
	return true;
}

bool panicking(void)
{
	return __atomic_load_n(&in_panic, __ATOMIC_RELAXED);
}

char *symbol_format(char *buffer, size_t size, uint64_t address)
{
	format(buffer, size, "0x%llx", (unsigned long long)address);
	return buffer;
}

void backtrace_show(struct sink *out UNUSED, uint64_t frame_pointer UNUSED)
{
	void *frames[32];

	fflush(stdout);
	backtrace_symbols_fd(frames, backtrace(frames, 32), STDOUT_FILENO);
}

static void die(const char *what, const char *fmt, va_list args) NORETURN;
static void die(const char *what, const char *fmt, va_list args)
{
	char text[512];

	__atomic_store_n(&in_panic, true, __ATOMIC_RELAXED);
	format_v(text, sizeof(text), fmt, args);
	printf("panic: %s%s\n", what, text);
	backtrace_show(NULL, 0);
	fflush(stdout);
	abort();
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	die("", fmt, args);
}

void assertion_failed(const char *condition, const char *file, int line, const char *fmt, ...)
{
	char what[256];
	va_list args;

	format(what, sizeof(what), "%s:%d: assertion failed: %s ", file, line, condition);
	va_start(args, fmt);
	die(what, fmt, args);
}

void warn_with_backtrace(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	format_v(text, sizeof(text), fmt, args);
	va_end(args);
	pr_warn("%s:%d: %s", file, line, text);
	backtrace_show(NULL, 0);
}

/* All that the child writes, up to the buffer's size. */
static void drain(int from, char *buffer, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while ((got = read(from, buffer + length, size - 1 - length)) > 0)
		length += got;
	buffer[length] = '\0';
}

bool host_panics(void (*run)(void *argument), void *argument, const char *text)
{
	char output[16384];
	int ends[2], status;
	pid_t child;

	fflush(stdout);
	if (pipe(ends) != 0)
		return false;
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		run(argument);
		_exit(0);
	}
	close(ends[1]);
	drain(ends[0], output, sizeof(output));
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && strstr(output, text) != NULL;
}
