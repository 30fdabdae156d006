/*
 * Groups with the memory controller's files, for its tests.
 */
#pragma once

#include "kernel/ktest.h"

/* A number in @group's file, of a line with @key (NULL: the file is that number); in pages. */
uint64_t memcg_pages(const char *group, const char *name, const char *key);
/* memory.current, in pages. */
uint64_t memcg_used(const char *group);
/* The number behind @key in memory.events, until the next call. */
const char *memcg_event(const char *group, const char *key);
/* Writes to a file of the group. */
int memcg_write(const char *group, const char *name, const char *text) MUST_CHECK;
/* Makes @group; the test's thread is in it until the test ends, and the group goes. */
int memcg_enter(struct ktest *t, const char *group) MUST_CHECK;
/* Into the root. */
void memcg_leave(void *unused);
