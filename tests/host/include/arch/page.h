/*
 * Hosted "physical" memory: one large reserved range of the host, physical address 0 at its start (tests/host/arena.c).
 */
#pragma once

#include "lib/compiler.h"

#define PAGE_SHIFT	 12u
#define PAGE_SIZE	 (1ul << PAGE_SHIFT)
#define LARGE_PAGE_SHIFT 21u
#define LARGE_PAGE_SIZE	 (1ul << LARGE_PAGE_SHIFT)

/* 64 GiB of address space, backed by the host when touched. */
#define HOST_ARENA_BYTES GIB(64)
extern char *host_arena;
/* The array of page structures for the arena, untouched pages cost nothing. */
extern char *host_page_structs;
#define PAGE_STRUCT_BASE ((uint64_t)host_page_structs)

static inline void *phys_to_virt(uint64_t phys)
{
	return host_arena + phys;
}

static inline uint64_t virt_to_phys(const void *virt)
{
	return (uint64_t)((const char *)virt - host_arena);
}
