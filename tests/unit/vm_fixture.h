/*
 * Address spaces for tests: the running thread lives in one until the test ends; then everything is counted.
 */
#pragma once

#include "kernel/ktest.h"
#include "mm/vm/mm.h"

#define RW (AREA_READ | AREA_WRITE)

/* A new space that the thread uses. Daemons are held meanwhile. At the end it is checked, left, and all anonymous pages
 * must be gone; and so are all spaces and lists that are left. */
struct mm *fixture_mm(struct ktest *t);
/* A fork of the thread's space; checked and put at the end. */
struct mm *fixture_fork(struct ktest *t, struct mm *parent);
/* An anonymous area of so many pages. */
uint64_t fixture_area(struct ktest *t, struct mm *mm, uint64_t pages, uint32_t flags);

/* A word at the beginning of a page, as the thread sees it; UINT64_MAX: it cannot be read. */
uint64_t peek(uint64_t address);
int poke(uint64_t address, uint64_t value);
/* As another space sees it. */
uint64_t peek_in(struct mm *mm, uint64_t address);
int poke_in(struct mm *mm, uint64_t address, uint64_t value);

/* Device memory made of ordinary memory; of @pages pages, at most 512; unregistered and freed at the end. */
struct device_memory;
struct device_memory *fixture_coherent(struct ktest *t, uint64_t pages);
struct device_memory *fixture_private(struct ktest *t, uint64_t pages);

uint64_t anon_pages(void);
/* The entry for an address, or 0. */
uint64_t entry_of(struct mm *mm, uint64_t address);
