/*
 * Workloads: seeded, repeatable things to do to the memory, started by `run <name> key=value...`.
 *
 * A workload reads its parameters by key; what nobody reads is an error before it starts. It prints a table to @out,
 * shows progress while it runs, and stops early when the shell is interrupted.
 */
#pragma once

#include "lib/format.h"

#define WORKLOAD_MAX_PARAMETERS 16

struct workload_parameters {
	size_t count;
	struct {
		char *key, *value;
		bool used;
	} words[WORKLOAD_MAX_PARAMETERS];
	bool wrong; /* a value was no number, and said so */
};

struct workload {
	const char *name, *parameters, *help;
	/* 0, -errno, or a positive status. */
	int (*run)(struct sink *out, struct workload_parameters *parameters);
};

#define WORKLOAD(name_, parameters_, help_, run_)                                             \
	static const struct workload workload_##name_ = {                                     \
		.name = #name_, .parameters = (parameters_), .help = (help_), .run = (run_)}; \
	static const struct workload *const workload_entry_##name_ TABLE_ENTRY(kworkloads) = &workload_##name_

/* argv[0] is the workload's name, the others are key=value and modified. -ENOENT: there is none of that name. */
int workload_run(struct sink *out, int argc, char **argv);

/* The value of @key as a size or number (K, M, G), or @fallback. */
uint64_t workload_number(struct sink *out, struct workload_parameters *parameters, const char *key, uint64_t fallback);
/* The value of @key as it was written, or @fallback. */
const char *workload_word(struct workload_parameters *parameters, const char *key, const char *fallback);
/* After the last one was read: 0, or -EINVAL with a line that says what was wrong or unknown. */
int workload_parameters_end(struct sink *out, const struct workload_parameters *parameters) MUST_CHECK;
