/*
 * kernel/memory.h on the C library's allocator (so that the sanitizers see every object), with fault injection, and
 * the arena that stands for physical memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <arch/page.h>

#include "kernel/memory.h"
#include "lib/atomic.h"
#include "tests/host/host.h"
#include "tests/host/host_internal.h"

char *host_arena;
char *host_page_structs;

static uint64_t live, countdown, since;

uint64_t host_fail_allocation(uint64_t nth)
{
	store_relaxed(&countdown, nth);
	return atomic_exchange(&since, 0);
}

uint64_t host_live_allocations(void)
{
	return load_relaxed(&live);
}

bool host_allocation_fails(void)
{
	uint64_t left = load_relaxed(&countdown);

	atomic_inc(&since);
	while (left && !atomic_cas(&countdown, &left, left - 1))
		;
	return left == 1;
}

void *kmalloc(size_t bytes)
{
	void *memory = host_allocation_fails() ? NULL : malloc(bytes ? bytes : 1);

	if (memory)
		atomic_inc(&live);
	return memory;
}

void *kzalloc(size_t bytes)
{
	void *memory = kmalloc(bytes);

	return memory ? memset(memory, 0, bytes) : NULL;
}

void *kmalloc_atomic(size_t bytes)
{
	return kmalloc(bytes);
}

void kfree(void *memory)
{
	if (memory)
		atomic_dec(&live);
	free(memory);
}

char *kstrdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = kmalloc(bytes);

	return copy ? memcpy(copy, s, bytes) : NULL;
}

static char *reserve(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("ballonet-tests: reserving address space");
		exit(2);
	}
	return at;
}

void host_memory_init(void)
{
	/* Aligned to the largest block, as physical addresses are. */
	host_arena = (char *)ALIGN_UP((uintptr_t)reserve(HOST_ARENA_BYTES + MIB(4)), MIB(4));
	host_page_structs = reserve(HOST_ARENA_BYTES / PAGE_SIZE * 64);
}
