/*
 * The shell's `crash`: ends the run in each of the ways a kernel can go wrong, on any CPU, to see that the panic says
 * so.
 *
 * Each way is a function crash_<how>, which the backtrace must name; the test runner looks for it.
 */
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sanitizer.h"
#include "kernel/shell.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

/* What the compiler must not see through. */
static void *volatile nowhere;
static volatile int zero;

static NOINLINE void crash_null_call(void)
{
	void (*function)(void) = (void (*)(void))nowhere;

	function();
}

static NOINLINE void crash_null_read(void)
{
	zero = *((volatile int *)nowhere + 2);
}

static NOINLINE void crash_wild_read(void)
{
	zero = *(volatile int *)((char *)nowhere + 0x123456789000);
}

static NOINLINE void crash_non_canonical(void)
{
	zero = *(volatile int *)((char *)nowhere + 0x1234567812345678);
}

static NOINLINE void crash_write_text(void)
{
	*(volatile char *)crash_write_text = 0;
}

static NOINLINE void crash_exec_data(void)
{
	static char code[16] = {(char)0xc3}; /* ret */

	((void (*)(void))(void *)code)();
}

static NOINLINE int crash_stack_overflow_deeper(volatile int *above)
{
	volatile int here[64];

	here[0] = *above + 1;
	return here[0] < 0 ? 0 : crash_stack_overflow_deeper(here) + here[0];
}

static NOINLINE void crash_stack_overflow(void)
{
	zero = crash_stack_overflow_deeper(&zero);
}

static NOINLINE void crash_assert(void)
{
	ASSERT(zero == 1, "crash asked for it");
}

static NOINLINE void crash_double_free(void)
{
	void *volatile memory = kmalloc(64);

	kfree(memory);
	kfree(memory);
}

/* Only a kasan build sees it at once. */
static NOINLINE void crash_use_after_free(void)
{
	uint64_t *volatile memory = kmalloc(64);

	kfree(memory);
	*(volatile uint64_t *)memory = 1;
}

/* Found in debug builds only; elsewhere it does no harm. */
static NOINLINE void crash_lock_order(void)
{
	static struct spinlock first = SPINLOCK_INIT("crash_first"), second = SPINLOCK_INIT("crash_second");

	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);
	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

static NOINLINE void crash_divide(void)
{
	zero = 100 / zero;
}

static NOINLINE void crash_undefined(void)
{
	__asm__ volatile("ud2");
}

static NOINLINE void crash_double_fault(void)
{
	/* A page fault that finds no stack to be pushed to. */
	__asm__ volatile("movq %0, %%rsp; pushq %%rax" ::"r"(0x1000ul) : "memory");
}

static NOINLINE void crash_in_interrupt(void)
{
	cpu_call(cpu_id(), (void (*)(void *))crash_assert, NULL);
}

/* What the sanitizers find, each in its own build; elsewhere nothing is done. */
#define SANITIZER_BUG(function, name)                                                    \
	static NOINLINE void crash_##function(void)                                      \
	{                                                                                \
		pr_err("crash: " name " gave %s", error_name(sanitizer_seed_bug(name))); \
	}
SANITIZER_BUG(kasan_oob, "kasan-oob")
SANITIZER_BUG(kasan_uaf, "kasan-uaf")
SANITIZER_BUG(kasan_page, "kasan-page")
SANITIZER_BUG(kasan_global, "kasan-global")
SANITIZER_BUG(ubsan_overflow, "ubsan-overflow")
SANITIZER_BUG(ubsan_bounds, "ubsan-bounds")
SANITIZER_BUG(ubsan_shift, "ubsan-shift")

/* Not a panic: the runner's time-out must end it. */
static NOINLINE void crash_hang(void)
{
	(void)cpu_irq_save();
	for (;;)
		cpu_relax();
}

static const struct {
	const char *name;
	void (*crash)(void);
} ways[] = {
	{"null-call", crash_null_call},
	{"null-read", crash_null_read},
	{"wild-read", crash_wild_read},
	{"non-canonical", crash_non_canonical},
	{"write-text", crash_write_text},
	{"exec-data", crash_exec_data},
	{"stack-overflow", crash_stack_overflow},
	{"assert", crash_assert},
	{"double-free", crash_double_free},
	{"lock-order", crash_lock_order},
	{"use-after-free", crash_use_after_free},
	{"divide", crash_divide},
	{"undefined", crash_undefined},
	{"double-fault", crash_double_fault},
	{"in-interrupt", crash_in_interrupt},
	{"kasan-oob", crash_kasan_oob},
	{"kasan-uaf", crash_kasan_uaf},
	{"kasan-page", crash_kasan_page},
	{"kasan-global", crash_kasan_global},
	{"ubsan-overflow", crash_ubsan_overflow},
	{"ubsan-bounds", crash_ubsan_bounds},
	{"ubsan-shift", crash_ubsan_shift},
	{"hang", crash_hang},
};

static int crash_thread(void *crash)
{
	((void (*)(void))crash)();
	return 0;
}

static int crash_on(uint64_t cpu, void (*crash)(void))
{
	struct thread *thread = thread_spawn_on((int)cpu, "crash", crash_thread, (void *)crash);

	return IS_ERR(thread) ? (int)PTR_ERR(thread) : thread_join(thread);
}

static int crash_run(struct sink *out, int argc, char **argv)
{
	uint64_t cpu = 0;

	if (argc == 3 && (parse_u64(argv[2], &cpu) != 0 || cpu >= cpu_count())) {
		sink_printf(out, "crash: no CPU \"%s\", there are 0 to %u\n", argv[2], cpu_count() - 1);
		return -EINVAL;
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(ways); i++) {
		int error;

		if (strcmp(argv[1], ways[i].name) != 0)
			continue;
		error = crash_on(cpu, ways[i].crash);
		sink_printf(out, "crash: still alive after %s\n", argv[1]);
		return error;
	}
	sink_printf(out, "crash: one of");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		sink_printf(out, " %s", ways[i].name);
	sink_printf(out, "\n");
	return -EINVAL;
}
SHELL_COMMAND(crash, "how [cpu]", "panics, in one of many ways", crash_run);
