/*
 * /proc/<id>/ of threads that live in an address space: maps, smaps, numa_maps, pagemap, clear_refs, status.
 */
#pragma once

#include "lib/format.h"
#include "mm/vm/mm.h"

/* The thread's directory appears; a failure is a warning. And goes: waits for who reads there. May sleep. */
void proc_add(uint32_t thread_id, struct mm *mm);
void proc_remove(uint32_t thread_id);

/* ---- what the files show; all take mm->lock ---- */

int maps_show(struct sink *out, void *mm);
int smaps_show(struct sink *out, void *mm);
int numa_maps_show(struct sink *out, void *mm);
/* A line per page that has an entry: its address, and Linux's 64-bit word: 63 present, 62 parked, 61 file, 56 mapped
 * once, 55 soft-dirty, 54-0 the frame's number. */
int pagemap_show(struct sink *out, void *mm);
/* 1: all, 2: anonymous, 3: files': have not been used; 4: have not been written to (soft-dirty). */
int clear_refs_store(void *mm, char *text, size_t length);

/* What it shows, in @name: "" for anonymous memory, "file:7", "device". */
const char *area_name(const struct area *area, char name[32]);
/* "1000-2000 rw-p 00000000 00:00 0  name", with @end behind it. */
void area_show_line(struct sink *out, const struct area *area, const char *end);
