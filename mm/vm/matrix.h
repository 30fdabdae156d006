/*
 * The matrix of who asks which page of what: every consumer of entries is run against every kind of entry, in an
 * address space made for it, and what vm_normal_any_page() and vm_normal_lru_page() are asked and answer is noted.
 */
#pragma once

#include "lib/format.h"
#include "mm/vm/mm.h"

enum entry_kind { KIND_ORDINARY, KIND_ZERO, KIND_SPECIAL, KIND_COHERENT, NR_ENTRY_KINDS };

enum matrix_question { ASKED_NOTHING, ASKED_ANY, ASKED_LRU, NOT_APPLICABLE };

struct matrix_cell {
	enum matrix_question asked;
	bool page; /* the answer: a page, or NULL */
};

struct matrix_row {
	const char *consumer;
	enum matrix_question asks; /* what it should ask */
	struct matrix_cell cells[NR_ENTRY_KINDS];
};

/* The number of rows; fills as many as there is room for. -ENOMEM. One at a time. May sleep. */
int64_t matrix_run(struct matrix_row *rows, size_t room);
/* Runs it and shows a table in Markdown. 0 or -errno. */
int matrix_show(struct sink *out);
