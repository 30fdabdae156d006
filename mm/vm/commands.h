/*
 * The shell's `mm`, in three files: commands.c (spaces, pins, the list of subcommands), command_pages.c (areas,
 * accesses, moving pages), show.c (looking).
 */
#pragma once

#include "lib/format.h"
#include "mm/vm/mm.h"

/* One subcommand as it was typed. */
struct request {
	struct sink *out;
	int argc; /* behind the subcommand's name */
	char **argv;
	struct mm *mm; /* the caller's; NULL only where none is needed */
	uint64_t start, bytes;
};

/* 0, -errno, or 1: a line has said what is wrong. */
int mm_run_map(struct request *request);
int mm_run_unmap(struct request *request);
int mm_run_protect(struct request *request);
int mm_run_madvise(struct request *request);
int mm_run_touch(struct request *request);
int mm_run_write(struct request *request);
int mm_run_read(struct request *request);
int mm_run_migrate(struct request *request);
int mm_run_file(struct request *request);

/* Every area, and what is behind its entries, counted by kind. Takes mm->lock. */
void mm_show(struct sink *out, struct mm *mm);
/* The way of @address: area, each level's entry, page, owner, counts. 0, or -EFAULT: no area. Takes mm->lock. */
int mm_show_walk(struct sink *out, struct mm *mm, uint64_t address);
