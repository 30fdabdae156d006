/*
 * What gcc calls when it sees undefined behaviour happen (-fsanitize=undefined).
 *
 * Each handler gets a record that the compiler made for the place in the code (its position, the types) and
 * the values at hand. A place reports once: its column is replaced by a mark, atomically. The records'
 * layouts are the compiler's (libsanitizer's ubsan_handlers.h describes them); one that nobody's code
 * triggers in C is left out. This file is not instrumented itself.
 */
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sanitizer.h"
#include "lib/atomic.h"
#include "lib/string.h"

struct location {
	const char *file;
	uint32_t line, column;
};

enum type_kind { TYPE_INTEGER = 0 };

struct type {
	uint16_t kind;
	uint16_t info; /* integers: bit 0 signed, the rest the logarithm of the width */
	char name[];   /* with quotes */
};

/* Records begin with the place; what follows differs. */
struct operation {
	struct location at;
	const struct type *type;
};

struct shift {
	struct location at;
	const struct type *left, *right;
};

struct bounds {
	struct location at;
	const struct type *array, *index;
};

struct mismatch {
	struct location at;
	const struct type *type;
	uint8_t log_alignment, kind;
};

struct argument {
	struct location at, attribute;
	int index;
};

#define REPORTED UINT32_MAX /* a column */

static uint64_t reports;
static bool is_warn_only;

uint64_t ubsan_reports(void)
{
	return load_relaxed(&reports);
}

bool ubsan_set_warn(bool warn)
{
	return atomic_exchange(&is_warn_only, warn);
}

void ubsan_init(void)
{
	const char *wanted = cmdline_value("ubsan");

	if (wanted && strcmp(wanted, "warn") != 0)
		pr_err("ubsan=%s: only \"warn\" is known; findings are panics", wanted);
	ubsan_set_warn(wanted && strcmp(wanted, "warn") == 0);
}

static void PRINTF(2, 3) report(struct location *at, const char *fmt, ...)
{
	uint32_t column = atomic_exchange(&at->column, REPORTED);
	char what[160];
	va_list args;

	if (column == REPORTED)
		return;
	atomic_inc(&reports);
	va_start(args, fmt);
	format_v(what, sizeof(what), fmt, args);
	va_end(args);
	if (!load_relaxed(&is_warn_only))
		panic("ubsan: %s:%u:%u: %s", at->file, at->line, column, what);
	warn_with_backtrace(at->file, (int)at->line, "ubsan: %s", what);
}

/* A value as text: integers of up to 64 bits are handed over in the word itself, wider ones by address. */
struct value_text {
	char text[24];
};

static unsigned int width(const struct type *type)
{
	return 1u << (type->info >> 1);
}

static struct value_text show(const struct type *type, uint64_t value)
{
	struct value_text shown;
	unsigned int unused = width(type) < 64 ? 64 - width(type) : 0;

	if (type->kind != TYPE_INTEGER || width(type) > 64)
		format(shown.text, sizeof(shown.text), "a value");
	else if (type->info & 1)
		format(shown.text, sizeof(shown.text), "%ld", (int64_t)(value << unused) >> unused);
	else
		format(shown.text, sizeof(shown.text), "%lu", value);
	return shown;
}

static void overflow(struct operation *record, const char *sign, uint64_t left, uint64_t right)
{
	report(&record->at, "%s %s %s does not fit in %s", show(record->type, left).text, sign,
	       show(record->type, right).text, record->type->name);
}

/* The compiler knows these by name only. */
void __ubsan_handle_add_overflow(struct operation *record, uint64_t left, uint64_t right);
void __ubsan_handle_sub_overflow(struct operation *record, uint64_t left, uint64_t right);
void __ubsan_handle_mul_overflow(struct operation *record, uint64_t left, uint64_t right);
void __ubsan_handle_negate_overflow(struct operation *record, uint64_t value);
void __ubsan_handle_divrem_overflow(struct operation *record, uint64_t left, uint64_t right);
void __ubsan_handle_shift_out_of_bounds(struct shift *record, uint64_t left, uint64_t right);
void __ubsan_handle_out_of_bounds(struct bounds *record, uint64_t index);
void __ubsan_handle_pointer_overflow(struct location *at, uint64_t base, uint64_t result);
void __ubsan_handle_type_mismatch_v1(struct mismatch *record, uint64_t pointer);
void __ubsan_handle_load_invalid_value(struct operation *record, uint64_t value);
void __ubsan_handle_vla_bound_not_positive(struct operation *record, uint64_t bound);
void __ubsan_handle_nonnull_arg(struct argument *record);
void __ubsan_handle_nonnull_return_v1(void *attribute, struct location *at);
void __ubsan_handle_invalid_builtin(struct location *at);
void __ubsan_handle_builtin_unreachable(struct location *at);

void __ubsan_handle_add_overflow(struct operation *record, uint64_t left, uint64_t right)
{
	overflow(record, "+", left, right);
}

void __ubsan_handle_sub_overflow(struct operation *record, uint64_t left, uint64_t right)
{
	overflow(record, "-", left, right);
}

void __ubsan_handle_mul_overflow(struct operation *record, uint64_t left, uint64_t right)
{
	overflow(record, "*", left, right);
}

void __ubsan_handle_negate_overflow(struct operation *record, uint64_t value)
{
	report(&record->at, "the negative of %s does not fit in %s", show(record->type, value).text,
	       record->type->name);
}

void __ubsan_handle_divrem_overflow(struct operation *record, uint64_t left, uint64_t right)
{
	overflow(record, "/", left, right);
}

void __ubsan_handle_shift_out_of_bounds(struct shift *record, uint64_t left, uint64_t right)
{
	report(&record->at, "shifting %s (%s, %u bits) by %s", show(record->left, left).text, record->left->name,
	       width(record->left), show(record->right, right).text);
}

void __ubsan_handle_out_of_bounds(struct bounds *record, uint64_t index)
{
	report(&record->at, "index %s is outside of %s", show(record->index, index).text, record->array->name);
}

void __ubsan_handle_pointer_overflow(struct location *at, uint64_t base, uint64_t result)
{
	report(at, "pointer 0x%lx moved beyond the address space, to 0x%lx", base, result);
}

void __ubsan_handle_type_mismatch_v1(struct mismatch *record, uint64_t pointer)
{
	if (pointer == 0)
		report(&record->at, "a null pointer used as %s", record->type->name);
	else
		report(&record->at, "0x%lx has not the room (or alignment) for %s", pointer, record->type->name);
}

void __ubsan_handle_load_invalid_value(struct operation *record, uint64_t value)
{
	report(&record->at, "%s is no value of %s", show(record->type, value).text, record->type->name);
}

void __ubsan_handle_vla_bound_not_positive(struct operation *record, uint64_t bound)
{
	report(&record->at, "an array of %s elements", show(record->type, bound).text);
}

void __ubsan_handle_nonnull_arg(struct argument *record)
{
	report(&record->at, "argument %d must not be null", record->index);
}

void __ubsan_handle_nonnull_return_v1(void *attribute UNUSED, struct location *at)
{
	report(at, "null returned where it must not be");
}

void __ubsan_handle_invalid_builtin(struct location *at)
{
	report(at, "zero given to a builtin that counts zeros");
}

void __ubsan_handle_builtin_unreachable(struct location *at)
{
	panic("ubsan: %s:%u:%u: reached what cannot be reached", at->file, at->line, at->column);
}
